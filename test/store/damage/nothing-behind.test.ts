// Damage to what was written last, with nothing behind it that would show how far it went: after a start all of it lies in
// tables, and the write-ahead log is empty.

import { readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { openGroups, type Groups } from '../../../src/groups/groups.ts';
import type { Speaker } from '../../../src/groups/state.ts';
import { batchOf, openLogFolder, silent, upTo, type OpenLogFolder } from '../../log/open-log.ts';
import { append, compare, PARTITIONS, RECORD_BYTES } from './ledger.ts';
import { overwrite } from './rows.ts';

const PER_PARTITION = 30;
const ALONE: Speaker = { memberId: '', instanceId: null, generation: -1 };

async function given(): Promise<OpenLogFolder> {
  const opened = await openLogFolder();
  onTestFinished(() => opened.remove());
  await opened.log.createTopic('t', { partitions: PARTITIONS, retentionBytes: 1e9 });
  await append(opened.log, PER_PARTITION);
  await opened.reopen();
  return opened;
}

/** Leaves so much of each table of the segment: batches are at its beginning, marks at its end. */
async function cutTables({ folder }: OpenLogFolder, share: number): Promise<void> {
  const segment = join(folder, 'segments', '00000001');
  for (const name of (await readdir(segment)).filter((each) => each.endsWith('.ldb'))) {
    const path = join(segment, name);
    await truncate(path, Math.floor((await stat(path)).size * share));
  }
}

test.each([0, 0.5, 0.9])(
  'of the tables %d is left: what is missing is in a gap, and its offsets are not given again',
  async (share) => {
    const opened = await given();

    await opened.reopenAfter(() => cutTables(opened, share));

    const lost = await compare(opened.store, opened.log, Array<number>(PARTITIONS).fill(PER_PARTITION));
    expect(lost).toBeGreaterThan(0);
    for (const partition of opened.log.topic('t')!.partitions) {
      expect((await partition.append(batchOf(0, 1))).baseOffset).toBeGreaterThanOrEqual(PER_PARTITION);
    }
  },
);

test('what lies beside the records goes with its part: QoS 2 ids, offsets of groups, states of producers', async () => {
  const opened = await openLogFolder();
  onTestFinished(() => opened.remove());
  const { partitions } = await opened.log.createTopic('t', { partitions: PARTITIONS });
  const open = (): Groups => openGroups({ log: opened.log, clock: systemClock, trace: silent });
  const first = open();
  await append(opened.log, PER_PARTITION);
  const producer = { producerId: 9, producerEpoch: 0, baseSequence: 0 };
  const sent = (): Buffer => batchOf(PER_PARTITION, 1, { ...producer, bytes: RECORD_BYTES });
  await partitions.at(-1)!.append(sent());
  opened.log.mark('mqtt/sensor', Buffer.of(1));
  await first.commit('g', ALONE, [{ topic: 't', partition: 0, offset: 7, leaderEpoch: 0, metadata: '' }]);
  first.close();
  const found = (): unknown => {
    const groups = open();
    const offset = groups.committed('g', 't', 0)?.offset;
    groups.close();
    const ids = opened.log.topic('t')!.partitions.flatMap((each) => each.producers().map((known) => known.producerId));
    return { marks: [...opened.log.marks('mqtt/')].length, offset, ids };
  };
  await opened.reopen();
  expect(found()).toEqual({ marks: 1, offset: 7, ids: [9] });

  await opened.reopenAfter(() => cutTables(opened, 0.5));

  expect(found()).toEqual({ marks: 0, offset: undefined, ids: [] });
  const sentAgain = await opened.log.topic('t')!.partitions.at(-1)!.append(sent());
  expect(sentAgain).toMatchObject({ isDuplicate: false });
});

test.each([
  ['entries', 396, 10_000],
  ['the beginning of a record', 0, 7],
])('zeros over %s in the write-ahead log', async (_, at, bytes) => {
  const opened = await given();
  await append(opened.log, 12);
  const folder = join(opened.folder, 'segments', '00000001');

  await opened.reopenAfter(async () => {
    const name = (await readdir(folder)).find((each) => each.endsWith('.log'))!;
    await overwrite(join(folder, name), at, Buffer.alloc(bytes));
  });

  const ends = Array<number>(PARTITIONS).fill(PER_PARTITION + 12);
  expect(await compare(opened.store, opened.log, ends)).toBeGreaterThanOrEqual(3);
});

test('nothing but entries of a log record whose checksum is wrong: those that are whole are kept', async () => {
  const opened = await openLogFolder();
  onTestFinished(() => opened.remove());
  const { partitions } = await opened.log.createTopic('t', { partitions: PARTITIONS });
  await Promise.all(upTo(6).map((index) => partitions[0]!.append(batchOf(index, 1, { bytes: RECORD_BYTES }))));

  await opened.reopenAfter(async () => {
    const folder = join(opened.folder, 'segments', '00000001');
    const name = (await readdir(folder)).find((each) => each.endsWith('.log'))!;
    await overwrite(join(folder, name), 2_000, Buffer.from('wrong'));
  });

  expect(await compare(opened.store, opened.log, [6, 0])).toBe(1);
});

test('the copy of the topics that was lost with it is there again with the next commit, when the tables go as well', async () => {
  const opened = await given();
  const { id } = opened.log.topic('t')!;

  await opened.reopenAfter(() => cutTables(opened, 0.5));
  await opened.log.topic('t')!.partitions[0]!.append(batchOf(0, 1));
  await opened.reopenAfter(() => rm(join(opened.folder, 'tables'), { recursive: true }));

  expect(opened.log.topic('t')?.id).toEqual(id);
  expect(opened.log.topic('t')!.settings.retentionBytes).toBe(1e9);
});
