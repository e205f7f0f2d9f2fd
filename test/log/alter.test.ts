// Topics that are changed while they are in use.

import { afterEach, expect, test } from 'vitest';
import { openIntake } from '../../src/intake/intake.ts';
import { systemClock } from '../../src/clock.ts';
import { batchOf, numbersOf, openLogFolder, readAll, silent, type OpenLogFolder } from './open-log.ts';

let opened: OpenLogFolder;
afterEach(() => opened.remove());

test('partitions are added at once, keep what they have, and are there after a restart', async () => {
  opened = await openLogFolder();
  const topic = await opened.log.createTopic('t');
  await topic.partitions[0]!.append(batchOf(0, 2));
  let told = 0;
  opened.log.onTopics(() => (told += 1));
  const altered = opened.log.alterTopic('t', { partitions: 3 });
  const appended = topic.partitions[2]!.append(batchOf(7, 1));
  await altered;
  expect([await appended, told]).toEqual([{ baseOffset: 0, isDuplicate: false }, 1]);
  await Promise.all([
    opened.log.alterTopic('t', { partitions: 4 }),
    opened.log.alterTopic('t', { partitions: 5, retentionMs: 9000 }),
  ]);
  await opened.reopen();
  const again = opened.log.topic('t')!;
  expect([again.partitions.length, again.settings.retentionMs]).toEqual([5, 9000]);
  expect(numbersOf(await readAll(again.partitions[0]!))).toEqual([0, 1]);
  expect(numbersOf(await readAll(again.partitions[2]!))).toEqual([7]);
  await again.partitions[4]!.append(batchOf(8, 1));
});

test('records find their way to partitions that were added', async () => {
  opened = await openLogFolder();
  const { log } = opened;
  const intake = openIntake({ log, routes: [], nodeName: 'n', clock: systemClock, trace: silent });
  const topic = await log.createTopic('t');
  await intake.accept({ topic: 't', key: null, value: Buffer.from('1') }).done();
  await log.alterTopic('t', { partitions: 2 });
  await intake.accept({ topic: 't', partition: 1, key: null, value: Buffer.from('2') }).done();
  expect(numbersOf(await readAll(topic.partitions[1]!))).toEqual([2]);
  intake.close();
});

test('what the configuration gives, fewer partitions and unknown topics are refused', async () => {
  opened = await openLogFolder({ topics: new Map([['t', { partitions: 2, retentionMs: 5000 }]]) });
  const { log } = opened;
  await expect(log.alterTopic('t', { retentionMs: 6000 })).rejects.toThrow('is set in the configuration of the node');
  await expect(log.alterTopic('t', { partitions: 1 })).rejects.toThrow('is set in the configuration of the node');
  await log.alterTopic('t', { retentionMs: 5000, retentionBytes: 7 });
  await log.createTopic('free', { partitions: 2 });
  await expect(log.alterTopic('free', { partitions: 1 })).rejects.toThrow('can only grow');
  await expect(log.alterTopic('free', { retentionMs: -2 })).rejects.toThrow('use -1 or more');
  await expect(log.alterTopic('nowhere', {})).rejects.toThrow('there is no topic nowhere');
  expect(log.topic('t')!.settings).toMatchObject({ retentionMs: 5000, retentionBytes: 7 });
});

test('a topic that is made without a number has the partitions of the node, unless the configuration names it', async () => {
  const configured = new Map([['named', { partitions: 2 }]]);
  opened = await openLogFolder({ partitionsByDefault: 3, topics: configured });
  const { log } = opened;
  await log.createTopic('given', { partitions: 5 });
  await log.createTopic('made');
  log.ensureTopic('ensured');
  const counts = ['given', 'made', 'ensured', 'named'].map((name) => log.topic(name)!.partitions.length);
  expect(counts).toEqual([5, 3, 3, 2]);
});
