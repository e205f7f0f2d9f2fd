// Retention: topics' own rules, and what mirrors pin.

import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { encodeBatch } from '../../src/formats/batch.ts';
import type { LogNeeds, Partition } from '../../src/log/log.ts';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from './open-log.ts';

let opened: OpenLogFolder;
afterEach(() => opened.remove());

async function open(needs: Partial<LogNeeds>): Promise<void> {
  opened = await openLogFolder({ retentionIntervalMs: 5, ...needs });
}

/** Ten batches a commit: a sync of the disk may take a tenth of a second. */
async function fill(partition: Partition, count: number, timestampMs = Date.now()): Promise<void> {
  for (let done = 0; done < count; done += 10) {
    const first = partition.highWatermark;
    const batches = upTo(Math.min(10, count - done)).map((index) =>
      batchOf(first + index, 1, { bytes: 3000, timestampMs }),
    );
    await Promise.all(batches.map((batch) => partition.append(batch)));
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a partition above its bytes loses its oldest segments, and their space comes back', async () => {
  await open({});
  const topic = await opened.log.createTopic('t', { retentionBytes: 500_000 });
  const [partition] = topic.partitions as [Partition];
  await fill(partition, 600);
  await until(() => partition.bytes < 900_000 && opened.store.sealed().length <= 3);
  expect(partition.bytes).toBeGreaterThan(500_000);
  expect(numbersOf(await readAll(partition)).at(-1)).toBe(599);
  expect((await readAll(partition))[0]!.offset).toBe(partition.logStart);
});

test('records that go while their segment is still written are taken from the bytes once', async () => {
  await open({});
  const topic = await opened.log.createTopic('t', { retentionBytes: 0 });
  const [partition] = topic.partitions as [Partition];
  for (const end of [10, 20, 30]) {
    await fill(partition, 10);
    await until(() => partition.logStart === end && partition.bytes === 0);
  }
});

test('old records go by their time, young ones stay', async () => {
  await open({});
  const topic = await opened.log.createTopic('t', { retentionMs: 60_000 });
  const [partition] = topic.partitions as [Partition];
  await fill(partition, 200, Date.now() - 120_000);
  await fill(partition, 200);
  await until(() => partition.logStart > 0 && opened.store.sealed().length <= 3);
  expect(numbersOf(await readAll(partition)).slice(-200)[0]).toBe(200);
});

test('what a mirror has not sent is kept until it is sent', async () => {
  await open({});
  const topic = await opened.log.createTopic('t', { retentionBytes: 0 });
  const [partition] = topic.partitions as [Partition];
  opened.log.positions.pin('mirror/dc', partition);
  await opened.log.positions.set('mirror/dc', partition, { offset: 10 }, true);
  await fill(partition, 300);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(partition.logStart).toBeLessThanOrEqual(10);
  await opened.log.positions.set('mirror/dc', partition, { offset: 300 }, false);
  await until(() => partition.logStart > 200);
  expect(opened.log.status().droppedUnsent).toEqual({ batches: 0, bytes: 0 });
});

test('records that came before the wall clock was set right are kept as long as the others', async () => {
  const retentionMs = 3_600_000;
  let wallMs = Date.UTC(2025, 0, 1);
  let passedMs = 0;
  const clock = { ...systemClock, wallMs: () => wallMs + passedMs, monotonicMs: () => passedMs };
  await open({ clock, commitIntervalMs: 0 });
  const [partition] = (await opened.log.createTopic('t', { retentionMs })).partitions as [Partition];
  await fill(partition, 5, clock.wallMs());
  await systemClock.sleep(20);
  wallMs = Date.UTC(2026, 0, 1);
  await systemClock.sleep(50);
  expect(partition.logStart).toBe(0);
  passedMs = retentionMs + 1;
  await until(() => partition.logStart === 5);
});

test('records with the time of a clock that was never set do not go by their time', async () => {
  await open({});
  const [partition] = (await opened.log.createTopic('t', { retentionMs: 1 })).partitions as [Partition];
  await fill(partition, 3, 1000);
  await systemClock.sleep(50);
  expect(partition.logStart).toBe(0);
});

test('positions survive a restart', async () => {
  await open({});
  const [partition] = opened.log.ensureTopic('t').partitions as [Partition];
  await opened.log.positions.set('mirror/dc', partition, { offset: 3, state: { producerId: 5 } }, true);
  await opened.log.positions.set('mirror/b', partition, { offset: 4 }, false);
  await opened.reopen();
  const [again] = opened.log.topic('t')!.partitions as [Partition];
  expect(opened.log.positions.get('mirror/dc', again)).toEqual({ offset: 3, state: { producerId: 5 } });
  expect(opened.log.positions.get('mirror/b', again)).toEqual({ offset: 4 });
});

test('age and bytes take nothing from a topic that is only compacted', async () => {
  await open({});
  const settings = { retentionMs: 1, retentionBytes: 0 };
  const [kept] = (await opened.log.createTopic('kept', { ...settings, cleanup: 'compact' })).partitions as [Partition];
  const [both] = (await opened.log.createTopic('both', { ...settings, cleanup: 'compact,delete' })).partitions;
  const record = { timestampMs: Date.now() - 60_000, key: Buffer.from('a'), value: Buffer.from('1') };
  for (const partition of [kept, both!]) await partition.append(encodeBatch([record]));
  await until(() => both!.logStart === 1);
  expect(kept.logStart).toBe(0);
});

test('a topic whose pin is none does not wait for its mirror', async () => {
  await open({});
  const [partition] = (await opened.log.createTopic('t', { retentionBytes: 0, pin: 'none' })).partitions as [Partition];
  opened.log.positions.pin('mirror/dc', partition);
  await fill(partition, 10);
  await until(() => partition.logStart === 10);
});
