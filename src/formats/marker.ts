// The end of a transaction as it lies in a partition: a control batch of one record, which takes an offset.
//
//   attributes 0x30 (transactional, control), base sequence -1, producer id and epoch of the transaction
//   key    version int16 = 0 | type int16 (0 abort, 1 commit)
//   value  version int16 = 0 | coordinatorEpoch int32

import { BatchBuilder, stampOffset, type BatchHeader } from './batch.ts';
import { crc32c } from './checksum.ts';

/** One node without elections: the coordinator's epoch never changes. */
export const COORDINATOR_EPOCH = 0;

export interface Marker {
  producerId: number;
  /** At least that of the transaction's batches; a higher one fences their producer. */
  producerEpoch: number;
  isCommit: boolean;
}

/** The batch, with base offset 0. */
export function encodeMarker({ producerId, producerEpoch, isCommit }: Marker, timestampMs: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeInt16BE(isCommit ? 1 : 0, 2);
  const value = Buffer.alloc(6);
  value.writeInt32BE(COORDINATOR_EPOCH, 2);
  const builder = new BatchBuilder(128);
  builder.add(timestampMs, key, value);
  return builder.build({ producerId, producerEpoch, isTransactional: true, isControl: true });
}

const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;

/**
 * Stands for a batch that was aborted where only what counts is wanted: the marker of an abort with the same offsets, so that
 * none is missing, and none of the records.
 */
export function encodeAbsence({ baseOffset, lastOffsetDelta, producerId, ...header }: BatchHeader): Buffer {
  const { producerEpoch, maxTimestampMs, partitionLeaderEpoch } = header;
  const batch = encodeMarker({ producerId, producerEpoch, isCommit: false }, maxTimestampMs);
  stampOffset(batch, baseOffset, partitionLeaderEpoch);
  batch.writeInt32BE(lastOffsetDelta, LAST_OFFSET_DELTA_AT);
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT);
  return batch;
}
