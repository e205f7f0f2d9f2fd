import { expect, test } from 'vitest';
import { tellStory } from './story.ts';

const first = Number(process.env['HEADWATER_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const seeds = Array.from({ length: 20 }, (_, index) => first + index);

test.each(seeds)('random faults, seed %i', async (seed) => {
  await tellStory(seed, 60);
  expect.assertions(3);
});
