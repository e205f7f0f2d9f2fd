// What transactions leave in the log: where stable records end, what was aborted, and that both are there after a restart.

import { afterEach, expect, test } from 'vitest';
import { checkBatch, decodeRecords, encodeBatch, readBatchHeader } from '../../src/formats/batch.ts';
import type { Partition } from '../../src/log/log.ts';
import { batchOf, numbersOf, openLogFolder, type OpenLogFolder } from './open-log.ts';

let opened: OpenLogFolder;

afterEach(() => opened.remove());

async function openPartition(): Promise<Partition> {
  opened = await openLogFolder();
  await opened.log.createTopic('t');
  return partition();
}

const partition = (): Partition => opened.log.topic('t')!.partitions[0]!;

/** Records `first`, `first + 1`, ... of a producer's transaction. */
function within(producerId: number, first: number, count: number, baseSequence = 0, producerEpoch = 0): Buffer {
  const records = Array.from({ length: count }, (_, index) => ({
    timestampMs: 1_700_000_000_000,
    key: null,
    value: Buffer.from(String(first + index)),
  }));
  return encodeBatch(records, { producerId, producerEpoch, baseSequence, isTransactional: true });
}

function end(of: Partition, producerId: number, isCommit: boolean, producerEpoch = 0): Promise<void> {
  return of.endTransaction({ producerId, producerEpoch, isCommit }).done();
}

/** What a reader of committed records gets. */
async function committed(of: Partition): Promise<number[]> {
  const batches = await of.readStable(of.logStart, 1_000_000);
  return numbersOf(
    batches.filter((batch) => of.isData(readBatchHeader(batch))).flatMap((batch) => decodeRecords(batch)),
  );
}

test('stable records end where the oldest open transaction begins, and readers wait for its end', async () => {
  const it = await openPartition();
  await it.append(batchOf(0, 2));
  await it.append(within(7, 2, 2), true);
  await it.append(batchOf(4, 1));
  expect([it.lastStableOffset, it.highWatermark]).toEqual([2, 5]);
  expect(await committed(it)).toEqual([0, 1]);
  let isAwake = false;
  const woken = it.waitBeyond(2).then(() => (isAwake = true));
  await it.append(batchOf(5, 1));
  expect(isAwake).toBe(false);
  await end(it, 7, true);
  await woken;
  expect([it.lastStableOffset, it.highWatermark]).toEqual([7, 7]);
  expect(await committed(it)).toEqual([0, 1, 2, 3, 4, 5]);
});

test('what was aborted is told by its range, and is no data; so is the marker', async () => {
  const it = await openPartition();
  await it.append(within(7, 0, 2), true);
  await it.append(within(8, 2, 1), true);
  await end(it, 7, false);
  expect(it.lastStableOffset).toBe(2);
  await it.append(within(7, 3, 1, 2), true);
  await end(it, 8, true);
  await end(it, 7, true);
  expect(it.abortedBetween(0, 7)).toEqual([{ producerId: 7, firstOffset: 0, lastOffset: 3 }]);
  expect(it.abortedBetween(4, 7)).toEqual([]);
  expect(await committed(it)).toEqual([2, 3]);
  const marker = (await it.read(3, 1))[0]!;
  expect(checkBatch(marker)).toMatchObject({ producerId: 7, producerEpoch: 0, baseSequence: -1, attributes: 0x30 });
  expect(decodeRecords(marker)).toMatchObject([{ offset: 3, control: 'abort' }]);
});

test('the list of a range leaves out what was aborted before and behind it', async () => {
  const it = await openPartition();
  await it.append(within(1, 0, 1), true);
  for (let sequence = 0; sequence < 5; sequence += 1) {
    await it.append(within(2, 1, 1, sequence), true);
    await end(it, 2, false);
  }
  await end(it, 1, false);
  const all = it.abortedBetween(0, 12);
  expect(all.map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset])).toEqual(
    [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [0, 11]], // prettier-ignore
  );
  // The one that began first ended last: it reaches into every range.
  expect(it.abortedBetween(5, 6).map(({ firstOffset }) => firstOffset)).toEqual([5, 0]);
});

