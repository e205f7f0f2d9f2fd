import { expect, test } from 'vitest';
import { FREE_BYTES, FULL_BYTES, Rest } from '../../src/log/rest.ts';

/** What a commit carries that starts as soon as it may, at a steady rate; the card takes `syncMs` for each. */
function carriedAt(bytesPerMs: number, syncMs: number): { bytes: number; waitedMs: number } {
  const rest = new Rest();
  let carried = { bytes: 0, waitedMs: 0 };
  let now = 0;
  let bytes = 0;
  for (let commit = 0; commit < 100; commit += 1) {
    let waitedMs = 0;
    const pass = (ms: number): void => {
      now += ms;
      bytes += ms * bytesPerMs;
    };
    while (bytes < FREE_BYTES) pass(0.1);
    for (let wait = rest.waitMs(now, bytes); wait > 0; wait = rest.waitMs(now, bytes)) {
      pass(wait);
      waitedMs += wait;
    }
    carried = { bytes, waitedMs };
    bytes = 0;
    pass(syncMs);
    rest.ended(now, syncMs);
  }
  return carried;
}

test('at a steady rate that leaves the card time, a commit waits until it is full', () => {
  for (const bytesPerMs of [4_000, 8_000, 12_000]) {
    expect(carriedAt(bytesPerMs, 2).bytes).toBeGreaterThanOrEqual(FULL_BYTES);
  }
});

test('it waits for some milliseconds only', () => {
  const { bytes, waitedMs } = carriedAt(1_000, 2);
  expect(waitedMs).toBeGreaterThan(20);
  expect(waitedMs).toBeLessThan(30);
  expect(bytes).toBeLessThan(FULL_BYTES);
});

test('a card that is busy most of the time is given no rest', () => {
  expect(carriedAt(20_000, 2).waitedMs).toBe(0);
  expect(carriedAt(2_000, 20).waitedMs).toBe(0);
});

test('publishers that have filled their windows do not wait for what can not come', () => {
  const rest = new Rest();
  const lookMs = rest.waitMs(100, FREE_BYTES + 1);
  expect(lookMs).toBeLessThanOrEqual(2);
  expect(rest.waitMs(100 + lookMs, FREE_BYTES + 1)).toBe(0);
});

test('the next commit rests afresh', () => {
  const rest = new Rest();
  expect(rest.waitMs(100, FREE_BYTES)).toBeGreaterThan(0);
  rest.ended(110, 2);
  expect(rest.waitMs(120, FREE_BYTES)).toBeGreaterThan(0);
});

test('doors read nothing until the commit is free, if bytes come slowly', () => {
  const rest = new Rest();
  rest.ended(0, 2);
  rest.started(100, 100_000);
  rest.ended(102, 2);
  expect(rest.lullMs(110, FREE_BYTES - 20_000)).toBeCloseTo(20);
  expect(rest.lullMs(110, FREE_BYTES)).toBe(0);
  rest.waitMs(110, FREE_BYTES);
  const most = rest.lullMs(110, FREE_BYTES);
  expect(rest.lullMs(120, FREE_BYTES)).toBe(most - 10);
});

test('doors read on where publishers wait for acknowledgements, however long the card takes', () => {
  const rest = new Rest();
  rest.ended(0, 200);
  rest.started(10, FREE_BYTES);
  rest.ended(210, 200);
  expect(rest.lullMs(211, 0)).toBe(0);
});

test('a commit that rests is looked at when doors have read', () => {
  const rest = new Rest();
  rest.expect(115);
  expect(100 + rest.waitMs(100, FREE_BYTES)).toBeGreaterThan(115);
});

test('after a slow sync a commit waits while what its end made publishers send still comes', () => {
  const rest = new Rest();
  rest.ended(100, 20);
  expect(rest.answersMs(100, FULL_BYTES)).toBe(2);
  expect(rest.answersMs(102, FULL_BYTES)).toBe(2);
  // Asked again in between, it only says when to look.
  expect(rest.answersMs(103, 2 * FULL_BYTES)).toBe(1);
  expect(rest.answersMs(104, 2 * FULL_BYTES)).toBe(2);
  expect(rest.answersMs(106, 2 * FULL_BYTES)).toBe(0);
});

test('it waits for half a sync at most, and not after a fast one', () => {
  const rest = new Rest();
  rest.ended(100, 20);
  for (let nowMs = 100; nowMs < 110; nowMs += 2) expect(rest.answersMs(nowMs, nowMs * 1_000)).toBeGreaterThan(0);
  expect(rest.answersMs(110, 110_000)).toBe(0);
  rest.ended(200, 2);
  expect(rest.answersMs(200, FULL_BYTES)).toBe(0);
});
