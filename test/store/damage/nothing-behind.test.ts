// Damage to what was written last, with nothing behind it that would show how far it went: after a start all of it lies in
// tables, and the write-ahead log is empty.

import { readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { batchOf, openLogFolder, upTo, type OpenLogFolder } from '../../log/open-log.ts';
import { append, compare, PARTITIONS, RECORD_BYTES } from './ledger.ts';
import { overwrite } from './rows.ts';

const PER_PARTITION = 30;

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
