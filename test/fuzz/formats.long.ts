import { expect, test } from 'vitest';
import { fuzzBatch, fuzzDecompress, goodBatches, goodCompressed, repeat, roundTrip } from './formats-cases.ts';
import { openRandom, printedSeed } from './random.ts';

const seed = printedSeed('test/fuzz/formats.long.ts');
const ROUNDS = 400_000;

test('any bytes are a batch or a FORMAT error, many times, in bounded memory', async () => {
  const random = openRandom(seed);
  const good = goodBatches(random);
  await repeat(ROUNDS, () => void fuzzBatch(random, good));
  expect(process.memoryUsage.rss()).toBeLessThan(1 << 30);
});

test('any bytes are decompressed within the limit, or are a FORMAT error, many times, in bounded memory', async () => {
  const random = openRandom(seed + 1);
  const good = goodCompressed(goodBatches(random));
  await repeat(ROUNDS, () => fuzzDecompress(random, good));
  expect(process.memoryUsage.rss()).toBeLessThan(1 << 30);
});

test('random records come back from a batch, whole and sliced, many times', async () => {
  const random = openRandom(seed + 2);
  await repeat(ROUNDS / 20, () => roundTrip(random));
});
