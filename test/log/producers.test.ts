// What the log remembers of idempotent producers, without a log.

import { expect, test } from 'vitest';
import { encodeBatch, readBatchHeader, type BatchHeader } from '../../src/formats/batch.ts';
import { encodeMarker } from '../../src/formats/marker.ts';
import { createProducers, type Producers } from '../../src/log/producers.ts';
import { restoreStability, Stability } from '../../src/log/stability.ts';
import { batchOf } from './open-log.ts';

function sent(producerId: number, baseSequence: number, count = 1, producerEpoch = 0): BatchHeader {
  return readBatchHeader(batchOf(0, count, { producerId, producerEpoch, baseSequence }));
}

/** One record of a producer's transaction at `offset`. */
function begin(producers: Producers, partition: number, producerId: number, offset: number): void {
  const record = { timestampMs: 0, key: null, value: null };
  const batch = encodeBatch([record], { producerId, producerEpoch: 0, baseSequence: 0, isTransactional: true });
  producers.add(partition, readBatchHeader(batch), offset, 0);
}

test('after a restart those who were silent longest are forgotten first, whichever way they were found', () => {
  const before = createProducers();
  for (let id = 0; id < 9_999; id += 1) before.add(0, sent(id, 0), id, 0);
  const snapshot = before.snapshot() as [string, Buffer][];
  const after = createProducers();
  after.add(0, sent(20_000, 0), 20_000, 0);
  after.restore(snapshot, 0);
  after.add(0, sent(20_001, 0), 20_001, 0);
  const known = after.of(0).map(({ producerId }) => producerId);
  expect(known.length).toBe(10_000);
  expect(known).toContain(20_000);
  expect(known).not.toContain(0);
});

test('sequences go on at 0 after 2^31 - 1, also within a batch', () => {
  const producers = createProducers();
  producers.add(0, sent(1, 2 ** 31 - 2, 3), 0, 0);
  expect(producers.check(0, sent(1, 2 ** 31 - 2, 3))).toBe(0);
  expect(producers.check(0, sent(1, 1))).toBeUndefined();
  expect(() => producers.check(0, sent(1, 2))).toThrow('where 1 comes next');
});

test('a new epoch begins with sequence 0, and a producer that is not known with any', () => {
  const producers = createProducers();
  expect(producers.check(0, sent(1, 77, 1, 5))).toBeUndefined();
  producers.add(0, sent(1, 77, 1, 5), 0, 0);
  expect(() => producers.check(0, sent(1, 78, 1, 6))).toThrow('where 0 comes next');
  expect(producers.check(0, sent(1, 0, 1, 6))).toBeUndefined();
  expect(() => producers.check(0, sent(1, 78, 1, 4))).toThrow('is below 5');
});

test('the sixth batch back is no duplicate any more but out of order', () => {
  const producers = createProducers();
  for (let sequence = 0; sequence < 6; sequence += 1) producers.add(0, sent(1, sequence), sequence, 0);
  expect(producers.check(0, sent(1, 1))).toBe(1);
  expect(() => producers.check(0, sent(1, 0))).toThrow('where 6 comes next');
});

test('a transaction that ended since the snapshot stays ended, also when its producer was forgotten since', () => {
  const before = createProducers();
  begin(before, 0, 1, 0);
  begin(before, 0, 2, 1);
  const snapshot = before.snapshot() as [string, Buffer][];
  const after = createProducers();
  after.add(0, readBatchHeader(encodeMarker({ producerId: 1, producerEpoch: 0, isCommit: true }, 0)), 2, 0);
  const other = sent(10, 0);
  for (let id = 10; id < 10_010; id += 1) after.add(0, { ...other, producerId: id }, id, 0);
  expect(after.of(0).some(({ producerId }) => producerId === 1)).toBe(false);
  after.restore(snapshot, 0);
  expect(after.open()).toEqual([{ partition: 0, producerId: 2, producerEpoch: 0, transactionStart: 1 }]);
});

test('at the start producers are forgotten that have a transaction open in a partition that is gone', () => {
  const producers = createProducers();
  begin(producers, 0, 1, 5);
  begin(producers, 1, 1, 7);
  const stability = new Stability(1);
  restoreStability([{ number: 1, stability }], producers, []);
  expect(producers.of(0)).toEqual([]);
  expect(producers.open()).toMatchObject([{ partition: 1, transactionStart: 7 }]);
  expect(stability.firstOpen).toBe(7);
});
