// The store's promises, seen on real LevelDB folders.

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { HeadwaterError, isHeadwaterError } from '../../src/errors.ts';
import {
  openStore,
  type BatchWrite,
  type Change,
  type Described,
  type Gap,
  type LocatedRange,
  type Store,
} from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';

const trace = createTrace({ write: () => undefined });
const SMALL_BUFFER = 64 * 1024;

let folder: string;
let store: Store;
let lost: Gap[];
let lostTails: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-store-'));
  lost = [];
  lostTails = [];
  store = await open();
});

afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

/** A stand-in for a batch: its first offset, timestamp and last offset, then a payload. */
function fakeBatch(firstOffset: number, count: number, bytes: number): Buffer {
  const value = Buffer.alloc(bytes, firstOffset & 0xff);
  value.writeDoubleBE(firstOffset, 0);
  value.writeDoubleBE(1000 + firstOffset, 8);
  value.writeDoubleBE(firstOffset + count - 1, 16);
  return value;
}

function describe(value: Buffer): Described {
  if (value.readDoubleBE(0) < 0) throw new HeadwaterError('FORMAT_CORRUPT', 'a damaged batch');
  return {
    firstOffset: value.readDoubleBE(0),
    maxTimestampMs: value.readDoubleBE(8),
    lastOffset: value.readDoubleBE(16),
  };
}

function batchWrite(partition: number, firstOffset: number, count = 1, bytes = 100): BatchWrite {
  const value = fakeBatch(firstOffset, count, bytes);
  return { partition, firstOffset, lastOffset: firstOffset + count - 1, maxTimestampMs: 1000 + firstOffset, value };
}

async function open(seen: number[] = []): Promise<Store> {
  const opened = await openStore({ folder, clock: systemClock, trace, writeBufferBytes: SMALL_BUFFER });
  await opened.recover({
    describe,
    visit: (_, batch) => seen.push(describe(batch).firstOffset),
    onGaps: async (gaps) => void lost.push(...gaps),
    onTailLost: (reason) => void lostTails.push(reason),
    carry: () => [],
  });
  return opened;
}

async function offsets(partition: number, from: number, bytesMax = 1e9): Promise<number[]> {
  return (await store.read(partition, from, bytesMax)).map((each) => describe(each).firstOffset);
}

async function rangesOf(partition: number): Promise<LocatedRange[]> {
  const ranges: LocatedRange[] = [];
  for (let next = 0; ; next = ranges.at(-1)!.lastOffset + 1) {
    const range = await store.rangeAt(partition, next);
    if (range === undefined) return ranges;
    ranges.push(range);
  }
}

/**
 * Writes 4 KB batches of one record until `segments` segments are sealed; returns the next offset. Four go in one write: a
 * sync of the disk may take a tenth of a second.
 */
async function fill(segments: number, partition = 1, offset = 0): Promise<number> {
  while (store.sealed().length < segments) {
    const batches = [0, 1, 2, 3].map((index) => batchWrite(partition, offset + index, 1, 4096));
    await store.write(batches, []);
    offset += 4;
  }
  return offset;
}

test('a batch is found by any offset that it contains', async () => {
  await store.write([batchWrite(1, 0, 10), batchWrite(2, 0, 3)], []);
  await store.write([batchWrite(1, 10, 10)], []);
  expect(await offsets(1, 0)).toEqual([0, 10]);
  expect(await offsets(1, 9)).toEqual([0, 10]);
  expect(await offsets(1, 10)).toEqual([10]);
  expect(await offsets(1, 20)).toEqual([]);
  expect(await offsets(2, 2)).toEqual([0]);
});

test('a read stops at its limit but brings at least one batch', async () => {
  for (let offset = 0; offset < 10; offset += 1) await store.write([batchWrite(1, offset, 1, 1000)], []);
  expect(await offsets(1, 3, 1)).toEqual([3]);
  expect(await offsets(1, 3, 2500)).toEqual([3, 4]);
});

test('reads go on from segment to segment, and each batch is there once', async () => {
  const end = await fill(3);
  const seen: number[] = [];
  for (let next = 0; next < end; next = seen.at(-1)! + 1) seen.push(...(await offsets(1, next, 20_000)));
  expect(seen).toEqual(Array.from({ length: end }, (_, index) => index));
});

test('what was written is there after a stop, and only the unsealed part is visited', async () => {
  const end = await fill(2);
  await store.write([batchWrite(1, end)], [['qos2/a/1', Buffer.from('x')]]);
  await store.close();
  const seen: number[] = [];
  store = await open(seen);
  expect(seen.length).toBeLessThan(end / 2);
  expect(seen.at(-1)).toBe(end);
  expect(await offsets(1, end)).toEqual([end]);
  expect([...store.marks('qos2/')]).toEqual([['qos2/a/1', Buffer.from('x')]]);
  const ranges = await rangesOf(1);
  expect(ranges.at(-1)!.lastOffset).toBe(end);
  expect(ranges.map((range) => range.firstOffset).slice(1)).toEqual(ranges.slice(0, -1).map((r) => r.lastOffset + 1));
});

