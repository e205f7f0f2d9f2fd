import { expect, test } from 'vitest';
import { fuzzBatch, fuzzDecompress, goodBatches, goodCompressed, roundTrip } from './formats-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/formats.test.ts');

test('any bytes are a batch or a FORMAT error', () => {
  const random = openRandom(seed);
  const good = goodBatches(random);
  let rightCount = 0;
  for (let round = 0; round < 8000; round++) rightCount += fuzzBatch(random, good);
  // Enough get past the CRC and the header to reach the records.
  expect(rightCount).toBeGreaterThan(80);
});

test('any bytes are decompressed within the limit, or are a FORMAT error', () => {
  const random = openRandom(seed + 1);
  const good = goodCompressed(goodBatches(random));
  for (let round = 0; round < 8000; round++) fuzzDecompress(random, good);
});

test('random records come back from a batch, whole and sliced', () => {
  const random = openRandom(seed + 2);
  for (let round = 0; round < 600; round++) roundTrip(random);
});
