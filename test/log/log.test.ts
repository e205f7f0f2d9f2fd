// The log's promises on a real store: offsets without gaps, group commits, retention, and what survives a restart.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { HeadwaterError } from '../../src/errors.ts';
import { encodeBatch } from '../../src/formats/batch.ts';
import { crc32c } from '../../src/formats/checksum.ts';
import type { Partition } from '../../src/log/log.ts';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from './open-log.ts';

let opened: OpenLogFolder;

beforeEach(async () => {
  opened = await openLogFolder();
});
afterEach(() => opened.remove());

function partitionOf(name: string, index = 0): Partition {
  return opened.log.ensureTopic(name).partitions[index]!;
}

test('appended records can be read by offset, and offsets have no gaps', async () => {
  const partition = partitionOf('t');
  expect(await partition.append(batchOf(0, 3))).toEqual({ baseOffset: 0, isDuplicate: false });
  expect(await partition.append(batchOf(3, 2))).toEqual({ baseOffset: 3, isDuplicate: false });
  expect(partition.highWatermark).toBe(5);
  expect(numbersOf(await readAll(partition))).toEqual([0, 1, 2, 3, 4]);
  expect(await partition.read(5, 1000)).toEqual([]);
  await expect(partition.read(6, 1000)).rejects.toThrow('is not between 0 and 5');
});

test('appends of one turn share one commit, over all partitions', async () => {
  const first = partitionOf('a');
  const second = partitionOf('b');
  const before = opened.log.status().commits.count;
  await Promise.all([first.append(batchOf(0, 1)), second.append(batchOf(0, 1)), first.append(batchOf(1, 1))]);
  expect(opened.log.status().commits.count).toBe(before + 1);
  expect(numbersOf(await readAll(first))).toEqual([0, 1]);
});

test('a gathered batch is taken when its commit starts, with its mark', async () => {
  const partition = partitionOf('t');
  const commit = partition.gather({ take: () => batchOf(7, 2) });
  expect(opened.log.mark('qos2/x', Buffer.from('1'))).toBe(commit);
  await commit.done();
  expect(numbersOf(await readAll(partition))).toEqual([7, 8]);
  expect([...opened.log.marks('qos2/')]).toEqual([['qos2/x', Buffer.from('1')]]);
});

test('everything is there after a restart, over many segments', async () => {
  const partition = partitionOf('t');
  for (let next = 0; next < 600; next += 30) await partition.append(batchOf(next, 30, { bytes: 1000 }));
  await opened.store.whenSealed();
  expect(opened.store.sealed().length).toBeGreaterThan(0);
  const { bytes } = partition;
  const { clusterId } = opened.log;
  const { id } = opened.log.topic('t')!;
  await opened.reopen();
  const again = opened.log.topic('t')!;
  expect(again.id).toEqual(id);
  expect(opened.log.clusterId).toBe(clusterId);
  expect(again.partitions[0]!.highWatermark).toBe(600);
  expect(again.partitions[0]!.bytes).toBe(bytes);
  expect(numbersOf(await readAll(again.partitions[0]!))).toEqual(upTo(600));
});

test('a duplicate of an idempotent producer is answered with its first offset, also after a restart and a roll', async () => {
  const producer = { producerId: 9, producerEpoch: 0 };
  let partition = partitionOf('t');
  await partition.append(batchOf(0, 2, { ...producer, baseSequence: 0 }));
  await partition.append(batchOf(2, 2, { ...producer, baseSequence: 2 }));
  expect(await partition.append(batchOf(0, 2, { ...producer, baseSequence: 0 }))).toEqual({
    baseOffset: 0,
    isDuplicate: true,
  });
  await expect(partition.append(batchOf(9, 1, { ...producer, baseSequence: 9 }))).rejects.toMatchObject({
    code: 'SEQUENCE_OUT_OF_ORDER',
  });
  for (let next = 0; next < 300; next += 10) await partition.append(batchOf(next, 10, { bytes: 2000 }));
  expect(opened.store.sealed().length).toBeGreaterThan(0);
  await opened.reopen();
  partition = opened.log.topic('t')!.partitions[0]!;
  expect(await partition.append(batchOf(2, 2, { ...producer, baseSequence: 2 }))).toEqual({
    baseOffset: 2,
    isDuplicate: true,
  });
  expect(await partition.append(batchOf(4, 1, { ...producer, baseSequence: 4 }))).toMatchObject({ isDuplicate: false });
  expect(partition.producers()).toMatchObject([{ producerId: 9, producerEpoch: 0, lastSequence: 4 }]);
});

