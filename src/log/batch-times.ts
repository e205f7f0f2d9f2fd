// Times of batches that were stamped while nobody knew the time: they bear the number of the boot by whose own time they
// were stamped, on the card for ever. What that time was is known later, or never (times/); it is put right when a batch
// is read, which is a header and a CRC, as the records hold differences only.

import {
  readBatchHeader,
  stampBoot,
  stampTime,
  unsureBootIn,
  unsureBootOf,
  type BatchHeader,
} from '../formats/batch.ts';
import type { Described } from '../store/store.ts';
import type { Times } from '../times/times.ts';

type BatchTimes = Pick<Described, 'maxTimestampMs' | 'unsure'>;

/** What the store is told of a batch's times. */
export function timesOf(header: BatchHeader): BatchTimes {
  const { maxTimestampMs } = header;
  const boot = unsureBootOf(header);
  return boot === undefined ? { maxTimestampMs } : { maxTimestampMs: -1, unsure: { boot, maxTimestampMs } };
}

/** Marks a batch, in place, as stamped by a boot of this node. */
export function ofBoot(batch: Buffer, boot: number): { batch: Buffer; header: BatchHeader } {
  stampBoot(batch, boot);
  return { batch, header: readBatchHeader(batch) };
}

/** The same batches, those of a boot whose time is known with the right times: as copies. */
export function withTimes(batches: Buffer[], times: Times): Buffer[] {
  if (!batches.some((batch) => unsureBootIn(batch) !== undefined)) return batches;
  return batches.map((batch) => {
    const boot = unsureBootIn(batch);
    const shiftMs = boot === undefined ? undefined : times.shiftOf(boot);
    return shiftMs === undefined ? batch : stampTime(batch, shiftMs);
  });
}

/** The latest time that a record of the range, or the batch, can have; Infinity where nobody knows. */
export function latestIn({ maxTimestampMs, unsure }: BatchTimes, times: Times): number {
  if (unsure === undefined) return maxTimestampMs;
  return Math.max(maxTimestampMs, times.latestOf(unsure.boot, unsure.maxTimestampMs) ?? Infinity);
}
