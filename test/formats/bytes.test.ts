import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter, sizeOfUnsignedVarint, sizeOfVarint, sizeOfVarlong } from '../../src/formats/bytes.ts';

const INT32 = [0, 1, -1, 63, 64, -64, -65, 127, 128, 300, -300, 8191, 8192, 2 ** 20, 2 ** 27, 2 ** 31 - 1, -(2 ** 31)];
const SAFE = [...INT32, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, 2 ** 40 + 5, -(2 ** 40) - 5, 2 ** 53 - 1, -(2 ** 53) + 1];

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.finish();
}

function hex(text: string): ByteReader {
  return new ByteReader(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

describe('what is written is read back', () => {
  test('for fixed integers at their edges', () => {
    for (const value of SAFE) {
      expect(new ByteReader(written((writer) => writer.int64(value))).int64()).toBe(value);
    }
    for (const value of INT32) {
      expect(new ByteReader(written((writer) => writer.int32(value))).int32()).toBe(value);
      expect(new ByteReader(written((writer) => writer.int32(value))).uint32()).toBe(value >>> 0);
    }
    for (const value of [0, 1, -1, 127, -128]) {
      expect(new ByteReader(written((writer) => writer.int8(value))).int8()).toBe(value);
    }
    for (const value of [0, 1, -1, 255, 32767, -32768]) {
      expect(new ByteReader(written((writer) => writer.int16(value))).int16()).toBe(value);
      expect(new ByteReader(written((writer) => writer.int16(value))).uint16()).toBe(value & 0xffff);
    }
    expect(new ByteReader(written((writer) => writer.float64(-1.5e300))).float64()).toBe(-1.5e300);
  });

  test('for variable-length integers, in as many bytes as was said', () => {
    for (const value of SAFE) {
      const bytes = written((writer) => writer.varlong(value));
      expect(new ByteReader(bytes).varlong()).toBe(value);
      expect(bytes.length).toBe(sizeOfVarlong(value));
    }
    for (const value of INT32) {
      const bytes = written((writer) => writer.varint(value));
      expect(new ByteReader(bytes).varint()).toBe(value);
      expect(bytes.length).toBe(sizeOfVarint(value));
      const unsigned = written((writer) => writer.unsignedVarint(value >>> 0));
      expect(new ByteReader(unsigned).unsignedVarint()).toBe(value >>> 0);
      expect(unsigned.length).toBe(sizeOfUnsignedVarint(value >>> 0));
    }
  });

  test('for text and bytes, across the growth of the buffer', () => {
    const text = 'Grüße, 日本, 😀'.repeat(50);
    let size = 0;
    const bytes = written((writer) => {
      size = writer.utf8(text);
      writer.bytes(Buffer.from([1, 2, 3]));
    });
    const reader = new ByteReader(bytes);
    expect(reader.utf8(size)).toBe(text);
    expect([...reader.bytes(3)]).toEqual([1, 2, 3]);
    expect(reader.remaining).toBe(0);
  });
});

test('big-endian and zigzag bytes are those of the specification', () => {
  expect(written((writer) => writer.int64(-2)).toString('hex')).toBe('fffffffffffffffe');
  expect(written((writer) => writer.int64(2 ** 40 + 1)).toString('hex')).toBe('0000010000000001');
  expect(written((writer) => writer.unsignedVarint(300)).toString('hex')).toBe('ac02');
  expect(written((writer) => writer.varint(-1)).toString('hex')).toBe('01');
  expect(written((writer) => writer.varlong(2 ** 31)).toString('hex')).toBe('8080808010');
});

test('a reserved place is filled in later', () => {
  const bytes = written((writer) => {
    const at = writer.reserve(4);
    const short = writer.reserve(2);
    writer.int8(7);
    writer.patchInt32(at, writer.length);
    writer.patchInt16(short, -2);
  });
  expect(bytes.toString('hex')).toBe('00000007fffe07');
});

test('a reader stops at its limit, not at the end of the buffer', () => {
  const reader = new ByteReader(Buffer.from([1, 2, 3, 4]), 1, 3);
  expect(reader.uint16()).toBe(0x0203);
  expect(() => reader.uint8()).toThrow(expect.objectContaining({ code: 'FORMAT_TRUNCATED' }));
});

test('every verb says that bytes end too early', () => {
  const cases: ((reader: ByteReader) => unknown)[] = [
    (reader) => reader.uint8(),
    (reader) => reader.int16(),
    (reader) => reader.int32(),
    (reader) => reader.int64(),
    (reader) => reader.float64(),
    (reader) => reader.unsignedVarint(),
    (reader) => reader.varlong(),
    (reader) => reader.bytes(1),
    (reader) => reader.utf8(1),
  ];
  for (const read of cases) {
    expect(() => read(hex(''))).toThrow(expect.objectContaining({ code: 'FORMAT_TRUNCATED' }));
  }
  expect(() => hex('80 80').unsignedVarint()).toThrow(expect.objectContaining({ code: 'FORMAT_TRUNCATED' }));
});

test('numbers beyond 2^53-1, varints that are too long and negative lengths are corrupt', () => {
  const cases: (() => unknown)[] = [
    () => hex('0020 0000 0000 0000').int64(),
    () => hex('ffdf ffff ffff ffff').int64(),
    () => hex('7fff ffff ffff ffff').int64(),
    () => hex('ff ff ff ff 1f').unsignedVarint(),
    () => hex('ff ff ff ff ff 01').unsignedVarint(),
    () => hex('fe ff ff ff ff ff ff ff ff 01').varlong(),
    () => hex('80 80 80 80 80 80 80 80 80 80 00').varlong(),
    () => hex('00').bytes(-1),
  ];
  for (const read of cases) expect(read).toThrow(expect.objectContaining({ code: 'FORMAT_CORRUPT' }));
});

test('the writer refuses an int64 that is not exact', () => {
  const writer = new ByteWriter();
  expect(() => writer.int64(2 ** 53)).toThrow(/2\^53/);
  expect(() => writer.varlong(2 ** 53)).toThrow(/2\^53/);
  expect(() => writer.int64(0.5)).toThrow(/2\^53/);
});
