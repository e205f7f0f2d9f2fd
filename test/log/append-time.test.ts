// message.timestamp.type=LogAppendTime: records have the time of their commit.

import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { decodeRecords, encodeBatch } from '../../src/formats/batch.ts';
import { openIntake } from '../../src/intake/intake.ts';
import { batchOf, openLogFolder, readAll, silent, type OpenLogFolder } from './open-log.ts';

const NOW_MS = 1_800_000_000_000;
let wallMs = NOW_MS;
const clock = { ...systemClock, wallMs: () => wallMs };

let opened: OpenLogFolder;
afterEach(() => opened.remove());

test('what clients and doors append has the time of its commit, is found by it, and keeps it over a restart', async () => {
  wallMs = NOW_MS;
  opened = await openLogFolder({ clock });
  const topic = await opened.log.createTopic('t', { timestampType: 'LogAppendTime' });
  const [partition] = topic.partitions;
  expect(await partition!.append(batchOf(0, 2))).toEqual({ baseOffset: 0, isDuplicate: false, appendTimeMs: NOW_MS });
  wallMs += 1000;
  const gathered = encodeBatch([{ timestampMs: 5, key: null, value: null }], { compression: 'zstd' });
  const commit = partition!.gather({ take: () => gathered });
  commit.grow(gathered.length);
  await commit.done();
  const times = async (): Promise<number[]> =>
    (await readAll(opened.log.topic('t')!.partitions[0]!)).map(({ timestampMs }) => timestampMs);
  expect(await times()).toEqual([NOW_MS, NOW_MS, NOW_MS + 1000]);
  expect(await partition!.offsetAtTime(NOW_MS + 1)).toEqual({ offset: 2, timestampMs: NOW_MS + 1000 });
  await opened.reopen();
  expect(await times()).toEqual([NOW_MS, NOW_MS, NOW_MS + 1000]);
});

test('a batch that is sent again is answered without a time, and appended once', async () => {
  opened = await openLogFolder({ clock });
  const topic = await opened.log.createTopic('t', { timestampType: 'LogAppendTime' });
  const batch = () => batchOf(0, 2, { producerId: 9, producerEpoch: 0, baseSequence: 0 });
  await topic.partitions[0]!.append(batch());
  expect(await topic.partitions[0]!.append(batch())).toEqual({ baseOffset: 0, isDuplicate: true });
  expect(topic.partitions[0]!.highWatermark).toBe(2);
});

test("what a door gathers has its topic's compression", async () => {
  opened = await openLogFolder({ clock: systemClock });
  const { log } = opened;
  const intake = openIntake({ log, routes: [], nodeName: 'n', clock: systemClock, trace: silent });
  for (const compression of ['gzip', 'uncompressed', 'producer'] as const) {
    await log.createTopic(compression, { compression });
    const value = Buffer.alloc(5000, 'x');
    await intake.accept({ topic: compression, key: null, value, timestampMs: 1 }).done();
  }
  intake.close();
  const ids = await Promise.all(
    ['gzip', 'uncompressed', 'producer'].map(async (name) => {
      const [batch] = await log.topic(name)!.partitions[0]!.read(0, 1e6);
      expect(decodeRecords(batch!)).toHaveLength(1);
      return batch!.readInt16BE(21) & 7;
    }),
  );
  expect(ids).toEqual([1, 0, 4]);
});
