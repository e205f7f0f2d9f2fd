// The bound of what is remembered of losses, without a card.

import { expect, test } from 'vitest';
import { loadGaps, type Gap } from '../../src/store/gaps.ts';
import { MemoryTables } from '../fakes/memory-tables.ts';
import { silent, upTo } from '../log/open-log.ts';

/** The first of the offsets was found last. */
const FOUND: Gap[] = upTo(1001).map((index) => ({
  partition: 1,
  firstOffset: 10 * index,
  lastOffset: 10 * index + 1,
  reason: 'a test',
  atMs: 2000 - index,
}));

test('of 1,001 gaps the one that was found first is forgotten, and counted', async () => {
  const tables = new MemoryTables();
  const gaps = await loadGaps(tables, silent);

  await gaps.add(FOUND.slice(0, 1000));
  expect([gaps.list().length, gaps.forgotten]).toEqual([1000, 0]);
  await gaps.add(FOUND.slice(1000).map((gap) => ({ ...gap, atMs: 3000 })));

  const oldest = FOUND[999]!;
  expect(gaps.forgotten).toBe(1);
  expect(gaps.list().map(({ firstOffset }) => firstOffset)).toEqual(
    FOUND.filter((gap) => gap !== oldest).map(({ firstOffset }) => firstOffset),
  );
  expect(gaps.covers(1, oldest.firstOffset, oldest.lastOffset)).toBe(false);
  expect((await loadGaps(tables, silent)).list()).toEqual(gaps.list());
});
