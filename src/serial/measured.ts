// Frames whose length is known from their first bytes, out of a stream of bytes: all of one length, or with a length in
// their header. Pure: chunks and silences in, frames out; the same frames however the stream is cut.
//
//   ┌──────── header (headerBytes) ────────┬─────────────┐
//   │ sync ...        what measure() reads │ the rest    │   measure() gives the length of the whole
//   └──────────────────────────────────────┴─────────────┘
//
// A header that cannot be one means that the stream is out of step, as after a lost byte. With sync bytes the next place
// that begins with them is tried; without, all bytes up to the next silence are skipped. A silence within a frame ends
// it: its bytes are skipped, and the next byte begins a frame. What is held is at most one frame.

import { createHeld } from './held.ts';
import type { Splitter } from './splitter.ts';

export interface MeasuredRules {
  /** How much of a frame measure() needs; at least one byte, at least the sync bytes, and no more than any frame has. */
  headerBytes: number;
  /** Bytes of the frame that begins at `at`, headerBytes of which are there; undefined when none can begin so. */
  measure: (bytes: Buffer, at: number) => number | undefined;
  /** What every frame begins with; may be empty. */
  sync: Buffer;
}

export function createMeasuredSplitter({ headerBytes, measure, sync }: MeasuredRules): Splitter {
  const held = createHeld();
  /** Length of the frame that is held in part; undefined while its header is not complete. */
  let wantedBytes: number | undefined;
  let isInStep = true;
  let isSkipping = false;
  let invalid = 0;
  let skipped = 0;

  function push(chunk: Buffer, onFrame: (frame: Buffer) => void): void {
    let at = 0;
    while (at < chunk.length && !isSkipping) {
      at = held.bytes() === 0 ? whole(chunk, at, onFrame) : join(chunk, at, onFrame);
    }
    skipped += chunk.length - at;
  }

  /** Frames that lie in the chunk are views of it. Returns where to go on. */
  function whole(chunk: Buffer, at: number, onFrame: (frame: Buffer) => void): number {
    const restBytes = chunk.length - at;
    const bytes = restBytes < headerBytes ? undefined : measured(chunk, at);
    if (restBytes >= headerBytes && bytes === undefined) return at + outOfStep(chunk.subarray(at));
    if (bytes !== undefined && bytes <= restBytes) {
      emit(chunk.subarray(at, at + bytes), onFrame);
      return at + bytes;
    }
    wantedBytes = bytes;
    held.add(chunk.subarray(at));
    return chunk.length;
  }

  /** Adds to the frame that is held in part. Returns where to go on. */
  function join(chunk: Buffer, at: number, onFrame: (frame: Buffer) => void): number {
    const end = Math.min(chunk.length, at + (wantedBytes ?? headerBytes) - held.bytes());
    held.add(chunk.subarray(at, end));
    if (wantedBytes === undefined && held.bytes() >= headerBytes) {
      wantedBytes = measured(held.view(), 0);
      if (wantedBytes === undefined) held.drop(outOfStep(held.view()));
    }
    if (wantedBytes !== undefined && held.bytes() >= wantedBytes) {
      wantedBytes = undefined;
      emit(held.take(), onFrame);
    }
    return end;
  }

  function measured(bytes: Buffer, at: number): number | undefined {
    return sync.compare(bytes, at, at + sync.length) === 0 ? measure(bytes, at) : undefined;
  }

  function emit(frame: Buffer, onFrame: (frame: Buffer) => void): void {
    isInStep = true;
    onFrame(frame);
  }

  /** No frame begins at the start of `bytes`. Returns how many of them are skipped. */
  function outOfStep(bytes: Buffer): number {
    if (isInStep) invalid += 1;
    isInStep = false;
    isSkipping = sync.length === 0;
    const count = isSkipping ? bytes.length : nextSync(bytes);
    skipped += count;
    return count;
  }

  /** The first place after the start where the sync bytes stand, or may begin at the end. */
  function nextSync(bytes: Buffer): number {
    const at = bytes.indexOf(sync, 1);
    if (at !== -1) return at;
    for (let start = Math.max(1, bytes.length - sync.length + 1); start < bytes.length; start += 1) {
      if (bytes.compare(sync, 0, bytes.length - start, start) === 0) return start;
    }
    return bytes.length;
  }

  function reset(): number {
    const lost = held.bytes();
    held.drop(lost);
    wantedBytes = undefined;
    isSkipping = false;
    isInStep = true;
    return lost;
  }

  return {
    push,
    idle() {
      if (held.bytes() > 0 && isInStep) invalid += 1;
      skipped += reset();
    },
    reset,
    counts: () => ({ overlong: 0, invalid, skipped }),
  };
}
