import { expect, test } from 'vitest';
import { checkBatch, decodeRecords, readBatchHeader, stampProducer } from '../../src/formats/batch.ts';
import { crc32c } from '../../src/formats/checksum.ts';
import { emptyBatch, thinBatch } from '../../src/formats/thinning.ts';
import { createBudget } from '../../src/mirror/budget.ts';
import { offsetBehind } from '../../src/mirror/counting.ts';
import { createFeed, type Piece } from '../../src/mirror/feed.ts';
import { fakeLog } from '../fakes/log.ts';
import { batchOf } from '../log/open-log.ts';

const never = new AbortController().signal;
const asTheyAre = { mergeBytes: 0, recordsMax: Infinity };

async function feedOf(counts: readonly number[]) {
  const log = fakeLog();
  log.ensureTopic('t');
  const partition = log.partition('t');
  let first = 0;
  for (const count of counts) {
    await partition.append(batchOf(first, count));
    first += count;
  }
  const budget = createBudget(1_000_000);
  return { feed: createFeed(partition, budget), budget, partition };
}

function numbers({ batch }: Piece): number[] {
  return decodeRecords(batch).map(({ value }) => Number(String(value)));
}

test('a stored batch is passed on as it is', async () => {
  const { feed, partition } = await feedOf([3, 4]);
  expect(await feed.fill(3, never)).toBe(true);
  const piece = feed.cut(3, asTheyAre) as Piece;
  expect(piece).toMatchObject({ firstOffset: 3, count: 4 });
  expect(piece.batch).toBe(partition.batches[1]);
});

test('a piece that begins or ends inside a batch holds exactly those records', async () => {
  const { feed } = await feedOf([10]);
  await feed.fill(4, never);
  const piece = feed.cut(4, { mergeBytes: 0, recordsMax: 3 }) as Piece;
  expect(numbers(piece)).toEqual([4, 5, 6]);
  expect(piece).toMatchObject({ firstOffset: 4, count: 3 });
});

