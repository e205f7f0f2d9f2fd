// From a number of records to an offset: the sequence upstream counts records, and not every offset has one.

import { decodeRecords, isDense, nextOffsetOf, readBatchHeader } from '../formats/batch.ts';
import type { Partition } from '../log/log.ts';

const READ_BYTES = 256 * 1024;

/** Offsets whose records are gone, by damage or for the budget's sake. */
export interface Lost {
  firstOffset: number;
  lastOffset: number;
}

/**
 * The offset behind the next `count` records from `offset` on, as the mirror cuts them: behind what follows them without a
 * record in the same batch; the high watermark when there are fewer. What is gone meanwhile, `lost` or below the log
 * start, counts as records that were sent: were it left out, as many behind it would never be.
 */
export async function offsetBehind(
  partition: Partition,
  offset: number,
  count: number,
  lost: readonly Lost[],
): Promise<number> {
  let next = Math.max(offset, partition.logStart);
  let left = count - (next - offset);
  while (left > 0 && next < partition.highWatermark) {
    const batches = await partition.read(next, READ_BYTES);
    if (batches.length === 0) break;
    for (const batch of batches) {
      left -= offsetsIn(lost, next, readBatchHeader(batch).baseOffset);
      if (left <= 0) return Math.max(next, readBatchHeader(batch).baseOffset);
      const offsets = offsetsFrom(partition, batch, next);
      if (offsets.length > left) return offsets[left - 1]! + 1;
      left -= offsets.length;
      next = nextOffsetOf(readBatchHeader(batch));
      if (left === 0) break;
    }
  }
  return next;
}

/** How many of the offsets from `from` up to `to` are lost. */
function offsetsIn(lost: readonly Lost[], from: number, to: number): number {
  let count = 0;
  for (const { firstOffset, lastOffset } of lost) {
    count += Math.max(0, Math.min(to, lastOffset + 1) - Math.max(from, firstOffset));
  }
  return count;
}

function offsetsFrom(partition: Partition, batch: Buffer, from: number): number[] {
  const header = readBatchHeader(batch);
  if (!partition.isData(header)) return [];
  if (!isDense(header)) return decodeRecords(batch).flatMap(({ offset }) => (offset >= from ? [offset] : []));
  const first = Math.max(from, header.baseOffset);
  return Array.from({ length: header.baseOffset + header.recordCount - first }, (_, index) => first + index);
}
