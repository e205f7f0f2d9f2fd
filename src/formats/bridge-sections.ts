// A serial stream cut into frames and text, by firmware-bridge/SPEC.md section 1: sections lie between zeros; one that
// decodes and has the right CRC is a frame, one that is printable is text, any other is bad. Pure: chunks in, calls out.

import { isUtf8 } from 'node:buffer';
import { BODY_BYTES_MAX, isSound, type KeyOf } from './bridge-frame.ts';
import { cobsBytesMax, decodeCobs } from './cobs.ts';

export interface SectionListener {
  /** A sound body; it belongs to the listener. */
  onBody(body: Buffer): void;
  /** Printable bytes as they came, at most about 1 KiB; they belong to the listener. */
  onText(text: Buffer): void;
  /** A section that is neither. */
  onBad(): void;
  keyOf: KeyOf;
}

export interface Sections {
  /** The chunk is not kept. */
  push(chunk: Buffer): void;
  /** The line has been silent for 250 ms: passes on what is held if it is text. True if a part of a section is held. */
  silence(): boolean;
  /** Forgets an unfinished section. */
  reset(): void;
}

/** An encoded section that is longer is no frame. */
export const SECTION_BYTES_MAX = cobsBytesMax(BODY_BYTES_MAX);

const SLAB_BYTES = 8 * SECTION_BYTES_MAX;
const EMPTY = Buffer.alloc(0);

export function createSections(listener: SectionListener): Sections {
  const held = Buffer.allocUnsafe(SECTION_BYTES_MAX);
  let heldBytes = 0;
  // Bodies are decoded into it one behind the other: one object each.
  let slab = EMPTY;
  let slabAt = 0;
  // The rest of a section that was too long and was no text.
  let isSkipping = false;

  function push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(0, start);
      if (end === -1) break;
      if (heldBytes === 0 && !isSkipping && end - start <= SECTION_BYTES_MAX) section(chunk, start, end);
      else finishHeld(chunk, start, end);
      start = end + 1;
    }
    hold(chunk, start, chunk.length);
  }

  function finishHeld(chunk: Buffer, start: number, end: number): void {
    hold(chunk, start, end);
    section(held, 0, heldBytes);
    heldBytes = 0;
    isSkipping = false;
  }

  /** The section source[start, end) is complete. */
  function section(source: Buffer, start: number, end: number): void {
    if (end === start) return;
    if (slabAt + end - start > slab.length) {
      slab = Buffer.allocUnsafe(SLAB_BYTES);
      slabAt = 0;
    }
    const length = decodeCobs(source, start, end, slab, slabAt);
    if (length > 0 && length <= BODY_BYTES_MAX) {
      const body = slab.subarray(slabAt, slabAt + length);
      if (isSound(body, listener.keyOf)) {
        slabAt += length;
        return listener.onBody(body);
      }
    }
    const bytes = source.subarray(start, end);
    if (isText(bytes)) listener.onText(Buffer.from(bytes));
    else listener.onBad();
  }

  function hold(chunk: Buffer, start: number, end: number): void {
    for (let at = start; at < end && !isSkipping;) {
      const count = Math.min(end - at, held.length - heldBytes);
      chunk.copy(held, heldBytes, at, at + count);
      heldBytes += count;
      at += count;
      if (heldBytes === held.length && at < end) passOn();
    }
  }

  /** What is held is longer than any frame: text goes on as text, anything else is skipped up to the next zero. */
  function passOn(): void {
    const end = heldBytes - cutCharacterBytes(held);
    const bytes = held.subarray(0, end);
    isSkipping = !isText(bytes);
    if (isSkipping) listener.onBad();
    else listener.onText(Buffer.from(bytes));
    heldBytes = isSkipping ? 0 : held.copy(held, 0, end, heldBytes);
  }

  function silence(): boolean {
    const end = heldBytes - cutCharacterBytes(held.subarray(0, heldBytes));
    const bytes = Buffer.from(held.subarray(0, end));
    if (end === 0 || !isText(bytes)) return heldBytes > 0;
    heldBytes = held.copy(held, 0, end, heldBytes);
    listener.onText(bytes);
    return heldBytes > 0;
  }

  return {
    push,
    silence,
    reset() {
      heldBytes = 0;
      isSkipping = false;
    },
  };
}

/** How many bytes at the end of `bytes` begin a character of UTF-8 that goes on beyond it. */
function cutCharacterBytes(bytes: Buffer): number {
  for (let back = 1; back <= 3; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}

/** Printable: SPEC.md section 1. */
export function isText(bytes: Buffer): boolean {
  for (const byte of bytes) {
    if (byte < 0x20 ? byte !== 0x09 && byte !== 0x0a && byte !== 0x0d && byte !== 0x1b : byte === 0x7f) return false;
  }
  return isUtf8(bytes);
}
