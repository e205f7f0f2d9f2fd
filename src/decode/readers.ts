// Numbers out of bytes, by type and byte order. Of 64 bits only those that need it become a bigint. Pure; the bytes must be
// there.

import type { NumberType } from '../config-decode.ts';

export type ReadNumber = (frame: Buffer, at: number) => number | bigint;

const READERS: Record<NumberType, [little: ReadNumber, big: ReadNumber]> = {
  u8: [(frame, at) => frame[at]!, (frame, at) => frame[at]!],
  i8: [(frame, at) => (frame[at]! << 24) >> 24, (frame, at) => (frame[at]! << 24) >> 24],
  u16: [(frame, at) => frame.readUInt16LE(at), (frame, at) => frame.readUInt16BE(at)],
  i16: [(frame, at) => frame.readInt16LE(at), (frame, at) => frame.readInt16BE(at)],
  u24: [(frame, at) => frame.readUIntLE(at, 3), (frame, at) => frame.readUIntBE(at, 3)],
  i24: [(frame, at) => frame.readIntLE(at, 3), (frame, at) => frame.readIntBE(at, 3)],
  u32: [(frame, at) => frame.readUInt32LE(at), (frame, at) => frame.readUInt32BE(at)],
  i32: [(frame, at) => frame.readInt32LE(at), (frame, at) => frame.readInt32BE(at)],
  u64: [
    (frame, at) => unsigned64(frame.readUInt32LE(at + 4), frame.readUInt32LE(at)),
    (frame, at) => unsigned64(frame.readUInt32BE(at), frame.readUInt32BE(at + 4)),
  ],
  i64: [
    (frame, at) => signed64(frame.readInt32LE(at + 4), frame.readUInt32LE(at)),
    (frame, at) => signed64(frame.readInt32BE(at), frame.readUInt32BE(at + 4)),
  ],
  f32: [(frame, at) => frame.readFloatLE(at), (frame, at) => frame.readFloatBE(at)],
  f64: [(frame, at) => frame.readDoubleLE(at), (frame, at) => frame.readDoubleBE(at)],
};

/** A bigint costs ten times as much as a number. */
function unsigned64(high: number, low: number): number | bigint {
  return high < 0x20_0000 ? high * 0x1_0000_0000 + low : (BigInt(high) << 32n) | BigInt(low);
}

function signed64(high: number, low: number): number | bigint {
  const isSafe = high < 0x20_0000 && high >= -0x20_0000;
  return isSafe ? high * 0x1_0000_0000 + low : (BigInt(high) << 32n) | BigInt(low);
}

export function readerOf(type: NumberType, endian: 'little' | 'big'): ReadNumber {
  return READERS[type][endian === 'little' ? 0 : 1];
}

export function isNumberType(type: string): type is NumberType {
  return Object.hasOwn(READERS, type);
}