test('marks are carried over rolls, and removed ones stay away', async () => {
  await store.write(
    [],
    [
      ['a', Buffer.from('1')],
      ['b', Buffer.from('2')],
    ],
  );
  const end = await fill(1);
  await store.write([batchWrite(1, end)], [['a', null]]);
  const next = await fill(3, 1, end + 1);
  for (const { id } of store.sealed()) await store.remove(id);
  await store.close();
  store = await open();
  expect([...store.marks('')]).toEqual([['b', Buffer.from('2')]]);
  expect(await offsets(1, next)).toEqual([]);
});

test('a segment that is sealed while all ranges are told is told once', async () => {
  const end = await fill(6);
  // As after a crash before the sealing: the catalogue knows the first only.
  const rows: Change[] = [];
  for await (const [key] of store.tables.entries('segment/')) rows.push([key, null]);
  for await (const [key] of store.tables.entries('range/')) rows.push([key, null]);
  rows.splice(rows.length / 2, 1);
  rows.splice(0, 1);
  await store.tables.write(rows);
  await store.close();
  store = await open();
  const told: LocatedRange[] = [];
  for await (const range of store.allRanges()) {
    told.push(range);
    while (store.sealed().length < 6) await systemClock.sleep(1);
  }
  const sorted = told.toSorted((a, b) => a.firstOffset - b.firstOffset);
  expect(sorted.map(({ segment }) => segment)).toEqual([...new Set(sorted.map(({ segment }) => segment))]);
  expect(sorted.map(({ firstOffset }) => firstOffset)).toEqual([
    0,
    ...sorted.slice(0, -1).map(({ lastOffset }) => lastOffset + 1),
  ]);
  expect(sorted.at(-1)!.lastOffset).toBe(end - 1);
});

test('a full segment can be removed only when the next one has its marks', async () => {
  let offset = 0;
  // One write more than fits.
  for (; offset * (4096 + 56) < 4.5 * SMALL_BUFFER; offset += 1)
    await store.write([batchWrite(1, offset, 1, 4096)], []);
  expect(store.sealed().length).toBe(0);
  let isWritten = false;
  const writing = store.write([batchWrite(1, offset, 1, 48 * 1024 * 1024)], []).then(() => (isWritten = true));
  while (!isWritten) {
    expect(store.sealed().length).toBe(0);
    await systemClock.sleep(1);
  }
  await writing;
  while (store.sealed().length === 0) await systemClock.sleep(1);
});

test('sealing rewrites nothing: a table file for each memtable that was flushed', async () => {
  await fill(1);
  const [sealed] = store.sealed();
  const names = await readdir(join(folder, 'segments', sealed!.id.toString(16).padStart(8, '0')));
  // 4.5 memtables fill a segment; one compaction of them would leave a single file of this small size.
  expect(names.filter((name) => name.endsWith('.ldb')).length).toBeGreaterThanOrEqual(4);
});

test('a removed segment frees its folder and its ranges, and reads go on behind it', async () => {
  await fill(3);
  const [oldest] = store.sealed();
  const [range] = await store.rangesIn(oldest!.id);
  await store.remove(oldest!.id);
  expect((await offsets(1, 0, 1))[0]).toBe(range!.lastOffset + 1);
  expect(await readdir(join(folder, 'segments'))).not.toContain(oldest!.id.toString(16).padStart(8, '0'));
  expect((await store.rangeAt(1, 0))!.firstOffset).toBe(range!.lastOffset + 1);
});

test('a segment whose tables are gone is a gap, and reads go on behind it', async () => {
  const end = await fill(2);
  const [oldest] = store.sealed();
  const [gap] = await store.rangesIn(oldest!.id);
  await store.close();
  const damaged = join(folder, 'segments', oldest!.id.toString(16).padStart(8, '0'));
  for (const name of await readdir(damaged)) if (name.endsWith('.ldb')) await rm(join(damaged, name));
  store = await open();
  expect((await offsets(1, 0, 1000))[0]).toBe(gap!.lastOffset + 1);
  expect(lost).toMatchObject([{ partition: 1, firstOffset: 0, lastOffset: gap!.lastOffset }]);
  expect(store.quarantine().map(({ name }) => name)).toEqual([`${oldest!.id.toString(16).padStart(8, '0')}.1`]);
  expect(await offsets(1, end - 1)).toEqual([end - 1]);
});

