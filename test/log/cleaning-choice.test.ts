import { expect, test } from 'vitest';
import { chooseRun, type Candidate } from '../../src/log/cleaning-choice.ts';

const limits = { liveBytesMax: 36, freedBytesMin: 1, smallBytes: 1, countMax: 8 };

/** `[bytes, liveBytes]` of segments 0, 1, ... */
function chosen(segments: [bytes: number, liveBytes: number, isOverdue?: true][], more: Partial<typeof limits> = {}) {
  const candidates = segments.map(([bytes, liveBytes, isOverdue], id): Candidate => {
    return { id, bytes, liveBytes, isOverdue: isOverdue ?? false };
  });
  return chooseRun(candidates, { ...limits, ...more });
}

test('what is mostly dead is cleaned, what is not is left', () => {
  expect(chosen([])).toBeUndefined();
  expect(chosen([[36, 19]])).toBeUndefined();
  expect(chosen([[36, 18]])).toEqual([0]);
  expect(
    chosen([
      [36, 36],
      [36, 2],
      [36, 30],
    ]),
  ).toEqual([1]);
});

test('neighbours go together when each of them is worth it, or is small', () => {
  const worth: [number, number][] = [
    [36, 5],
    [36, 10],
    [36, 35],
    [36, 1],
  ];
  expect(chosen(worth)).toEqual([0, 1]);
  const small: [number, number][] = [
    [1, 1],
    [36, 5],
    [1, 1],
  ];
  expect(chosen(small, { smallBytes: 2 })).toEqual([0, 1, 2]);
  expect(chosen(small, { smallBytes: 0 })).toEqual([1]);
});

test('what is left fits into one segment', () => {
  const halves = Array.from({ length: 6 }, (): [number, number] => [36, 15]);
  expect(chosen(halves)).toHaveLength(2);
  expect(chosen(halves, { liveBytesMax: 100, countMax: 3 })).toHaveLength(3);
});

test('what is all dead is not written anew, and a little is not worth a segment', () => {
  expect(chosen([[36, 0]])).toBeUndefined();
  expect(
    chosen([
      [36, 0],
      [36, 3],
      [36, 0],
    ]),
  ).toEqual([1]);
  expect(chosen([[3, 1]], { freedBytesMin: 4 })).toBeUndefined();
});

test('what is overdue goes first, at any cost', () => {
  expect(
    chosen([
      [36, 1],
      [36, 35, true],
    ]),
  ).toEqual([0, 1]);
  expect(chosen([[36, 30, true]])).toEqual([0]);
});

test('never is more written than comes free, whatever the segments are', () => {
  let state = 11;
  const random = (below: number): number => (state = (state * 48271) % 2147483647) % below;
  for (let round = 0; round < 500; round += 1) {
    const segments = Array.from({ length: random(30) }, (): [number, number] => {
      const bytes = 1 + random(36);
      return [bytes, random(bytes + 1)];
    });
    const run = chosen(segments);
    if (run === undefined) {
      for (const [bytes, live] of segments) expect(live === 0 || bytes - live < Math.max(1, live)).toBe(true);
      continue;
    }
    const live = run.reduce((sum, id) => sum + segments[id]![1], 0);
    const all = run.reduce((sum, id) => sum + segments[id]![0], 0);
    expect(all - live).toBeGreaterThanOrEqual(live);
    expect(live).toBeLessThanOrEqual(36);
    expect(run).toEqual(Array.from({ length: run.length }, (_, index) => run[0]! + index));
  }
});