test('a wall clock that jumps does not make the log forget a producer, a day of silence does', async () => {
  let wallMs = 1_000_000;
  let silentMs = 0;
  const clock = {
    ...systemClock,
    wallMs: () => wallMs,
    monotonicMs: () => systemClock.monotonicMs() + silentMs,
  };
  await opened.reopen({ clock, retentionIntervalMs: 5 });
  const partition = partitionOf('t');
  await partition.append(batchOf(0, 1, { producerId: 9, producerEpoch: 0, baseSequence: 0 }));
  wallMs = 1_800_000_000_000;
  await systemClock.sleep(50);
  expect(partition.producers().length).toBe(1);
  silentMs = 25 * 3_600_000;
  while (partition.producers().length > 0) await systemClock.sleep(5);
});

test('two sends of one batch in the same commit are stored once', async () => {
  const partition = partitionOf('t');
  const sent = (): Buffer => batchOf(0, 2, { producerId: 9, producerEpoch: 0, baseSequence: 0 });
  const [first, second] = await Promise.all([partition.append(sent()), partition.append(sent())]);
  expect([first.isDuplicate, second.isDuplicate]).toEqual([false, true]);
  expect(partition.highWatermark).toBe(2);
});

test('a producer of an older epoch is fenced', async () => {
  const partition = partitionOf('t');
  await partition.append(batchOf(0, 1, { producerId: 9, producerEpoch: 3, baseSequence: 0 }));
  const old = partition.append(batchOf(0, 1, { producerId: 9, producerEpoch: 2, baseSequence: 0 }));
  await expect(old).rejects.toMatchObject({ code: 'PRODUCER_FENCED' });
});

test('batches that Kafka refuses are refused, and nothing is kept of them', async () => {
  const partition = partitionOf('t');
  const cut = batchOf(0, 2).subarray(0, -1);
  const damaged = batchOf(0, 2);
  damaged[70]! ^= 1;
  await expect(partition.append(cut)).rejects.toMatchObject({ code: 'FORMAT_TRUNCATED' });
  await expect(partition.append(damaged)).rejects.toMatchObject({ code: 'FORMAT_CORRUPT' });
  const large = encodeBatch([{ timestampMs: 0, key: null, value: Buffer.alloc(1024 * 1024) }], {});
  await expect(partition.append(large)).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' });
  const undecodable = batchOf(0, 2);
  undecodable[61] = 0x7f;
  undecodable.writeUInt32BE(crc32c(undecodable.subarray(21)), 17);
  await expect(partition.append(undecodable)).rejects.toThrow(HeadwaterError);
  expect(partition.highWatermark).toBe(0);
});

test('the first record at or after a time is found in any segment', async () => {
  const partition = partitionOf('t');
  for (let next = 0; next < 30; next += 1)
    await partition.append(batchOf(next, 1, { bytes: 30_000, timestampMs: 10_000 + next * 100 }));
  await opened.store.whenSealed();
  expect(opened.store.sealed().length).toBeGreaterThan(1);
  expect(await partition.offsetAtTime(0)).toEqual({ offset: 0, timestampMs: 10_000 });
  expect(await partition.offsetAtTime(10_995)).toEqual({ offset: 10, timestampMs: 11_000 });
  expect(await partition.offsetAtTime(12_900)).toEqual({ offset: 29, timestampMs: 12_900 });
  expect(await partition.offsetAtTime(12_901)).toBeUndefined();
});

