// Reading and writing of the primitive types that Kafka's protocol and record batches are made of: big-endian integers,
// Protocol Buffers' variable-length integers (unsigned, and zigzag for signed ones), raw bytes and UTF-8 text.
// An int64 is a `number` in headwater: values beyond 2^53-1 are FORMAT_CORRUPT when read and an assertion when written.
// Nothing here copies what it reads: `bytes` gives a view of the buffer that was handed in.

import assert from 'node:assert';
import { HeadwaterError } from '../errors.ts';

/** Gives memory for `bytes` bytes of what is read. Who lends it says for how long. */
export type Allocate = (bytes: number) => Buffer;

/** Memory of its own for each, as long as somebody holds it. */
export const allocateAlone: Allocate = (bytes) => Buffer.allocUnsafeSlow(bytes);

const TWO_32 = 0x1_0000_0000;

function truncated(wanted: number, left: number): HeadwaterError {
  return new HeadwaterError('FORMAT_TRUNCATED', `bytes end too early: ${wanted} wanted, ${left} left`);
}

/** The error of a decoder whose bytes contradict themselves. */
export function corrupt(what: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('FORMAT_CORRUPT', what, cause === undefined ? undefined : { cause });
}

/**
 * Reads from `position` up to, not including, `limit`. Every verb moves `position` behind what it read. Throws
 * FORMAT_TRUNCATED beyond the limit, FORMAT_CORRUPT for values that cannot be, and nothing else.
 */
export class ByteReader {
  readonly buffer: Buffer;
  position: number;
  readonly limit: number;

  constructor(buffer: Buffer, position = 0, limit = buffer.length) {
    assert(position >= 0 && position <= limit && limit <= buffer.length, 'a reader begins inside its buffer');
    this.buffer = buffer;
    this.position = position;
    this.limit = limit;
  }

  /** Bytes from here to the limit. */
  get remaining(): number {
    return this.limit - this.position;
  }

  /** Moves over `count` bytes and returns where they begin. */
  skip(count: number): number {
    const start = this.position;
    if (count > this.limit - start) throw truncated(count, this.limit - start);
    if (count < 0) throw corrupt(`negative length ${count}`);
    this.position = start + count;
    return start;
  }

  uint8(): number {
    return this.buffer[this.skip(1)]!;
  }

  int8(): number {
    return (this.buffer[this.skip(1)]! << 24) >> 24;
  }

  uint16(): number {
    const at = this.skip(2);
    return (this.buffer[at]! << 8) | this.buffer[at + 1]!;
  }

  int16(): number {
    return (this.uint16() << 16) >> 16;
  }

  int32(): number {
    const at = this.skip(4);
    const { buffer } = this;
    return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  int64(): number {
    this.skip(8);
    this.position -= 8;
    const value = this.int32() * TWO_32 + this.uint32();
    if (!Number.isSafeInteger(value)) throw corrupt(`int64 beyond 2^53-1, about ${value}`);
    return value;
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.skip(8));
  }

  /** An unsigned 32-bit integer of one to five bytes, low seven bits first. */
  unsignedVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.uint8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.uint8();
    if (last > 0x0f) throw corrupt('varint of more than 32 bits');
    return (value | (last << 28)) >>> 0;
  }

  /** A signed 32-bit integer, zigzag. */
  varint(): number {
    const value = this.unsignedVarint();
    return (value >>> 1) ^ -(value & 1);
  }

  /** A signed 64-bit integer of one to ten bytes, zigzag, within +-(2^53-1). */
  varlong(): number {
    let byte = this.uint8();
    const isNegative = (byte & 1) === 1;
    let half = (byte & 0x7f) >> 1;
    let weight = 64;
    for (let count = 1; byte >= 0x80; count++) {
      if (count === 10) throw corrupt('varlong of more than ten bytes');
      byte = this.uint8();
      half += (byte & 0x7f) * weight;
      weight *= 128;
    }
    const value = isNegative ? -half - 1 : half;
    if (!Number.isSafeInteger(value)) throw corrupt(`varlong beyond 2^53-1, about ${value}`);
    return value;
  }

  /** A view of the next `length` bytes. */
  bytes(length: number): Buffer {
    const start = this.skip(length);
    return this.buffer.subarray(start, start + length);
  }

  /** The next `length` bytes as text. What is not UTF-8 becomes U+FFFD. */
  utf8(length: number): string {
    const start = this.skip(length);
    return this.buffer.toString('utf8', start, start + length);
  }
}

