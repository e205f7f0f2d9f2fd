import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compress, compressionOfId, decompress, idOfCompression } from '../../src/formats/compression.ts';
import { decodeSnappy } from '../../src/formats/snappy.ts';
import { MANY } from '../golden/readings.ts';

const LZ4 = join(import.meta.dirname, '../golden/lz4');
const ROOM = 1 << 20;
const corrupt: unknown = expect.objectContaining({ code: 'FORMAT_CORRUPT' });
const truncated: unknown = expect.objectContaining({ code: 'FORMAT_TRUNCATED' });

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

test('numbers and names of compressions are those of the record batch', () => {
  for (const [id, name] of (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const).entries()) {
    expect(compressionOfId(id)).toBe(name);
    expect(idOfCompression(name)).toBe(id);
  }
  expect(() => compressionOfId(5)).toThrow(corrupt);
});

test('what is compressed comes back', () => {
  const data = Buffer.from(JSON.stringify(MANY));
  for (const name of ['none', 'gzip', 'zstd'] as const) {
    const compressed = compress(name, data);
    expect(decompress(name, compressed, ROOM).equals(data)).toBe(true);
    expect(compressed.length <= data.length).toBe(true);
  }
});

test('data that would become larger than the limit is corrupt', () => {
  const zeros = Buffer.alloc(1_000_000);
  // An LZ4 block of one literal and a match of about 255 * 4000 bytes.
  const block = Buffer.concat([hex('1f 00 0100'), Buffer.alloc(4000, 0xff), hex('00 00')]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(block.length);
  const bombs = {
    gzip: gzipSync(zeros),
    zstd: zstdCompressSync(zeros),
    lz4: Buffer.concat([hex('04224d18 60 70 00'), size, block, hex('00000000')]),
    // 1,000,001 bytes: a zero, copies of 64 from one back.
    snappy: Buffer.concat([hex('c1843d 00 00'), Buffer.alloc(3 * 15_625, hex('fe0100'))]),
  } as const;
  for (const [name, bomb] of Object.entries(bombs) as [keyof typeof bombs, Buffer][]) {
    expect(() => decompress(name, bomb, 10_000), name).toThrow(corrupt);
    expect(decompress(name, bomb, 2_000_000).length, name).toBeGreaterThan(999_999);
  }
});

test('broken gzip and zstd data is corrupt', () => {
  for (const name of ['gzip', 'zstd'] as const) {
    const whole = compress(name, Buffer.from('some text, some text, some text'));
    expect(() => decompress(name, whole.subarray(0, whole.length - 9), ROOM)).toThrow(corrupt);
    expect(() => decompress(name, Buffer.from('neither one nor the other'), ROOM)).toThrow(corrupt);
  }
});

describe('snappy', () => {
  test('literals and the three kinds of copies are followed', () => {
    // 'abcd', copy 4 from 4 (one byte), copy 6 from 8 (two bytes), copy 3 from 2 (four bytes, overlapping).
    const data = hex('11 0c 61626364 01 04 16 0800 0b 02000000');
    expect(decodeSnappy(data, ROOM).toString()).toBe('abcdabcdabcdababa');
  });

  test('long literals have their length in one to four bytes', () => {
    const text = Buffer.alloc(70_000, 'q');
    const size = hex('f0a204');
    expect(decodeSnappy(Buffer.concat([size, hex('f8 6f1101'), text]), ROOM).equals(text)).toBe(true);
    expect(decodeSnappy(Buffer.concat([hex('64'), hex('f0 63'), text.subarray(0, 100)]), ROOM).length).toBe(100);
  });

  test("frames of xerial's writer are joined", () => {
    const head = hex('82 534e41505059 00 00000001 00000001');
    const data = Buffer.concat([head, hex('00000004 02 04 6162'), hex('00000003 01 00 63')]);
    expect(decodeSnappy(data, ROOM).toString()).toBe('abc');
    expect(() => decodeSnappy(data, 2)).toThrow(corrupt);
    expect(() => decodeSnappy(data.subarray(0, data.length - 1), ROOM)).toThrow(truncated);
  });

  test('what contradicts itself is refused, and a false claim of size takes no memory', () => {
    expect(() => decodeSnappy(hex('05 0c 61626364'), ROOM)).toThrow(corrupt);
    expect(() => decodeSnappy(hex('03 0c 61626364'), ROOM)).toThrow(corrupt);
    expect(() => decodeSnappy(hex('08 0c 61626364 01 05'), ROOM)).toThrow(corrupt);
    expect(() => decodeSnappy(hex('08 0c 61626364 01 00'), ROOM)).toThrow(corrupt);
    expect(() => decodeSnappy(hex('08 0c 6162'), ROOM)).toThrow(truncated);
    expect(() => decodeSnappy(hex('ffffffff07 00 00'), 2 ** 32)).toThrow(/claims 2147483647 bytes out of 7/);
  });
});

describe('LZ4 frames', () => {
  const text = MANY.map(({ value }) => value).join('\n');

  test.each(['linked', 'block-checksums', 'content-size'])('of the lz4 program are read: %s', (name) => {
    const frame = readFileSync(join(LZ4, `${name}.lz4`));
    expect(decompress('lz4', frame, ROOM).toString()).toBe(text);
    expect(decompress('lz4', Buffer.concat([frame, frame]), ROOM).toString()).toBe(text + text);
    expect(() => decompress('lz4', frame, text.length - 1)).toThrow(corrupt);
    expect(() => decompress('lz4', frame.subarray(0, frame.length - 5), ROOM)).toThrow(truncated);
  });

  test('stored blocks are taken as they are', () => {
    const frame = hex('04224d18 60 40 00 03000080 616263 00000000');
    expect(decompress('lz4', frame, ROOM).toString()).toBe('abc');
  });

  test('a block that ends in a match is held to the limit too', () => {
    const frame = hex('04224d18 60 40 00 05000000 1f 61 0100 50 00000000');
    expect(decompress('lz4', frame, 100).toString()).toBe('a'.repeat(100));
    expect(() => decompress('lz4', frame, 99)).toThrow(corrupt);
  });

  test('other versions, dictionaries, wrong distances and other magic are corrupt', () => {
    const frames = [
      '05224d18 60 40 00 00000000',
      '04224d18 20 40 00 00000000',
      '04224d18 61 40 00 00000000',
      '04224d18 60 30 00 00000000',
      '04224d18 60 40 00 06000000 10 61 0200 00 00 00000000',
      '04224d18 60 40 00 06000000 10 61 0000 00 00 00000000',
    ];
    for (const frame of frames) expect(() => decompress('lz4', hex(frame), ROOM), frame).toThrow(corrupt);
  });
});
