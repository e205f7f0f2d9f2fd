// From a number of records to an offset: the sequence upstream counts records, and not every offset has one.

import { decodeRecords, isDense, readBatchHeader } from '../formats/batch.ts';
import type { Partition } from '../log/log.ts';

const READ_BYTES = 256 * 1024;

/**
 * The offset behind the next `count` records from `offset` on, as the mirror cuts them: behind what follows them without a
 * record in the same batch; the high watermark when there are fewer. Throws OFFSET_OUT_OF_RANGE.
 */
export async function offsetBehind(partition: Partition, offset: number, count: number): Promise<number> {
  let next = offset;
  let left = count;
  while (left > 0 && next < partition.highWatermark) {
    const batches = await partition.read(next, READ_BYTES);
    if (batches.length === 0) break;
    for (const batch of batches) {
      const offsets = offsetsFrom(partition, batch, next);
      if (offsets.length > left) return offsets[left - 1]! + 1;
      left -= offsets.length;
      next = endOf(batch);
      if (left === 0) break;
    }
  }
  return next;
}

function offsetsFrom(partition: Partition, batch: Buffer, from: number): number[] {
  const header = readBatchHeader(batch);
  if (!partition.isData(header)) return [];
  if (!isDense(header)) return decodeRecords(batch).flatMap(({ offset }) => (offset >= from ? [offset] : []));
  const first = Math.max(from, header.baseOffset);
  return Array.from({ length: header.baseOffset + header.recordCount - first }, (_, index) => first + index);
}

function endOf(batch: Buffer): number {
  const { baseOffset, lastOffsetDelta } = readBatchHeader(batch);
  return baseOffset + lastOffsetDelta + 1;
}
