import { expect, test } from 'vitest';
import { createBudget } from '../../src/kafka/budget.ts';

test('a claim waits until there is room, and claims are served in order', () => {
  const budget = createBudget(100);
  const given: string[] = [];
  budget.claim(60, () => given.push('a'));
  budget.claim(60, () => given.push('b'));
  budget.claim(10, () => given.push('c'));
  expect(given).toEqual(['a']);
  budget.release(60);
  expect(given).toEqual(['a', 'b', 'c']);
  expect(budget.usedBytes).toBe(70);
  expect(budget.leftBytes).toBe(30);
});

test('a claim of more than half is given when the others hold half, as long polls always hold a little', () => {
  const budget = createBudget(100);
  const given: string[] = [];
  budget.take(51);
  budget.claim(500, () => given.push('large'));
  expect(given).toEqual([]);
  budget.release(1);
  expect(given).toEqual(['large']);
  expect(budget.leftBytes).toBe(0);
});

test('a claim that is given up lets the next one pass', () => {
  const budget = createBudget(100);
  const given: string[] = [];
  budget.take(60);
  const giveUp = budget.claim(80, () => given.push('large'));
  budget.claim(10, () => given.push('small'));
  expect(given).toEqual([]);
  giveUp();
  expect(given).toEqual(['small']);
  giveUp();
  expect(budget.usedBytes).toBe(70);
});
