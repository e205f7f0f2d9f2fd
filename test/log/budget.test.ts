// The budget: what goes when it is reached, in which order, and what is refused when nothing may go.

import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { encodeBatch } from '../../src/formats/batch.ts';
import { GAPS_TOPIC } from '../../src/log/gaps.ts';
import type { LogNeeds, Partition, TopicSettings } from '../../src/log/log.ts';
import { bytesIn } from '../../src/store/usage.ts';
import { until } from '../parts/until.ts';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from './open-log.ts';

/** Two segments and a part of a third, beside the ballast and what the store needs for its work. */
const BUDGET = 1_100_000;
const BYTES = 6000;
const REFUSED = { code: 'STORE_UNAVAILABLE' };

let opened: OpenLogFolder;
afterEach(() => opened.remove());

async function open(needs: Partial<LogNeeds> = {}): Promise<void> {
  opened = await openLogFolder({ retentionIntervalMs: 20, budgetBytes: BUDGET, ...needs });
}

async function topic(name: string, settings: Partial<TopicSettings> = {}): Promise<Partition> {
  return (await opened.log.createTopic(name, { retentionMs: -1, ...settings })).partitions[0]!;
}

/** Ten records at a time, as a client does it: what is refused is sent again. Returns the most that lay in the folder. */
async function fill(partition: Partition, count: number): Promise<number> {
  let most = 0;
  for (let done = 0; done < count; done += 10) {
    let numbers = upTo(10).map((index) => done + index);
    while (numbers.length > 0) {
      await opened.log.whenRoom();
      const tried = await Promise.allSettled(
        numbers.map((number) => partition.append(batchOf(number, 1, { bytes: BYTES }))),
      );
      for (const each of tried) if (each.status === 'rejected') expect(each.reason).toMatchObject(REFUSED);
      numbers = numbers.filter((_, index) => tried[index]!.status === 'rejected');
    }
    most = Math.max(most, await bytesIn(opened.folder, () => false));
  }
  return most;
}

async function appendPatiently(partition: Partition, number: number): Promise<void> {
  for (let isKept = false; !isKept; await opened.log.whenRoom()) {
    isKept = await partition.append(batchOf(number, 1, { bytes: BYTES })).then(
      () => true,
      (error: unknown) => {
        expect(error).toMatchObject(REFUSED);
        return false;
      },
    );
  }
}

/** Until it is refused; returns how many were taken. */
async function fillUp(partition: Partition): Promise<number> {
  const first = partition.highWatermark;
  for (;;) {
    try {
      await partition.append(batchOf(partition.highWatermark, 1, { bytes: BYTES }));
    } catch (error) {
      expect(error).toMatchObject(REFUSED);
      // LevelDB's work takes room for a moment only.
      await opened.store.measure();
      await opened.log.mark('look', null).done();
      if (opened.log.refusal() === undefined) continue;
      return partition.highWatermark - first;
    }
  }
}

test('by default records stay and more are refused, before the ceiling is passed', async () => {
  await open();
  const partition = await topic('t');
  const taken = await fillUp(partition);
  expect(taken).toBeGreaterThan(75);
  expect(await bytesIn(opened.folder, () => false)).toBeLessThan(BUDGET);
  expect(opened.log.isFull()).toBe(true);
  expect(opened.log.refusal()).toContain('the budget of 1100KB');
  expect(opened.log.status()).toMatchObject({ state: 'full', dropped: { records: 0 } });
  expect(numbersOf(await readAll(partition))).toEqual(upTo(taken));
  // Rows of the tables are written all the same: messages for absent MQTT sessions, for one.
  await opened.store.tables.write(upTo(60).map((number) => [`mqtt/queue/${number}`, randomBytes(10_000)]));
  expect(await bytesIn(opened.folder, () => false)).toBeGreaterThan(BUDGET);
});

test('while records are refused, marks and positions go on, and what a mirror has sent makes room again', async () => {
  await open();
  const partition = await topic('t');
  opened.log.positions.pin('mirror/dc', partition);
  const taken = await fillUp(partition);
  for (let round = 0; round < 100; round += 1) {
    await opened.log.mark(`groups/${round % 3}`, Buffer.alloc(1000)).done();
  }
  expect(await bytesIn(opened.folder, () => false)).toBeLessThan(BUDGET);
  expect(opened.log.refusal()).toBeDefined();
  await opened.log.positions.set('mirror/dc', partition, { offset: taken }, true);
  await opened.log.whenRoom();
  await partition.append(batchOf(taken, 1));
  expect(partition.highWatermark).toBe(taken + 1);
  expect(partition.logStart).toBeGreaterThan(0);
  expect(opened.log.status()).toMatchObject({ state: 'ok', droppedUnsent: { batches: 0 }, dropped: { records: 0 } });
  expect(opened.log.losses().gaps).toEqual([]);
});

