// What cleaning leaves of a partition, against a plain list of its records: any batches, any choice of what is superseded.

import { expect, test } from 'vitest';
import {
  checkStoredBatch,
  decodeRecords,
  encodeBatch,
  isTransactional,
  readBatchHeader,
  stampOffset,
} from '../../src/formats/batch.ts';
import { emptyBatch } from '../../src/formats/thinning.ts';
import { encodeMarker } from '../../src/formats/marker.ts';
import { compactedSieve, plainSieve, type CompactedSieveNeeds } from '../../src/log/sieve.ts';
import type { Sieve } from '../../src/store/store.ts';
import { upTo } from './open-log.ts';

const SEED = Number(process.env['HEADWATER_SEED'] ?? 0) || (Date.now() % 2147483646) + 1;

function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 48271) % 2147483647) % below;
}

function at(offset: number, batch: Buffer): Buffer {
  stampOffset(batch, offset, 0);
  return batch;
}

function recordsAt(offset: number, count: number, options: object = {}): Buffer {
  const records = upTo(count).map((index) => ({
    timestampMs: 1_700_000_000_000 + offset + index,
    key: Buffer.from(`${offset + index}`),
    value: Buffer.from('v'.repeat((offset * 7 + index) % 50)),
  }));
  return at(offset, encodeBatch(records, options));
}

function pass(sieve: Sieve, batches: Buffer[]): Buffer[] {
  return [...batches.flatMap((batch) => sieve.take(batch)), ...sieve.end()];
}

function sieveOf(dead: ReadonlySet<number>, more: Partial<CompactedSieveNeeds> = {}): Sieve {
  return compactedSieve({
    logStart: 0,
    endOffset: Infinity,
    isDead: ({ offset }) => dead.has(offset),
    skip: () => undefined,
    isData: (header) => header.recordCount > 0 && (header.attributes & 0x20) === 0,
    isFirst: false,
    horizonMs: 1_900_000_000_000,
    ...more,
  });
}

/** Every offset from the first to the last lies in exactly one batch, and each batch is sound. */
function covers(batches: Buffer[], first: number, last: number): void {
  let next = first;
  for (const batch of batches) {
    const { baseOffset, lastOffsetDelta } = checkStoredBatch(batch);
    expect(baseOffset).toBe(next);
    next = baseOffset + lastOffsetDelta + 1;
  }
  expect(next).toBe(last + 1);
}

test(`any batches keep just their living records, and cover the same offsets (HEADWATER_SEED=${SEED})`, () => {
  const random = randomOf(SEED);
  for (let round = 0; round < 150; round += 1) {
    const batches: Buffer[] = [];
    const first = random(1000);
    let next = first;
    while (batches.length < 1 + random(25)) {
      const count = 1 + random(6);
      const producer = { producerId: 5, producerEpoch: 1, baseSequence: random(100) };
      if (random(8) === 0) batches.push(emptyBatch(next, next + count - 1, 1));
      else
        batches.push(
          recordsAt(next, count, { compression: random(3) === 0 ? 'gzip' : 'none', ...(random(2) && producer) }),
        );
      next += count;
    }
    const share = random(10);
    const dead = new Set(upTo(next).filter(() => random(10) < share));
    const endOffset = random(4) === 0 ? first + random(next - first) : Infinity;
    const logStart = random(4) === 0 ? first + random(next - first) : 0;
    const left = pass(sieveOf(dead, { endOffset, logStart }), batches);
    const kept = batches.filter((batch) => endOf(batch) > logStart);
    const expected = kept.flatMap((batch) =>
      decodeRecords(batch).filter(({ offset }) => endOf(batch) > endOffset || !dead.has(offset)),
    );
    expect(left.flatMap((batch) => decodeRecords(batch))).toEqual(expected);
    if (kept.length > 0) covers(left, readBatchHeader(kept[0]!).baseOffset, next - 1);
    expect(left.length).toBeLessThanOrEqual(kept.length + 1);
    // A batch with a producer ends with its own last sequence.
    const lastOf = new Map(batches.map((batch) => [readBatchHeader(batch).baseOffset, endOf(batch)]));
    for (const batch of left) {
      const { producerId, baseOffset } = readBatchHeader(batch);
      if (producerId >= 0) expect(endOf(batch)).toBe(lastOf.get(baseOffset));
    }
    // What was cleaned once is cleaned again in the same way.
    expect(pass(sieveOf(dead, { endOffset, logStart }), left)).toEqual(left);
  }
});

function endOf(batch: Buffer): number {
  const { baseOffset, lastOffsetDelta } = readBatchHeader(batch);
  return baseOffset + lastOffsetDelta + 1;
}

test('a gap that the card has is no place for an empty batch', () => {
  const batches = [recordsAt(0, 2), recordsAt(10, 2), recordsAt(12, 2)];
  const left = pass(sieveOf(new Set([0, 1, 10, 11])), batches);
  expect(left.map((batch) => [readBatchHeader(batch).baseOffset, endOf(batch)])).toEqual([
    [0, 2],
    [10, 12],
    [12, 14],
  ]);
});

const transaction = { producerId: 9, producerEpoch: 0, baseSequence: 0, isTransactional: true };
const marker = (offset: number, isCommit: boolean): Buffer =>
  at(offset, encodeMarker({ producerId: 9, producerEpoch: 0, isCommit }, 1));

test('what was aborted goes, its marker stays; what was committed is a record as any other', () => {
  const batches = [recordsAt(0, 2, transaction), marker(2, true), recordsAt(3, 2, transaction), marker(5, false)];
  const isData = (header: { baseOffset: number; attributes: number }): boolean =>
    (header.attributes & 0x20) === 0 && header.baseOffset !== 3;
  const counted: number[] = [];
  const needs = { isData, skip: (records: number) => void counted.push(records) };
  const left = pass(sieveOf(new Set([0]), { ...needs, isFirst: true }), batches);
  covers(left, 0, 5);
  expect(counted).toEqual([1, 2, 1]);
  expect(left.map((batch) => readBatchHeader(batch).baseOffset)).toEqual([0, 2, 5]);
  expect(decodeRecords(left[0]!).map(({ offset }) => offset)).toEqual([1]);
  expect(isTransactional(readBatchHeader(left[0]!))).toBe(false);
  expect(decodeRecords(left.at(-1)!)).toMatchObject([{ control: 'abort' }]);
  // Where a part of a transaction may lie elsewhere, its marker is needed.
  const later = pass(sieveOf(new Set([0]), needs), batches);
  expect(later.map((batch) => readBatchHeader(batch).baseOffset)).toEqual([0, 2, 3, 5]);
  expect(isTransactional(readBatchHeader(later[0]!))).toBe(true);
  expect(later[1]).toBe(batches[1]);
});

test('without compaction only what lies below the log start goes', () => {
  const batches = [recordsAt(0, 2), recordsAt(2, 2), recordsAt(4, 2)];
  expect(pass(plainSieve(3), batches)).toEqual(batches.slice(1));
});