test('a batch that was damaged before it was written is a gap, while its segment is written and when it is sealed', async () => {
  const bad = batchWrite(1, 1);
  bad.value.writeDoubleBE(-1, 0);
  await store.write([batchWrite(1, 0), bad, batchWrite(1, 2)], []);
  expect(await offsets(1, 0)).toEqual([0]);
  expect(await offsets(1, 1)).toEqual([2]);
  expect(lost).toMatchObject([{ partition: 1, firstOffset: 1, lastOffset: 1 }]);
  await fill(1, 1, 3);
  const next = (await offsets(1, 0, 1e5)).slice(0, 3);
  expect(next).toEqual([0, 2, 3]);
  expect(lost).toHaveLength(1);
  expect(store.quarantine()).toHaveLength(1);
});

test('a segment whose folder is gone does not hinder the start: reads go on behind the gap', async () => {
  const end = await fill(3);
  const missing = store.sealed()[1]!;
  const [gap] = await store.rangesIn(missing.id);
  await store.close();
  await rm(join(folder, 'segments', missing.id.toString(16).padStart(8, '0')), { recursive: true });
  store = await open();
  expect((await offsets(1, gap!.firstOffset - 1)).at(-1)).toBe(gap!.firstOffset - 1);
  expect((await offsets(1, gap!.firstOffset, 1))[0]).toBe(gap!.lastOffset + 1);
  expect((await store.rangeAt(1, gap!.firstOffset))!.firstOffset).toBe(gap!.lastOffset + 1);
  const { firstOffset, lastOffset } = gap!;
  expect(lost).toMatchObject([
    { partition: 1, firstOffset, lastOffset, reason: `segment ${missing.id}: its folder is missing` },
  ]);
  expect(store.sealed().map(({ id }) => id)).not.toContain(missing.id);
  expect((await offsets(1, end - 1)).at(-1)).toBe(end - 1);
});

/** Of some sealed segments the newest is removed before the others. */
async function withoutNewest(): Promise<{ older: number[]; written: number }> {
  const end = await fill(2);
  await store.write([batchWrite(1, end)], []);
  await store.whenSealed();
  const ids = store.sealed().map(({ id }) => id);
  const newest = ids.at(-1)!;
  await store.remove(newest);
  await store.close();
  return { older: ids.slice(0, -1), written: newest + 1 };
}

test('the newest sealed segment that goes before an older one leaves nothing that a start takes for lost', async () => {
  const { older } = await withoutNewest();
  store = await open();
  expect([store.gaps(), lost, lostTails]).toEqual([[], [], []]);
  expect(store.sealed().map(({ id }) => id)).toEqual(older);
});

test('the segment that was written is missed though the sealed one before it went, and not again once that is settled', async () => {
  const { written } = await withoutNewest();
  await rm(join(folder, 'segments', written.toString(16).padStart(8, '0')), { recursive: true });
  store = await open();
  expect(lostTails).toEqual([`segment ${written}: its folder is missing`]);
  await store.settleTail();
  await store.close();
  store = await open();
  expect(lostTails).toHaveLength(1);
});

test('a second process is told the pid of the first', async () => {
  const second = openStore({ folder, clock: systemClock, trace });
  await expect(second).rejects.toThrow(`in use by process ${process.pid}`);
  await second.catch((error: unknown) => expect(isHeadwaterError(error, 'STORE_LOCKED')).toBe(true));
});

test('missing folders above are made, and one that cannot be made is an error at once', async () => {
  const needs = { clock: systemClock, trace };
  const deep = await openStore({ ...needs, folder: join(folder, 'a', 'b', 'c') });
  await deep.close();
  const impossible = openStore({ ...needs, folder: '/proc/headwater/data' });
  await expect(impossible).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

test('rows of the tables come in key order and survive a stop', async () => {
  await Promise.all([
    store.tables.write([['x/2', Buffer.from('b')]]),
    store.tables.write([
      ['x/1', Buffer.from('a')],
      ['y/1', Buffer.from('c')],
    ]),
  ]);
  await store.tables.write([['y/1', null]]);
  await store.close();
  store = await open();
  const rows: string[] = [];
  for await (const [key, value] of store.tables.entries('x/')) rows.push(`${key}=${value.toString()}`);
  expect(rows).toEqual(['x/1=a', 'x/2=b']);
  expect(await store.tables.get('y/1')).toBeUndefined();
});

test('a segment whose making a full disk cut short is rubbish, and no damage', async () => {
  // The next write would have gone into it.
  await store.write([batchWrite(1, 0, 1, 5 * SMALL_BUFFER)], []);
  await store.close();
  const half = join(folder, 'segments', '0000002a');
  await mkdir(half);
  for (const name of ['LOCK', 'LOG', 'MANIFEST-000001']) await writeFile(join(half, name), '');
  store = await open();
  expect([store.gaps(), lost, lostTails]).toEqual([[], [], []]);
  expect(await readdir(join(folder, 'segments'))).not.toContain('0000002a');
});
