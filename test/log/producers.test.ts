// What the log remembers of idempotent producers, without a log.

import { expect, test } from 'vitest';
import { readBatchHeader, type BatchHeader } from '../../src/formats/batch.ts';
import { createProducers } from '../../src/log/producers.ts';
import { batchOf } from './open-log.ts';

function sent(producerId: number, baseSequence: number, count = 1, producerEpoch = 0): BatchHeader {
  return readBatchHeader(batchOf(0, count, { producerId, producerEpoch, baseSequence }));
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