test('records that were deleted stay deleted, and offsets go on behind them after a restart', async () => {
  const partition = partitionOf('t');
  await partition.append(batchOf(0, 10));
  expect(await partition.deleteRecords(4)).toBe(4);
  await expect(partition.read(3, 1000)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  await expect(partition.deleteRecords(11)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  expect(await partition.deleteRecords(-1)).toBe(10);
  await opened.reopen();
  expect(await opened.log.topic('t')!.partitions[0]!.append(batchOf(10, 1))).toMatchObject({ baseOffset: 10 });
});

test('a topic that was deleted is empty when it is made again', async () => {
  await partitionOf('t').append(batchOf(0, 3));
  const { id } = opened.log.topic('t')!;
  const gone = partitionOf('t');
  await opened.log.deleteTopic('t');
  await expect(gone.append(batchOf(0, 1))).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
  const made = await opened.log.createTopic('t', { partitions: 2 });
  expect(made.id).not.toEqual(id);
  await opened.reopen();
  expect(opened.log.topic('t')!.partitions.map((each) => each.highWatermark)).toEqual([0, 0]);
});

test('a topic that is made anew by who hears of its end is there after a restart', async () => {
  opened.log.ensureTopic('t');
  const stop = opened.log.onTopics(() => opened.log.ensureTopic('t'));
  await opened.log.deleteTopic('t');
  stop();
  await partitionOf('t').append(batchOf(0, 1));
  const { id } = opened.log.topic('t')!;
  await opened.reopen();
  expect(opened.log.topic('t')!.id).toEqual(id);
  expect(opened.log.topic('t')!.partitions[0]!.highWatermark).toBe(1);
});

test('offsets of records that the card has lost are not given again', async () => {
  await partitionOf('quiet').append(batchOf(0, 3));
  const busy = partitionOf('busy');
  for (let next = 0; opened.store.sealed().length === 0; next += 1)
    await busy.append(batchOf(next, 1, { bytes: 30_000 }));
  const { id } = opened.store.sealed()[0]!;
  await opened.log.close();
  await opened.store.close();
  await rm(join(opened.folder, 'segments', id.toString(16).padStart(8, '0')), { recursive: true });
  await opened.reopen();
  expect(partitionOf('quiet').highWatermark).toBe(0);
  // Not only at the first start behind the loss.
  await opened.reopen();
  expect(await partitionOf('quiet').append(batchOf(3, 1))).toMatchObject({ baseOffset: 3 });
  expect(numbersOf(await readAll(partitionOf('quiet')))).toEqual([3]);
});

test('a segment whose row is lost is read through, and what newer ones know of its producers is not taken back', async () => {
  const sent = (sequence: number): Buffer =>
    batchOf(sequence, 1, { producerId: 9, producerEpoch: 0, baseSequence: sequence });
  const roll = async (partition: Partition): Promise<void> => {
    const { length } = opened.store.sealed();
    while (opened.store.sealed().length === length) await partition.append(batchOf(0, 1, { bytes: 30_000 }));
    await opened.store.whenSealed();
  };
  const partition = partitionOf('t');
  await partition.append(sent(0));
  await roll(partition);
  const { baseOffset } = await partition.append(sent(1));
  await roll(partition);
  const rows: string[] = [];
  for await (const [key] of opened.store.tables.entries('range/')) rows.push(key);
  await opened.store.tables.write([
    ['segment/00000001', null],
    [rows[0]!, null],
  ]);
  const end = partition.highWatermark;

  await opened.reopen();

  const again = partitionOf('t');
  expect(await again.append(sent(1))).toEqual({ baseOffset, isDuplicate: true });
  expect(await again.append(sent(0))).toEqual({ baseOffset: 0, isDuplicate: true });
  expect((await readAll(again)).map(({ offset }) => offset)).toEqual(upTo(end));
  expect(opened.store.gaps()).toEqual([]);
});

test('names and settings that are not allowed are refused', async () => {
  for (const name of ['', '.', '..', 'a b', 'ä', 'x'.repeat(250)]) {
    expect(() => opened.log.ensureTopic(name)).toThrow('topic name');
  }
  await expect(opened.log.createTopic('t', { partitions: 0 })).rejects.toMatchObject({ code: 'TOPIC_INVALID' });
  await opened.log.createTopic('t');
  await expect(opened.log.createTopic('t')).rejects.toMatchObject({ code: 'TOPIC_EXISTS' });
  expect(opened.log.ensureTopic('__proto__').name).toBe('__proto__');
});

test('a configured topic is made at the start, and its settings are followed at the next', async () => {
  await opened.reopen({ topics: new Map([['t', { partitions: 2 }]]) });
  expect(opened.log.topic('t')!.partitions.length).toBe(2);
  await opened.reopen({ topics: new Map([['t', { partitions: 3, retentionMs: 5 }]]) });
  expect(opened.log.topic('t')!.settings).toMatchObject({ partitions: 3, retentionMs: 5 });
  expect(opened.log.topic('t')!.partitions.length).toBe(3);
});

test('waiting beyond an offset ends with the commit that passes it', async () => {
  const partition = partitionOf('t');
  let isOver = false;
  const waiting = partition.waitBeyond(1).then(() => (isOver = true));
  await partition.append(batchOf(0, 1));
  expect(isOver).toBe(false);
  await partition.append(batchOf(1, 1));
  await waiting;
  await partition.waitBeyond(5, AbortSignal.timeout(10));
});

test('producer ids are never given twice', async () => {
  const ids = await Promise.all([opened.log.newProducerId(), opened.log.newProducerId()]);
  await opened.reopen();
  ids.push(await opened.log.newProducerId());
  expect(new Set(ids).size).toBe(3);
});