/** Bytes that `value`, 0 to 2^32-1, takes as an unsigned varint. */
export function sizeOfUnsignedVarint(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Bytes that `value`, an int32, takes as a zigzag varint. */
export function sizeOfVarint(value: number): number {
  return sizeOfUnsignedVarint(((value << 1) ^ (value >> 31)) >>> 0);
}

/** Bytes that `value`, a safe integer, takes as a zigzag varlong. */
export function sizeOfVarlong(value: number): number {
  let half = value < 0 ? -value - 1 : value;
  let size = 1;
  for (half = Math.floor(half / 64); half > 0; half = Math.floor(half / 128)) size++;
  return size;
}

/** Writes into a buffer that grows by doubling. Every verb appends; `patchInt16` and `patchInt32` fill what was reserved. */
export class ByteWriter {
  /** Bytes written so far. */
  length = 0;
  private buffer: Buffer;

  constructor(sizeHint = 256) {
    this.buffer = Buffer.allocUnsafe(sizeHint);
  }

  /** Leaves `count` bytes (of unknown content) to be patched and returns where they begin. */
  reserve(count: number): number {
    const start = this.length;
    const end = start + count;
    if (end > this.buffer.length) this.grow(end);
    this.length = end;
    return start;
  }

  private grow(sizeMin: number): void {
    const larger = Buffer.allocUnsafe(Math.max(sizeMin, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  /** The low eight bits of `value`: signed and unsigned alike. */
  int8(value: number): void {
    const at = this.reserve(1);
    this.buffer[at] = value;
  }

  /** The low sixteen bits of `value`: signed and unsigned alike. */
  int16(value: number): void {
    this.patchInt16(this.reserve(2), value);
  }

  /** The low 32 bits of `value`: signed and unsigned alike. */
  int32(value: number): void {
    this.patchInt32(this.reserve(4), value);
  }

  int64(value: number): void {
    assert(Number.isSafeInteger(value), 'an int64 is within +-(2^53-1)');
    const at = this.reserve(8);
    this.patchInt32(at, Math.floor(value / TWO_32));
    this.patchInt32(at + 4, value);
  }

  float64(value: number): void {
    const at = this.reserve(8);
    this.buffer.writeDoubleBE(value, at);
  }

  /** `value` is 0 to 2^32-1. */
  unsignedVarint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.int8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.int8(rest);
  }

  /** `value` is an int32. */
  varint(value: number): void {
    this.unsignedVarint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  /** `value` is a safe integer. */
  varlong(value: number): void {
    if (value >= -0x4000_0000 && value < 0x4000_0000) {
      this.varint(value);
      return;
    }
    assert(Number.isSafeInteger(value), 'a varlong is within +-(2^53-1)');
    const half = value < 0 ? -value - 1 : value;
    this.int8(((half % 64) << 1) | (value < 0 ? 0x81 : 0x80));
    let rest = Math.floor(half / 64);
    while (rest >= 0x80) {
      this.int8((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.int8(rest);
  }

  /** Copies `bytes`. */
  bytes(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** Writes `text` without a length and returns how many bytes it took. */
  utf8(text: string): number {
    const start = this.length;
    const end = start + text.length * 3;
    if (end > this.buffer.length) this.grow(end);
    const size = this.buffer.write(text, start, 'utf8');
    this.length = start + size;
    return size;
  }

  patchInt16(at: number, value: number): void {
    this.buffer[at] = value >> 8;
    this.buffer[at + 1] = value;
  }

  patchInt32(at: number, value: number): void {
    const { buffer } = this;
    buffer[at] = value >> 24;
    buffer[at + 1] = value >> 16;
    buffer[at + 2] = value >> 8;
    buffer[at + 3] = value;
  }

  /** What was written from `start` on, as a view: valid until the next verb. */
  view(start = 0): Buffer {
    return this.buffer.subarray(start, this.length);
  }

  /** What was written, without a copy. The writer must not be used afterwards. */
  finish(): Buffer {
    const bytes = this.buffer.subarray(0, this.length);
    this.buffer = Buffer.alloc(0);
    this.length = 0;
    return bytes;
  }
}
