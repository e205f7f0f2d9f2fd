import { expect, test } from 'vitest';
import { tellStory } from './story.ts';

// A new one each time; a failure names it.
const seed = Math.floor(Math.random() * 1_000_000);

test(`random faults, seed ${seed}`, async () => {
  await tellStory(seed, 30);
  expect.assertions(3);
});
