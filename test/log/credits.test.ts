import { expect, test } from 'vitest';
import { Credits } from '../../src/log/credits.ts';

test('a saved burst is spent at once, then one commit an interval', () => {
  const credits = new Credits(100, 1000, 0);
  let taken = 0;
  while (credits.take(0)) taken += 1;
  expect(taken).toBe(10);
  expect(credits.waitMs(0)).toBe(100);
  expect(credits.take(99)).toBe(false);
  expect(credits.take(100)).toBe(true);
  expect(credits.take(100)).toBe(false);
});

test('no more is saved than the burst', () => {
  const credits = new Credits(100, 1000, 0);
  expect(credits.available(1e9)).toBe(10);
});

test('an interval of zero makes commits free', () => {
  const credits = new Credits(0, 0, 0);
  for (let commit = 0; commit < 1e5; commit += 1) expect(credits.take(0)).toBe(true);
});

test('a year of steady load makes one commit an interval, whatever the burst', () => {
  const credits = new Credits(100, 300_000, 0);
  let commits = 0;
  const hourMs = 3_600_000;
  for (let now = 0; now < hourMs; now += 10) if (credits.take(now)) commits += 1;
  expect(commits).toBeLessThanOrEqual(hourMs / 100 + 3000 + 1);
});

test('a commit that was free leaves nothing of a credit that was not whole, and all of those that were', () => {
  const credits = new Credits(100, 1000, 0);
  while (credits.take(0));
  expect(credits.available(90)).toBeCloseTo(0.9);
  credits.restart();
  expect(credits.waitMs(90)).toBe(100);
  expect(credits.available(390)).toBeCloseTo(3);
  credits.restart();
  expect(credits.available(390)).toBeCloseTo(3);
});
