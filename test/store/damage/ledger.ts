// What was appended before a damage, and how it compares with what is there afterwards.

import { expect } from 'vitest';
import { decodeRecords, readBatchHeader } from '../../../src/formats/batch.ts';
import type { Log, Partition } from '../../../src/log/log.ts';
import type { Gap, Store } from '../../../src/store/store.ts';
import { batchOf, upTo } from '../../log/open-log.ts';

export const RECORD_BYTES = 3000;
export const PARTITIONS = 2;

const PER_COMMIT = 30;

/** Appends one-record batches, whose value is their offset, to each partition, thirty a commit. */
export async function append(log: Log, count: number): Promise<void> {
  for (const partition of log.ensureTopic('t').partitions) {
    for (let done = 0; done < count; done += PER_COMMIT) {
      const first = partition.highWatermark;
      const batches = upTo(Math.min(PER_COMMIT, count - done)).map((index) =>
        batchOf(first + index, 1, { bytes: RECORD_BYTES }),
      );
      await Promise.all(batches.map((batch) => partition.append(batch)));
    }
  }
}

/** Everything that can be read of a partition below `end`: offsets, in order. Each value is its offset, or this throws. */
export async function readOffsets(partition: Partition, end: number): Promise<number[]> {
  const offsets: number[] = [];
  for (let next = partition.logStart; next < Math.min(end, partition.highWatermark);) {
    const batches = await partition.read(next, 50_000);
    if (batches.length === 0) break;
    for (const batch of batches) {
      const { baseOffset, lastOffsetDelta } = readBatchHeader(batch);
      for (const record of decodeRecords(batch)) {
        if (record.offset >= end) continue;
        expect(Number(record.value!.toString())).toBe(record.offset);
        offsets.push(record.offset);
      }
      next = baseOffset + lastOffsetDelta + 1;
    }
  }
  return offsets;
}

/** What is neither there nor in a gap, there twice, or in a gap and there: nothing, or this throws. Returns what is lost. */
export async function compare(store: Store, log: Log, ends: readonly number[], what = ''): Promise<number> {
  let lost = 0;
  for (const partition of log.topic('t')!.partitions) {
    const end = ends[partition.index]!;
    const found = await readOffsets(partition, end);
    const missing = inGaps(store.gaps(), partition.index, end);
    expect(
      [...found, ...missing].toSorted((a, b) => a - b),
      what,
    ).toEqual(upTo(end));
    expect(found).toEqual(found.toSorted((a, b) => a - b));
    lost += missing.length;
  }
  return lost;
}

/** Offsets in gaps below `end`. The one topic's partitions have the store's first numbers. */
function inGaps(gaps: Gap[], partition: number, end: number): number[] {
  return gaps
    .filter((gap) => gap.partition === partition)
    .flatMap(({ firstOffset, lastOffset }) =>
      upTo(Math.max(0, Math.min(lastOffset + 1, end) - firstOffset)).map((index) => firstOffset + index),
    );
}
