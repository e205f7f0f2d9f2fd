// A batch that a boot stamped: the mark goes along with whatever is made of it, and no one else sees it.
import { expect, test } from 'vitest';
import {
  checkBatch,
  clearBoot,
  decodeRecords,
  encodeBatch,
  sliceRecords,
  stampBoot,
  stampOffset,
  stampProducer,
  stampTime,
  unsureBootIn,
} from '../../src/formats/batch.ts';
import { checkStoredBatch } from '../../src/formats/batch.ts';
import { thinBatch } from '../../src/formats/thinning.ts';

const TIMES = [1000, 1500, 900, 5000];

function marked(): Buffer {
  const records = TIMES.map((timestampMs, index) => ({
    timestampMs,
    key: Buffer.from(`${index}`),
    value: Buffer.alloc(1000),
  }));
  const batch = encodeBatch(records, { compression: 'auto' });
  stampBoot(batch, 70_000);
  stampOffset(batch, 40, 0);
  return batch;
}

function times(batch: Buffer): number[] {
  return decodeRecords(batch).map(({ timestampMs }) => timestampMs);
}

test('it is a sound batch, and its times can be moved as a whole without its records', () => {
  const batch = marked();
  expect(checkBatch(batch)).toMatchObject({ baseOffset: 40, maxTimestampMs: 5000 });
  expect([unsureBootIn(batch), times(batch)]).toEqual([70_000, TIMES]);
  const right = stampTime(batch, 1e12);
  expect(checkBatch(right)).toMatchObject({ baseOffset: 40, maxTimestampMs: 1e12 + 5000, baseSequence: -1 });
  expect([unsureBootIn(right), times(right)]).toEqual([undefined, TIMES.map((ms) => ms + 1e12)]);
  expect([unsureBootIn(batch), times(batch)]).toEqual([70_000, TIMES]);
  expect(right.subarray(61)).toEqual(batch.subarray(61));
});

test('parts of it bear the mark, too', () => {
  for (const part of [sliceRecords(marked(), 42), thinBatch(marked(), ({ offset }) => offset > 41, NaN)!]) {
    checkStoredBatch(part);
    expect([unsureBootIn(part), times(stampTime(part, 1e12))]).toEqual([70_000, [1e12 + 900, 1e12 + 5000]]);
  }
});

test('upstream it is a batch as any other', () => {
  const sent = stampProducer(marked(), { producerId: 5, producerEpoch: 0, baseSequence: 7 });
  expect(checkBatch(sent)).toMatchObject({ producerId: 5, baseSequence: 7 });
  expect(unsureBootIn(sent)).toBeUndefined();
});

test("a client's batch loses the mark and keeps its sequence", () => {
  const own = encodeBatch([{ timestampMs: 1, key: null, value: null }], {
    producerId: 5,
    producerEpoch: 0,
    baseSequence: 9,
  });
  const pretended = marked();
  clearBoot(pretended);
  expect([unsureBootIn(pretended), checkBatch(pretended).baseSequence]).toEqual([undefined, -1]);
  own[21] = own[21]! | 0x40;
  clearBoot(own);
  expect([unsureBootIn(own), checkBatch(own).baseSequence]).toEqual([undefined, 9]);
});