test('small batches go together up to the size that is worth a round trip', async () => {
  const { feed } = await feedOf([2, 2, 2, 2]);
  await feed.fill(0, never);
  const one = (feed.cut(0, asTheyAre) as Piece).batch.length;
  const piece = feed.cut(0, { mergeBytes: one * 3, recordsMax: Infinity }) as Piece;
  expect(numbers(piece)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(readBatchHeader(piece.batch)).toMatchObject({ recordCount: 6, lastOffsetDelta: 5 });
});

test('a batch whose records are no records is passed on alone, as the client wrote it', async () => {
  const { feed, partition } = await feedOf([2]);
  const broken = stampProducer(batchOf(2, 2), { producerId: -1, producerEpoch: -1, baseSequence: -1 });
  broken.fill(0xff, 61);
  broken.writeUInt32BE(crc32c(broken.subarray(21)), 17);
  await partition.append(broken);
  await partition.append(batchOf(4, 2));
  await feed.fill(0, never);
  const generous = { mergeBytes: 100_000, recordsMax: Infinity };
  expect(numbers(feed.cut(0, generous) as Piece)).toEqual([0, 1]);
  feed.settle(2);
  expect(feed.cut(2, generous)).toMatchObject({ batch: broken, count: 2 });
});

test('at the end of the log there is nothing, and what is settled gives its bytes back', async () => {
  const { feed, budget } = await feedOf([5, 5]);
  await feed.fill(0, never);
  const held = budget.heldBytes;
  feed.settle(5);
  expect(budget.heldBytes).toBe(held / 2);
  feed.settle(10);
  expect(budget.heldBytes).toBe(0);
  expect(await feed.fill(10, never)).toBe(false);
});

test('a budget lets one wait until another gives back, in the order of asking', async () => {
  const budget = createBudget(100);
  const order: number[] = [];
  expect(await budget.take(80, never)).toBe(true);
  const second = budget.take(50, never).then(() => order.push(2));
  const third = budget.take(10, never).then(() => order.push(3));
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toEqual([]);
  budget.adjust(-80);
  await Promise.all([second, third]);
  expect(order).toEqual([2, 3]);
});

test('one who asks for more than there is gets it when nobody else holds any', async () => {
  const budget = createBudget(100);
  expect(await budget.take(1_000, never)).toBe(true);
  const stop = new AbortController();
  const waiting = budget.take(1, stop.signal);
  stop.abort();
  expect(await waiting).toBe(false);
});

/** Three batches of four records: of the first compaction has left two, of the second none. */
async function compactedFeed() {
  const made = await feedOf([4, 4, 4]);
  const { batches } = made.partition;
  batches[0] = thinBatch(batches[0]!, ({ offset }) => offset % 2 === 0, 0)!;
  batches[1] = emptyBatch(4, 7, 1);
  return made;
}

test('of a batch that compaction has thinned a piece has a record for each offset', async () => {
  const { feed } = await compactedFeed();
  await feed.fill(0, never);
  const piece = feed.cut(0, { mergeBytes: 100_000, recordsMax: Infinity }) as Piece;
  expect([numbers(piece), piece.firstOffset, piece.nextOffset, piece.count]).toEqual([[0, 2], 0, 4, 2]);
  expect(checkBatch(piece.batch)).toMatchObject({ lastOffsetDelta: 1, recordCount: 2 });
  const one = feed.cut(0, { mergeBytes: 0, recordsMax: 1 }) as Piece;
  expect([numbers(one), one.nextOffset]).toEqual([[0], 1]);
  const other = feed.cut(1, { mergeBytes: 0, recordsMax: 1 }) as Piece;
  expect([numbers(other), other.nextOffset]).toEqual([[2], 4]);
  expect(feed.cut(3, asTheyAre)).toBe(4);
  feed.settle(4);
  expect(feed.cut(4, asTheyAre)).toBe(8);
});

test('records are counted to an offset where not every offset has one', async () => {
  const { partition } = await compactedFeed();
  const behind = (from: number, count: number) => offsetBehind(partition, from, count, []);
  expect(await Promise.all([1, 2, 3, 6].map((count) => behind(0, count)))).toEqual([1, 4, 9, 12]);
  expect(await Promise.all([behind(1, 1), behind(2, 2), behind(5, 2), behind(9, 99)])).toEqual([4, 9, 10, 12]);
});

test('records that were sent and are gone count, so that none behind them is taken for sent', async () => {
  const { partition } = await compactedFeed();
  const dense = (await feedOf([3, 4, 3])).partition;
  expect(await offsetBehind(dense, 0, 7, [])).toBe(7);
  dense.batches.splice(1, 1);
  const lost = [{ firstOffset: 3, lastOffset: 6 }];
  expect(await Promise.all([3, 5, 7, 8].map((count) => offsetBehind(dense, 0, count, lost)))).toEqual([3, 7, 7, 8]);
  // What compaction took was not sent, whatever was lost elsewhere.
  expect(await offsetBehind(partition, 0, 3, [{ firstOffset: 20, lastOffset: 30 }])).toBe(9);
  dense.logStart = 7;
  expect(await offsetBehind(dense, 0, 8, lost)).toBe(8);
});

test('batches before one that is held back do not wait for it, and it is read again when it may go', async () => {
  const { partition } = await feedOf([2, 2, 2]);
  const budget = createBudget(1_000_000);
  let isHeld = true;
  const feed = createFeed(partition, budget, ({ baseOffset }) => isHeld && baseOffset === 2);
  await feed.fill(0, never);
  expect(numbers(feed.cut(0, { mergeBytes: 1e6, recordsMax: Infinity }) as Piece)).toEqual([0, 1]);
  await feed.fill(2, never);
  expect(feed.first()).toMatchObject({ baseOffset: 2 });
  isHeld = false;
  feed.drop();
  await feed.fill(2, never);
  expect(numbers(feed.cut(2, { mergeBytes: 1e6, recordsMax: Infinity }) as Piece)).toEqual([2, 3, 4, 5]);
  feed.drop();
  expect(budget.heldBytes).toBe(0);
});

test('what is held is not sent once the log start has passed it: nobody knows any more whether it was aborted', async () => {
  const { feed, budget, partition } = await feedOf([2, 2, 2]);
  await feed.fill(0, never);
  feed.settle(2);
  partition.logStart = 4;
  await expect(feed.fill(2, never)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  expect([feed.first(), budget.heldBytes]).toEqual([undefined, 0]);
  await feed.fill(4, never);
  expect(numbers(feed.cut(4, asTheyAre) as Piece)).toEqual([4, 5]);
});
