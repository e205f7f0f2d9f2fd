// What an acknowledgement means, by the topic's durability, on a real store.

import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Partition } from '../../src/log/log.ts';
import { until } from '../parts/until.ts';
import { batchOf, numbersOf, openLogFolder, readAll, type OpenLogFolder } from './open-log.ts';

const RELAXED_MS = 300;
let opened: OpenLogFolder;

beforeEach(async () => {
  // One credit in an hour: what is committed sooner was not paid for.
  opened = await openLogFolder({ commitIntervalMs: 3_600_000, commitRelaxedMs: RELAXED_MS });
  await opened.log.mark('takes the credit', Buffer.from('1')).done();
});
afterEach(() => opened.remove());

async function partitionOf(durability: 'synced' | 'immediate' | 'relaxed'): Promise<Partition> {
  return (await opened.log.createTopic(durability, { durability })).partitions[0]!;
}

test('immediate: a record is on the card without a credit, however it came', async () => {
  const partition = await partitionOf('immediate');
  expect(await partition.append(batchOf(0, 1))).toEqual({ baseOffset: 0, isDuplicate: false });
  await partition.gather({ take: () => batchOf(1, 1) }).done();
  expect(numbersOf(await readAll(partition))).toEqual([0, 1]);
});

test('relaxed: a record is acknowledged when it is taken, and can be read when it is on the card', async () => {
  const partition = await partitionOf('relaxed');
  expect(await partition.append(batchOf(0, 1))).toEqual({ baseOffset: -1, isDuplicate: false });
  const commit = partition.gather({ take: () => batchOf(1, 1) });
  opened.log.mark('goes with it', Buffer.from('1'), 'relaxed');
  await commit.done();
  expect(partition.highWatermark).toBe(0);
  expect([...opened.log.marks('goes')]).toEqual([]);
  await until('the time is up', () => partition.highWatermark === 2);
  expect(numbersOf(await readAll(partition))).toEqual([0, 1]);
  expect([...opened.log.marks('goes')].length).toBe(1);
});

test('relaxed: whoever numbers records gets the offset, and what comes twice is answered with the first', async () => {
  const partition = await partitionOf('relaxed');
  const hurry = await partitionOf('immediate');
  const batch = (): Buffer => batchOf(0, 2, { producerId: 7, producerEpoch: 0, baseSequence: 0 });
  for (const isDuplicate of [false, true]) {
    const appended = partition.append(batch());
    await hurry.append(batchOf(0, 1));
    expect(await appended).toEqual({ baseOffset: 0, isDuplicate });
  }
});

test('relaxed: closing the log commits what waits', async () => {
  const partition = await partitionOf('relaxed');
  await partition.append(batchOf(0, 3));
  expect(partition.highWatermark).toBe(0);
  await opened.reopen();
  const again = opened.log.topic('relaxed')!;
  expect(again.settings.durability).toBe('relaxed');
  expect(numbersOf(await readAll(again.partitions[0]!))).toEqual([0, 1, 2]);
});

test('a topic has one of three', async () => {
  const wrong = opened.log.createTopic('t', { durability: 'soon' as 'synced' });
  await expect(wrong).rejects.toThrow('durability soon: use synced or immediate or relaxed');
});
