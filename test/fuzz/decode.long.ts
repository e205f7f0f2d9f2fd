import { expect, test } from 'vitest';
import { anyDecoder, anyFrame, checkFloat, checkScaled, decodeOnce } from './decode-cases.ts';
import { repeat } from './formats-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/decode.long.ts');
const FRAME_BYTES = 256 * 1024;

test('any bytes under any rule are JSON, or a misfit with a reason, a million times in bounded memory', async () => {
  const random = openRandom(seed);
  await repeat(25_000, () => {
    const { tree, decoder } = anyDecoder(random);
    for (let count = 0; count < 40; count += 1) decodeOnce(tree, decoder, anyFrame(random));
  });
  expect(process.memoryUsage.rss()).toBeLessThan(1 << 30);
});

test('numbers are exact, many times', async () => {
  const random = openRandom(seed + 1);
  await repeat(500_000, () => {
    checkScaled(random);
    checkFloat(random);
  });
});

test('the longest frame is decoded in time under any rule', async () => {
  const random = openRandom(seed + 2);
  const frames: Buffer[] = [0, 0x20, 0x22, 0x2c, 0x31, 0x5b, 0x5c, 0xff].map((byte) => Buffer.alloc(FRAME_BYTES, byte));
  const text = `{"a":${'['.repeat(120_000)}${']'.repeat(120_000)}}`;
  frames.push(Buffer.from(text), Buffer.from('"a",'.repeat(FRAME_BYTES / 4)), random.bytes(FRAME_BYTES));
  let slowestMs = 0;
  await repeat(300, () => {
    const { tree, decoder } = anyDecoder(random);
    for (const frame of frames) {
      const startMs = performance.now();
      decodeOnce(tree, decoder, frame);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
    }
  });
  // A time that grows with the square of the length would be minutes.
  expect(slowestMs).toBeLessThan(2000);
});