test('marks alone do not take a full card: a segment of nothing but marks is sealed early, and goes', async () => {
  await open();
  await topic('t');
  for (let round = 0; round < 40; round += 1) await opened.log.mark('groups/a', Buffer.alloc(8000, round)).done();
  const ids = async (): Promise<string[]> => (await readdir(join(opened.folder, 'segments'))).toSorted();
  await until('the first are gone', async () => !(await ids()).some((id) => id <= '00000004'));
  expect([...opened.log.marks('groups/a')]).toEqual([['groups/a', Buffer.alloc(8000, 39)]]);
});

test('the ceiling is passed by the copy of a damaged segment, until the damaged one goes', async () => {
  await open({ retentionIntervalMs: 3_600_000 });
  const taken = await fillUp(await topic('t'));
  await opened.reopenAfter(() => rm(join(opened.folder, 'segments', '00000001', 'CURRENT')));
  expect(numbersOf(await readAll(opened.log.topic('t')!.partitions[0]!))).toEqual(upTo(taken));
  expect(await bytesIn(opened.folder, () => false)).toBeGreaterThan(BUDGET);
  await opened.reopen({ retentionIntervalMs: 20 });
  await until('the damaged one is gone', () => opened.log.losses().quarantine.length === 0);
  expect(await bytesIn(opened.folder, () => false)).toBeLessThan(BUDGET);
  expect(numbersOf(await readAll(opened.log.topic('t')!.partitions[0]!))).toEqual(upTo(taken));
});

test('what is mirrored goes before what may be dropped, and what may be dropped before anything is refused', async () => {
  const budgetBytes = 2 * BUDGET;
  await open({ budgetBytes });
  const kept = await topic('kept');
  const mirrored = await topic('mirrored');
  const newest = await topic('newest', { whenFull: 'drop-oldest' });
  opened.log.positions.pin('mirror/dc', mirrored);
  opened.log.positions.pin('mirror/dc', newest);
  // It sends faster than they come.
  await opened.log.positions.set('mirror/dc', mirrored, { offset: 1000 }, true);
  await fill(newest, 40);
  await fill(mirrored, 300);
  await until('what is mirrored to go', () => mirrored.logStart > 0);
  expect([newest.logStart, opened.log.status().dropped.records]).toEqual([0, 0]);
  const most = await fill(newest, 300);
  expect(newest.logStart).toBeGreaterThan(39);
  expect(most).toBeLessThan(budgetBytes);
  await fill(kept, 10);
  expect(numbersOf(await readAll(kept))).toEqual(upTo(10));
});

test('drop-oldest takes the newest, and tells what it dropped as one gap, over a restart', async () => {
  await open();
  const partition = await topic('t', { whenFull: 'drop-oldest' });
  opened.log.positions.pin('mirror/dc', partition);
  const most = await fill(partition, 250);
  expect(most).toBeLessThan(BUDGET);
  expect(numbersOf(await readAll(partition))).toContain(249);
  await until('what is dropped is gone', () => opened.log.status().dropped.records === partition.logStart);
  const { dropped, droppedUnsent, losses } = opened.log.status();
  expect(dropped.records).toBe(partition.logStart);
  expect(droppedUnsent.batches).toBe(partition.logStart);
  expect(losses).toMatchObject({ gaps: 0, records: 0 });
  const gap = { topic: 't', partition: 0, firstOffset: 0, lastOffset: partition.logStart - 1, cause: 'budget' };
  await until('the gap is told', async () => (await told()).at(-1)?.lastOffset === gap.lastOffset);
  await opened.reopen();
  // The start itself may need some room more.
  const [known] = opened.log.losses().gaps;
  expect(known).toMatchObject({ ...gap, lastOffset: expect.any(Number) as number });
  expect(known!.lastOffset).toBeGreaterThanOrEqual(gap.lastOffset);
  const records = await told();
  expect(records.at(-1)).toMatchObject({ topic: 't', reason: expect.stringContaining('drop-oldest') as string });
  // Each range is told once, and they join.
  for (const [index, { firstOffset }] of records.entries()) {
    if (index > 0) expect(firstOffset).toBe(records[index - 1]!.lastOffset + 1);
  }
});

