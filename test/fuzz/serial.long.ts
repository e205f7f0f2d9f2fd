// The fuzzing of the serial splitters at length.

import { test } from 'vitest';
import { openRandom, printedSeed } from './random.ts';
import { trySplitter } from './serial-cases.ts';

test('a stream gives the same records however it is cut, a million streams', () => {
  const random = openRandom(printedSeed('serial splitters'));
  for (let round = 0; round < 1_000_000; round += 1) trySplitter(random);
});
