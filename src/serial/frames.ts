// The splitters of the binary framings, by their settings. Pure.

import { createHeld } from './held.ts';
import { createLineSplitter, type Overlong } from './lines.ts';
import { createMeasuredSplitter } from './measured.ts';
import type { Splitter } from './splitter.ts';

/** Frames that end with fixed bytes, which are taken off; empty frames are none. */
export interface DelimitedConfig {
  kind: 'delimited';
  /** 1 to 16 bytes. */
  delimiter: Buffer;
  frameBytesMax: number;
  overlong: Overlong;
}

/** Frames that all have the same length; sync bytes are a part of them. */
export interface FixedConfig {
  kind: 'fixed';
  length: number;
  sync: Buffer;
  idleMs: number;
}

/**
 * Frames that tell their length:
 *
 *   ┌──────────────────────┬───────────────────────────┬────────────────────────────┐
 *   │ lengthOffset bytes   │ length, lengthBytes, big- │ length + lengthAdjust      │
 *   │ (sync bytes first)   │ or little-endian          │ bytes                      │
 *   └──────────────────────┴───────────────────────────┴────────────────────────────┘
 *
 * A length that would make the frame shorter than its header, or longer than frameBytesMax, means that the stream is out
 * of step.
 */
export interface LengthPrefixedConfig {
  kind: 'length-prefixed';
  lengthBytes: 1 | 2 | 4;
  endian: 'big' | 'little';
  lengthOffset: number;
  lengthAdjust: number;
  /** Whether a record has the bytes up to the end of the length, too. */
  header: 'keep' | 'drop';
  sync: Buffer;
  /** Of the whole frame. */
  frameBytesMax: number;
  idleMs: number;
}

/** Frames with a silence between them. */
export interface IdleGapConfig {
  kind: 'idle-gap';
  idleMs: number;
  frameBytesMax: number;
  overlong: Overlong;
}

export type FrameConfig = DelimitedConfig | FixedConfig | LengthPrefixedConfig | IdleGapConfig;

export function createFrameSplitter(config: FrameConfig): Splitter {
  switch (config.kind) {
    case 'delimited':
      return delimited(config);
    case 'fixed':
      return fixed(config);
    case 'length-prefixed':
      return lengthPrefixed(config);
    default:
      return idleGap(config);
  }
}

function delimited({ delimiter, frameBytesMax, overlong }: DelimitedConfig): Splitter {
  const lines = createLineSplitter({ delimiter, lineBytesMax: frameBytesMax, overlong, keepsReturn: true });
  return {
    push: lines.push,
    idle() {},
    reset: lines.reset,
    counts: () => ({ overlong: lines.overlong(), invalid: 0, skipped: 0 }),
  };
}

function fixed({ length, sync }: FixedConfig): Splitter {
  return createMeasuredSplitter({ headerBytes: Math.max(1, sync.length), measure: () => length, sync });
}

function lengthPrefixed(config: LengthPrefixedConfig): Splitter {
  const { lengthBytes, endian, lengthOffset, lengthAdjust, frameBytesMax, sync } = config;
  const headerBytes = lengthOffset + lengthBytes;
  const read = endian === 'big' ? 'readUIntBE' : 'readUIntLE';
  const splitter = createMeasuredSplitter({
    headerBytes,
    measure(bytes, at) {
      const restBytes = bytes[read](at + lengthOffset, lengthBytes) + lengthAdjust;
      return restBytes < 0 || headerBytes + restBytes > frameBytesMax ? undefined : headerBytes + restBytes;
    },
    sync,
  });
  if (config.header === 'keep') return splitter;
  return {
    ...splitter,
    push: (chunk, onFrame) => splitter.push(chunk, (frame) => onFrame(frame.subarray(headerBytes))),
  };
}

/** A longer frame is dropped up to the next silence, or cut into frames of the bound. */
function idleGap({ frameBytesMax, overlong: whenOverlong }: IdleGapConfig): Splitter {
  const held = createHeld();
  let isTooLong = false;
  let overlong = 0;

  function push(chunk: Buffer, onFrame: (frame: Buffer) => void): void {
    let rest = chunk;
    while (held.bytes() + rest.length > frameBytesMax) {
      if (!isTooLong) overlong += 1;
      isTooLong = true;
      if (whenOverlong === 'drop') break;
      const part = rest.subarray(0, frameBytesMax - held.bytes());
      held.add(part);
      onFrame(held.take());
      rest = rest.subarray(part.length);
    }
    if (isTooLong && whenOverlong === 'drop') held.drop(held.bytes());
    else held.add(rest);
  }

  function idle(onFrame: (frame: Buffer) => void): void {
    isTooLong = false;
    if (held.bytes() > 0) onFrame(held.take());
  }

  function reset(): number {
    const lost = held.bytes();
    isTooLong = false;
    held.drop(lost);
    return lost;
  }

  return { push, idle, reset, counts: () => ({ overlong, invalid: 0, skipped: 0 }) };
}
