import { expect, test } from 'vitest';
import { fuzzBatch, fuzzDecompress, goodBatches, goodCompressed, repeat, roundTrip } from './formats-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/formats.test.ts');

test('any bytes are a batch or a FORMAT error', async () => {
  const random = openRandom(seed);
  const good = goodBatches(random);
  let rightCount = 0;
  await repeat(8000, () => {
    rightCount += fuzzBatch(random, good);
  });
  // Enough get past the CRC and the header to reach the records.
  expect(rightCount).toBeGreaterThan(80);
});

test('any bytes are decompressed within the limit, or are a FORMAT error', async () => {
  const random = openRandom(seed + 1);
  const good = goodCompressed(goodBatches(random));
  await repeat(8000, () => fuzzDecompress(random, good));
});

test('random records come back from a batch, whole and sliced', async () => {
  const random = openRandom(seed + 2);
  await repeat(600, () => roundTrip(random));
});
