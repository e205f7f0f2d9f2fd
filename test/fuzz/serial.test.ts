import { test } from 'vitest';
import { openRandom, printedSeed } from './random.ts';
import { trySplitter } from './serial-cases.ts';

test('a stream gives the same records however it is cut', () => {
  const random = openRandom(printedSeed('serial splitters'));
  for (let round = 0; round < 5_000; round += 1) trySplitter(random);
});
