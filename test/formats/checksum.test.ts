import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crc32c, crc32cByTables, crc32cFallbackReason } from '../../src/formats/checksum.ts';

const CHECKSUM = join(import.meta.dirname, '../../src/formats/checksum.ts');

/** Bytes of a simple multiplicative sequence. */
function sample(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 2654435761) >>> 13));
}

test('the check value of CRC-32C comes out of both engines', () => {
  // RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
  const vectors: [Buffer, number][] = [
    [Buffer.from('123456789'), 0xe306_9283],
    [Buffer.alloc(32), 0x8a91_36aa],
    [Buffer.alloc(32, 0xff), 0x62a8_ab43],
    [Buffer.alloc(0), 0],
  ];
  for (const [bytes, crc] of vectors) {
    expect(crc32c(bytes)).toBe(crc);
    expect(crc32cByTables(bytes)).toBe(crc);
  }
});

test('the native engine is the one in use, and the tables agree with it at every length', () => {
  expect(crc32cFallbackReason).toBeUndefined();
  for (let length = 0; length < 300; length++) {
    expect(crc32cByTables(sample(length))).toBe(crc32c(sample(length)));
  }
});

test('the CRC of two parts is that of the second, seeded with that of the first', () => {
  const bytes = sample(1000);
  for (const engine of [crc32c, crc32cByTables]) {
    for (const cut of [0, 1, 7, 8, 500, 1000]) {
      expect(engine(bytes.subarray(cut), engine(bytes.subarray(0, cut)))).toBe(crc32c(bytes));
    }
  }
});

test('without the native part the process lives and counts by tables', () => {
  const script = `
    const Module = require('node:module');
    const load = Module._load;
    Module._load = function (name, ...rest) {
      if (name === '@node-rs/crc32') throw new Error('no such machine');
      return load.call(this, name, ...rest);
    };
    import(${JSON.stringify(CHECKSUM)}).then((checksum) => {
      const crc = checksum.crc32c(Buffer.from('123456789'));
      console.log(checksum.crc32cFallbackReason, crc.toString(16));
    });`;
  expect(execFileSync(process.execPath, ['-e', script]).toString().trim()).toBe('no such machine e3069283');
});
