// The context that is kept gives what Node's own call gives, whatever came before; and it is what small batches go through.

import { randomBytes } from 'node:crypto';
import * as zlib from 'node:zlib';
import { beforeEach, expect, test, vi } from 'vitest';

const calls = vi.hoisted(() => ({ ofZstd: 0, hasStream: true }));
vi.mock('node:zlib', async (importOriginal) => {
  const original = await importOriginal<typeof zlib>();
  return {
    ...original,
    zstdCompressSync(...args: Parameters<typeof zlib.zstdCompressSync>) {
      calls.ofZstd += 1;
      return original.zstdCompressSync(...args);
    },
    createZstdCompress: (options: zlib.ZstdOptions) => (calls.hasStream ? original.createZstdCompress(options) : {}),
  };
});

beforeEach(() => {
  vi.resetModules();
  calls.ofZstd = 0;
});

const LARGE = 120 * 1024 + 1;

async function check(sizes: number[]): Promise<void> {
  const { compressZstd } = await import('../../src/formats/zstd.ts');
  const compressed: [data: Buffer, compressed: Buffer][] = [];
  for (const size of sizes) {
    for (const data of [randomBytes(size), Buffer.alloc(size, 'reading ')]) compressed.push([data, compressZstd(data)]);
  }
  const made = calls.ofZstd;
  for (const [data, bytes] of compressed) {
    const params = { [zlib.constants.ZSTD_c_compressionLevel]: 1 };
    expect(bytes.equals(zlib.zstdCompressSync(data, { params, pledgedSrcSize: data.length }))).toBe(true);
    expect(zlib.zstdDecompressSync(bytes).equals(data)).toBe(true);
  }
  calls.ofZstd = made;
}

test('small batches go through the context, and are what one call each would give', async () => {
  await check([0, 1, 100, 2_000, 16_000, LARGE - 1, 5]);
  expect(calls.ofZstd).toBe(0);
});

test('large ones do not, and leave it as it was', async () => {
  await check([1_000, LARGE, 1024 * 1024, 1_000]);
  expect(calls.ofZstd).toBe(4);
});

test('without the context that is expected, each is one call', async () => {
  calls.hasStream = false;
  await check([100, 2_000]);
  calls.hasStream = true;
  expect(calls.ofZstd).toBe(4);
});
