// Ranges of offsets that were imported, against a set that holds each of them.
import { expect, test } from 'vitest';
import { missingOf, withRange, type OffsetRange } from '../../src/http/imported.ts';
import { openRandom } from '../fuzz/random.ts';

test('what is missing of a range is what no earlier range held', () => {
  expect(missingOf([], [5, 9])).toEqual([[5, 9]]);
  expect(missingOf([[0, 5]], [5, 9])).toEqual([[5, 9]]);
  expect(missingOf([[0, 9]], [5, 9])).toEqual([]);
  expect(
    missingOf(
      [
        [2, 4],
        [6, 8],
      ],
      [0, 10],
    ),
  ).toEqual([
    [0, 2],
    [4, 6],
    [8, 10],
  ]);
});

test('ranges that touch become one', () => {
  expect(
    withRange(
      [
        [0, 5],
        [8, 9],
      ],
      [5, 8],
    ),
  ).toEqual([[0, 9]]);
  expect(withRange([[8, 9]], [0, 2])).toEqual([
    [0, 2],
    [8, 9],
  ]);
});

test('a thousand random ranges are those of a set', () => {
  const random = openRandom(7);
  let ranges: OffsetRange[] = [];
  const held = new Set<number>();
  for (let round = 0; round < 1000; round++) {
    if (round % 50 === 0) {
      ranges = [];
      held.clear();
    }
    const from = random.below(200);
    const range: OffsetRange = [from, from + 1 + random.below(12)];
    const missing = missingOf(ranges, range).flatMap(([start, end]) => numbers(start, end));
    expect(missing).toEqual(numbers(...range).filter((offset) => !held.has(offset)));
    for (const offset of missing) held.add(offset);
    ranges = withRange(ranges, range);
    expect(ranges.flatMap(([start, end]) => numbers(start, end))).toEqual([...held].toSorted((a, b) => a - b));
    for (const [index, [start]] of ranges.entries())
      if (index > 0) expect(start).toBeGreaterThan(ranges[index - 1]![1]);
  }
});

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
