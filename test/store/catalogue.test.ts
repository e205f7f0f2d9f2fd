import { expect, test } from 'vitest';
import { loadCatalogue } from '../../src/store/catalogue.ts';
import type { Tables } from '../../src/store/store.ts';

function memoryTables(): { tables: Tables; rows: Map<string, Buffer> } {
  const rows = new Map<string, Buffer>();
  const tables: Tables = {
    get: async (key) => rows.get(key),
    async *entries(prefix, from = prefix) {
      for (const [key, value] of [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        if (key.startsWith(prefix) && key >= from) yield [key, value];
      }
    },
    async write(changes) {
      for (const [key, value] of changes) {
        if (value === null) rows.delete(key);
        else rows.set(key, value);
      }
    },
  };
  return { tables, rows };
}

const RANGE = { partition: 3, firstOffset: 10, lastOffset: 19, bytes: 500, batches: 2, maxTimestampMs: 1234 };

test('what a segment holds is told by its own row, and its ranges are made from that where they are lost', async () => {
  const { tables, rows } = memoryTables();
  const unsure = { ...RANGE, partition: 4, maxTimestampMs: -1, unsure: { boot: 7, maxTimestampMs: 99 } };
  await (await loadCatalogue(tables)).add({ id: 1, bytes: 1000, diskBytes: 2000, batches: 4 }, [RANGE, unsure]);
  for (const key of rows.keys()) if (key.startsWith('range/')) rows.delete(key);

  const catalogue = await loadCatalogue(tables);
  expect(await catalogue.rangesIn(1)).toEqual([RANGE, unsure]);
  await catalogue.mendRanges();
  const mended = [];
  for await (const range of catalogue.allRanges()) mended.push(range);
  expect(mended).toEqual([RANGE, unsure].map((range) => ({ ...range, segment: 1, isSealed: true })));
});

test('which segment was begun last is known without the row that said it, until it is forgotten for good', async () => {
  const { tables } = memoryTables();
  const row = (id: number) => ({ id, bytes: 1000, diskBytes: 2000, batches: 4, next: id + 1 });
  const catalogue = await loadCatalogue(tables);
  expect(catalogue.next()).toBeUndefined();
  for (const id of [1, 2, 3]) await catalogue.add(row(id), []);
  await catalogue.remove(3);
  expect([catalogue.next(), (await loadCatalogue(tables)).next()]).toEqual([4, 4]);

  await catalogue.forgetNext();
  // As a cleaning does: the row is not of a segment that was sealed just now.
  await catalogue.replace([1, 2], row(2), []);
  expect([catalogue.next(), (await loadCatalogue(tables)).next()]).toEqual([undefined, undefined]);
  await catalogue.add(row(4), []);
  expect((await loadCatalogue(tables)).next()).toBe(5);
});

test('where only the rows of segments are left, the newest of them says which segment was begun last', async () => {
  const { tables, rows } = memoryTables();
  const catalogue = await loadCatalogue(tables);
  for (const id of [1, 2]) await catalogue.add({ id, bytes: 1000, diskBytes: 2000, batches: 4, next: id + 1 }, []);
  for (const key of rows.keys()) if (!key.startsWith('segment/')) rows.delete(key);
  expect((await loadCatalogue(tables)).next()).toBe(3);
});
