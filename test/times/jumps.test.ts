import { expect, test } from 'vitest';
import { behindMs, withJump, type Jump } from '../../src/times/jumps.ts';

test.each<[string, Jump[], number]>([
  ['one ahead', [{ atMs: 5, byMs: 100 }], 100],
  ['one back', [{ atMs: 5, byMs: -100 }], 0],
  ['one ahead before the time that counts', [{ atMs: 4, byMs: 100 }], 0],
  ['an excursion into the future', [{ atMs: 5, byMs: 100 }, { atMs: 6, byMs: -100 }], 0], // prettier-ignore
  ['an excursion into the past', [{ atMs: 5, byMs: -100 }, { atMs: 6, byMs: 100 }], 100], // prettier-ignore
])('%s', (_what, jumps, expected) => {
  expect(behindMs(jumps, 5)).toBe(expected);
});

test('of many jumps the oldest become one that counts for no less', () => {
  let jumps: Jump[] = [];
  for (let atMs = 0; atMs < 100; atMs++) jumps = withJump(jumps, { atMs, byMs: atMs % 2 === 0 ? 1000 : -900 });
  expect(jumps).toHaveLength(64);
  const all = Array.from({ length: 100 }, (_, atMs): Jump => ({ atMs, byMs: atMs % 2 === 0 ? 1000 : -900 }));
  for (const since of [0, 20, 50, 99]) expect(behindMs(jumps, since)).toBeGreaterThanOrEqual(behindMs(all, since));
});