test('a batch without a registered partition, and one outside of the open transaction, are refused', async () => {
  const it = await openPartition();
  await expect(it.append(within(7, 0, 1))).rejects.toMatchObject({ code: 'TRANSACTION_STATE' });
  await it.append(within(7, 0, 1), true);
  const outside = batchOf(1, 1, { producerId: 7, producerEpoch: 0, baseSequence: 1 });
  await expect(it.append(outside)).rejects.toMatchObject({ code: 'TRANSACTION_STATE' });
  await end(it, 7, true);
  await it.append(batchOf(1, 1, { producerId: 7, producerEpoch: 0, baseSequence: 1 }));
  expect(it.highWatermark).toBe(3);
});

test('the epoch of a marker fences older ones, and the newer one begins at sequence 0', async () => {
  const it = await openPartition();
  await it.append(within(7, 0, 1), true);
  await end(it, 7, false, 1);
  await expect(it.append(within(7, 1, 1, 1), true)).rejects.toMatchObject({ code: 'PRODUCER_FENCED' });
  await expect(it.append(within(7, 1, 1, 1, 1), true)).rejects.toMatchObject({ code: 'SEQUENCE_OUT_OF_ORDER' });
  await it.append(within(7, 1, 1, 0, 1), true);
  expect(it.producers()).toMatchObject([
    { producerEpoch: 1, lastSequence: 0, coordinatorEpoch: 0, transactionStart: 2 },
  ]);
});

test('open and aborted transactions are the same after a restart, over rolls of segments as well', async () => {
  const it = await openPartition();
  await it.append(within(1, 0, 2), true);
  await it.append(within(2, 2, 1), true);
  await end(it, 2, false);
  const filler = async (): Promise<void> => {
    // Two segments and some more.
    for (let index = 0; index < 12; index += 1) await partition().append(batchOf(0, 1, { bytes: 60_000 }));
  };
  const seen = (): unknown => {
    const { lastStableOffset, highWatermark } = partition();
    return { lastStableOffset, highWatermark, aborted: partition().abortedBetween(0, highWatermark) };
  };
  await opened.reopen();
  expect(seen()).toMatchObject({ lastStableOffset: 0, aborted: [{ producerId: 2, firstOffset: 2, lastOffset: 3 }] });
  await filler();
  await opened.store.whenSealed();
  await opened.reopen();
  expect(seen()).toMatchObject({ lastStableOffset: 0, aborted: [{ producerId: 2, firstOffset: 2, lastOffset: 3 }] });
  await partition().append(within(3, 0, 1), true);
  await partition().append(within(1, 0, 1, 2), true);
  await end(partition(), 1, false);
  const before = seen();
  expect(before).toMatchObject({
    lastStableOffset: 16,
    aborted: [{ producerId: 2 }, { producerId: 1, firstOffset: 0 }],
  });
  await opened.reopen();
  expect(seen()).toEqual(before);
  await filler();
  await opened.store.whenSealed();
  await end(partition(), 3, true);
  await opened.reopen();
  expect(partition().lastStableOffset).toBe(partition().highWatermark);
  expect(partition().isData(readBatchHeader((await partition().read(0, 1))[0]!))).toBe(false);
});

test('what was aborted is forgotten below the log start, and with its topic', async () => {
  const it = await openPartition();
  await it.append(within(1, 0, 1), true);
  await end(it, 1, false);
  await it.append(within(1, 0, 1, 1), true);
  await end(it, 1, false);
  await it.deleteRecords(2);
  await opened.reopen({ retentionIntervalMs: 5 });
  const marks = (): string[] => [...opened.log.marks('aborted/')].map(([key]) => key);
  await expect.poll(marks).toEqual(['aborted/0/3']);
  expect(partition().abortedBetween(0, 4)).toEqual([{ producerId: 1, firstOffset: 2, lastOffset: 3 }]);
  await opened.log.deleteTopic('t');
  await expect.poll(marks).toEqual([]);
});

test('a reader of committed records is refused when the log start passes its offset while it reads', async () => {
  const it = await openPartition();
  await it.append(within(1, 0, 1), true);
  await end(it, 1, false);
  await it.append(batchOf(2, 1));
  const reading = Promise.allSettled([0, 2].map((offset) => it.readStable(offset, 1000)));
  await it.deleteRecords(2);
  const [passed, other] = await reading;
  expect(passed).toMatchObject({ status: 'rejected', reason: { code: 'OFFSET_OUT_OF_RANGE' } });
  expect(other).toMatchObject({ status: 'fulfilled', value: { length: 1 } });
});
