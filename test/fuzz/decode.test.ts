import { expect, test } from 'vitest';
import { anyDecoder, anyFrame, checkFloat, checkScaled, decodeOnce } from './decode-cases.ts';
import { repeat } from './formats-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/decode.test.ts');

test('any bytes under any rule are JSON, or a misfit with a reason', async () => {
  const random = openRandom(seed);
  const kinds = new Map<string, number>();
  await repeat(400, () => {
    const { tree, decoder } = anyDecoder(random);
    for (let count = 0; count < 40; count += 1) {
      const kind = decodeOnce(tree, decoder, anyFrame(random));
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
  });
  // Enough fit to reach what is written.
  expect(kinds.get('record')).toBeGreaterThan(500);
  expect(kinds.get('misfit')).toBeGreaterThan(500);
});

test('whole numbers are scaled exactly, and floats come back from their text', async () => {
  const random = openRandom(seed + 1);
  await repeat(3000, () => {
    checkScaled(random);
    checkFloat(random);
  });
});
