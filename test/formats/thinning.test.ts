// Batches without some of their records, and what stands in the place of those that are gone.

import { expect, test } from 'vitest';
import {
  checkBatch,
  checkStoredBatch,
  decodeRecords,
  deleteHorizonOf,
  encodeBatch,
  readBatchHeader,
  stampOffset,
  stampProducer,
  type BatchOptions,
} from '../../src/formats/batch.ts';
import { emptyBatch, extendBatch, thinBatch, visitKeys } from '../../src/formats/thinning.ts';

const HORIZON_MS = 1_900_000_000_000;
const producer = { producerId: 7, producerEpoch: 2, baseSequence: 40 };

/** Keys k0, k1, ...; each fifth record is a tombstone where `hasTombstones`. */
function batchAt(offset: number, count: number, options: BatchOptions = {}, hasTombstones = false): Buffer {
  const records = Array.from({ length: count }, (_, index) => ({
    timestampMs: 1_700_000_000_000 + ((index * 7919) % 1000) * 86_400_000,
    key: Buffer.from(`k${index}`),
    value: hasTombstones && index % 5 === 0 ? null : Buffer.from(`value ${index}`.repeat(20)),
    headers: index % 3 === 0 ? [{ key: 'h', value: Buffer.from([index]) }] : [],
  }));
  const batch = encodeBatch(records, { ...producer, ...options });
  stampOffset(batch, offset, 0);
  return batch;
}

test('what stays is what it was: offset, time, key, value, headers, and the numbers of the producer', () => {
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    for (const step of [2, 3, 7]) {
      const batch = batchAt(1000, 30, { compression });
      const thinned = thinBatch(batch, ({ offset }) => offset % step === 0, HORIZON_MS)!;
      const before = readBatchHeader(batch);
      const header = checkStoredBatch(thinned);
      const wanted = decodeRecords(batch).filter(({ offset }) => offset % step === 0);
      expect(decodeRecords(thinned)).toEqual(wanted);
      expect(header).toMatchObject({
        ...producer,
        baseOffset: 1000,
        lastOffsetDelta: 29,
        attributes: before.attributes,
      });
      expect(header.recordCount).toBe(wanted.length);
      expect(header.maxTimestampMs).toBe(Math.max(...wanted.map(({ timestampMs }) => timestampMs)));
      expect(() => checkBatch(thinned)).toThrow('up to offset delta 29');
    }
  }
});

test('a batch that keeps all stays as it is, one that keeps none is gone', () => {
  const batch = batchAt(5, 3);
  expect(thinBatch(batch, () => true, HORIZON_MS)).toBe(batch);
  expect(thinBatch(batch, () => false, HORIZON_MS)).toBeUndefined();
});

test('tombstones that stay get a horizon once, and no record changes its time by it', () => {
  const batch = batchAt(0, 10, { compression: 'zstd' }, true);
  const first = thinBatch(batch, () => true, HORIZON_MS)!;
  expect(deleteHorizonOf(readBatchHeader(batch))).toBeUndefined();
  expect(deleteHorizonOf(checkStoredBatch(first))).toBe(HORIZON_MS);
  expect(decodeRecords(first)).toEqual(decodeRecords(batch));
  expect(thinBatch(first, () => true, HORIZON_MS + 5)).toBe(first);
  const less = thinBatch(first, ({ offset }) => offset > 3, HORIZON_MS + 5)!;
  expect(deleteHorizonOf(readBatchHeader(less))).toBe(HORIZON_MS);
  expect(decodeRecords(less)).toEqual(decodeRecords(batch).slice(4));
  const sent = stampProducer(first, { producerId: 1, producerEpoch: 0, baseSequence: 0 });
  expect(deleteHorizonOf(readBatchHeader(sent))).toBeUndefined();
  expect(decodeRecords(sent)).toEqual(decodeRecords(batch));
});

test('keys are seen as they are, also none', () => {
  const seen: unknown[] = [];
  const keys = [Buffer.from('a'), null, Buffer.alloc(0)];
  const batch = encodeBatch(
    keys.map((key, index) => ({ timestampMs: 1, key, value: index === 1 ? null : Buffer.of(1) })),
  );
  visitKeys(batch, ({ key, isTombstone, offset }) => seen.push([key?.toString() ?? null, isTombstone, offset]));
  expect(seen).toEqual([
    ['a', false, 0],
    [null, true, 1],
    ['', false, 2],
  ]);
});

test('what is gone is covered by an empty batch, or by the batch before', () => {
  const empty = emptyBatch(7, 2 ** 31 + 6, 1234);
  expect(checkStoredBatch(empty)).toMatchObject({ baseOffset: 7, lastOffsetDelta: 2 ** 31 - 1, recordCount: 0 });
  expect(decodeRecords(empty)).toEqual([]);
  expect(thinBatch(empty, () => true, HORIZON_MS)).toBeUndefined();
  const batch = batchAt(10, 3, { producerId: -1, producerEpoch: -1, baseSequence: -1 });
  const extended = extendBatch(batch, 99);
  expect(checkStoredBatch(extended)).toMatchObject({ baseOffset: 10, lastOffsetDelta: 89, recordCount: 3 });
  expect(decodeRecords(extended)).toEqual(decodeRecords(batch));
});