test('what may go is let go from between what stays, and what stays is all there', async () => {
  const budgetBytes = 2 * BUDGET;
  await open({ budgetBytes, cleaningIntervalMs: 20 });
  const kept = await topic('kept');
  const newest = await topic('newest', { whenFull: 'drop-oldest' });
  let most = 0;
  for (let round = 0; round < 22; round += 1) {
    await appendPatiently(kept, round);
    most = Math.max(most, await fill(newest, 20));
  }
  expect(most).toBeLessThan(budgetBytes);
  expect(newest.logStart).toBeGreaterThan(100);
  expect(numbersOf(await readAll(kept))).toEqual(upTo(22));
  const records = await readAll(newest);
  expect(records[0]!.offset).toBe(newest.logStart);
  await until('what is dropped is counted', () => opened.log.status().dropped.records === newest.logStart);
});

test('a disk that others fill makes the log read-only, and costs no record that is not upstream', async () => {
  await open({ budgetBytes: 1e12 });
  const sent = await topic('sent');
  const newest = await topic('newest', { whenFull: 'drop-oldest' });
  opened.log.positions.pin('mirror/dc', sent);
  await opened.log.positions.set('mirror/dc', sent, { offset: 1000 }, true);
  await fill(newest, 60);
  await fill(sent, 120);
  await opened.store.whenSealed();
  const { store } = opened;
  const { space } = store;
  store.space = () => ({ ...space(), freeBytes: 0 });
  await opened.log.mark('look', null).done();
  expect(opened.log.status()).toMatchObject({ state: 'read-only', reason: expect.stringContaining('disk') as string });
  await expect(newest.append(batchOf(60, 1))).rejects.toMatchObject(REFUSED);
  await until('what is upstream goes', () => sent.logStart > 0);
  // Nothing more goes, however often it is looked for.
  await systemClock.sleep(200);
  expect([newest.logStart, opened.log.status().dropped.records]).toEqual([0, 0]);
  store.space = space;
  await opened.log.whenRoom();
  await newest.append(batchOf(60, 1));
});

interface Told {
  topic: string;
  firstOffset: number;
  lastOffset: number;
  reason: string;
}

async function told(): Promise<Told[]> {
  const partition = opened.log.topic(GAPS_TOPIC)?.partitions[0];
  const records = partition === undefined ? [] : await readAll(partition);
  return records.map(({ value }) => JSON.parse(value!.toString('utf8')) as Told);
}

test('a topic that keeps the latest of each key loses none of them for having been mirrored', async () => {
  await open();
  const partition = await topic('t', { cleanup: 'compact' });
  opened.log.positions.pin('mirror/dc', partition);
  const record = { timestampMs: 1_700_000_000_000, key: Buffer.from('a'), value: Buffer.alloc(10) };
  await partition.append(encodeBatch([record]));
  await opened.log.positions.set('mirror/dc', partition, { offset: 1 }, true);
  const other = await topic('other', { whenFull: 'drop-oldest' });
  await fillUp(other);
  await systemClock.sleep(50);
  expect(partition.logStart).toBe(0);
});

test('what was sealed meanwhile and is mirrored is taken before anything is dropped', async () => {
  await open();
  const newest = await topic('newest', { whenFull: 'drop-oldest' });
  const sent = await topic('sent');
  opened.log.positions.pin('mirror/dc', sent);
  await fill(newest, 5);
  const { tables } = opened.store;
  const { write } = tables;
  let isSlow = true;
  tables.write = async (changes) => {
    const isSealing = changes.some(([key, value]) => key.startsWith('segment/') && value !== null);
    while (isSealing && isSlow && opened.store.sealed().length > 0) await systemClock.sleep(5);
    return write(changes);
  };
  const taken = await fillUp(sent);
  await opened.log.positions.set('mirror/dc', sent, { offset: taken }, true);
  await systemClock.sleep(50);
  isSlow = false;
  await opened.log.whenRoom();
  expect(opened.log.status().dropped.records).toBe(0);
});
