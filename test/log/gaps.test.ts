// What a lost range means to those who read: they go on behind it, it is listed, and it is told in a topic.

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GAPS_TOPIC } from '../../src/log/gaps.ts';
import type { Partition } from '../../src/log/log.ts';
import { until } from '../parts/until.ts';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from './open-log.ts';

let opened: OpenLogFolder;
let partition: Partition;

beforeEach(async () => {
  opened = await openLogFolder({ retentionIntervalMs: 20 });
  [partition] = (await opened.log.createTopic('t', { retentionMs: -1 })).partitions as [Partition];
});
afterEach(() => opened.remove());

async function fill(count: number): Promise<void> {
  const first = partition.highWatermark;
  await Promise.all(upTo(count).map((index) => partition.append(batchOf(first + index, 1, { bytes: 3000 }))));
}

/** Two sealed segments and more; the first of them is gone after a restart. Returns the first offset behind it. */
async function loseFirstSegment(): Promise<number> {
  for (let round = 0; round < 4; round += 1) await fill(75);
  await opened.store.whenSealed();
  const [first] = opened.store.sealed();
  const [range] = await opened.store.rangesIn(first!.id);
  await opened.reopenAfter(() => rm(join(opened.folder, 'segments', '00000001'), { recursive: true }));
  partition = opened.log.topic('t')!.partitions[0]!;
  return range!.lastOffset + 1;
}

async function told(): Promise<unknown[]> {
  const topic = opened.log.topic(GAPS_TOPIC);
  if (topic === undefined) return [];
  const records = await readAll(topic.partitions[0]!);
  return records.map(({ key, value }) => [key!.toString(), JSON.parse(value!.toString('utf8'))]);
}

test('a reader goes on behind a gap, and the gap is listed and told once', async () => {
  const behind = await loseFirstSegment();
  expect(numbersOf(await readAll(partition, 0))[0]).toBe(behind);
  const reason = 'segment 1: its folder is missing';
  const gap = { topic: 't', partition: 0, firstOffset: 0, lastOffset: behind - 1, records: behind, reason };
  expect(opened.log.losses().gaps).toEqual([{ ...gap, cause: 'card', atMs: expect.any(Number) as number }]);
  expect(opened.log.status().losses).toMatchObject({ gaps: 1, records: behind });
  await until('the record of the gap', async () => (await told()).length > 0);
  await opened.reopen();
  await until('the next start to look', () => opened.store.gaps().every(({ isTold }) => isTold === true));
  expect(await told()).toEqual([['t/0', { ...gap, at: expect.stringMatching(/^20.*Z$/) as string }]]);
});

test('a log that is only looked at lists its gaps and tells none', async () => {
  await opened.reopen({ tellsGaps: false });
  partition = opened.log.topic('t')!.partitions[0]!;
  await partition.append(batchOf(0, 1));
  await opened.store.addGaps([{ partition: 0, firstOffset: 0, lastOffset: 0 }], 'a test');
  // A start tells what it finds untold, and a stop waits for that.
  await opened.reopen({ tellsGaps: false });
  await opened.reopen({ tellsGaps: false });
  expect(opened.log.losses().gaps).toHaveLength(1);
  expect(opened.log.topic(GAPS_TOPIC)).toBeUndefined();
});

test('a gap is forgotten when the log start has passed it', async () => {
  const behind = await loseFirstSegment();
  await partition.deleteRecords(behind - 1);
  await until('retention to run', () => partition.logStart === behind - 1);
  expect(opened.log.losses().gaps.length).toBe(1);
  await partition.deleteRecords(behind);
  await until('the gap to be forgotten', () => opened.log.losses().gaps.length === 0);
});

test('who has seen what was last before it was lost waits for what comes, and no offset is given twice', async () => {
  await fill(10);
  await opened.reopenAfter(async () => {
    const folder = join(opened.folder, 'segments', '00000001');
    for (const name of await readdir(folder)) if (name.endsWith('.log')) await rm(join(folder, name));
  });
  partition = opened.log.topic('t')!.partitions[0]!;
  expect(partition.highWatermark).toBe(0);
  expect(await partition.read(10, 1000)).toEqual([]);
  const waiting = partition.waitBeyond(10);
  const { baseOffset } = await partition.append(batchOf(0, 1));
  expect(baseOffset).toBeGreaterThan(10);
  await waiting;
  expect((await readAll(partition, 10)).map(({ offset }) => offset)).toEqual([baseOffset]);
  expect(opened.log.losses().gaps[0]).toMatchObject({ firstOffset: 0, lastOffset: baseOffset - 1 });
});

test('the budget removes what was set aside before any record, also one that is upstream', async () => {
  for (let round = 0; round < 4; round += 1) await fill(75);
  await opened.log.positions.set('mirror/dc', partition, { offset: 300 }, true);
  await opened.store.whenSealed();
  await opened.reopenAfter(() => rm(join(opened.folder, 'segments', '00000001', 'CURRENT')));
  partition = opened.log.topic('t')!.partitions[0]!;
  expect(numbersOf(await readAll(partition)).length).toBe(300);
  expect(opened.log.losses().quarantine).toMatchObject([{ name: '00000001.1' }]);
  await opened.store.measure();
  const { usedBytes, ballastBytes, ballastTargetBytes, workBytes } = opened.store.space();
  const needed = usedBytes - ballastBytes + ballastTargetBytes + workBytes - opened.log.status().losses.quarantineBytes;
  await opened.reopen({ budgetBytes: needed + workBytes });
  opened.log.positions.pin('mirror/dc', opened.log.topic('t')!.partitions[0]!);
  await until('the budget to be kept', () => opened.log.losses().quarantine.length === 0);
  expect(numbersOf(await readAll(opened.log.topic('t')!.partitions[0]!)).length).toBe(300);
});
