// A batch without some of its records, as compaction leaves it: offsets, times, producer and sequence of those that stay are
// what they were, so the batch has fewer records than offsets. Records are copied as they are, and compressed as they were;
// snappy and lz4 become zstd. And what stands in the place of batches that are gone.

import {
  ATTRIBUTES_AT,
  BATCH_HEADER_BYTES,
  DELETE_HORIZON,
  deleteHorizonOf,
  finishBatch,
  isLogAppendTime,
  LAST_OFFSET_DELTA_AT,
  readBatchHeader,
  recordReader,
  TRANSACTIONAL,
  writeCrc,
  writtenCompressionOf,
} from './batch.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { readRecordFrame, writeRecordFrame, type RecordFrame } from './record.ts';

/** What decides whether a record stays. */
export interface KeyedRecord {
  offset: number;
  /** A view. */
  key: Buffer | null;
  /** Without a value: it says that the key is gone. */
  isTombstone: boolean;
}

interface Kept {
  frame: RecordFrame;
  isTombstone: boolean;
}

/** The records of a batch in order, only looked at. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
export function visitKeys(batch: Buffer, visit: (record: KeyedRecord) => void): void {
  for (const { record } of framesOf(batch)) visit(record);
}

/**
 * The batch with those records that `keeps` says yes to: itself when it has them all, undefined when there are none. The
 * first time that tombstones stay, `horizonMs` says until when; NaN leaves that to another time. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT.
 */
export function thinBatch(
  batch: Buffer,
  keeps: (record: KeyedRecord) => boolean,
  horizonMs: number,
): Buffer | undefined {
  const header = readBatchHeader(batch);
  const kept: Kept[] = [];
  for (const { frame, record } of framesOf(batch)) {
    if (keeps(record)) kept.push({ frame, isTombstone: record.isTombstone });
  }
  if (kept.length === 0) return undefined;
  const isNew =
    !Number.isNaN(horizonMs) && deleteHorizonOf(header) === undefined && kept.some(({ isTombstone }) => isTombstone);
  if (kept.length === header.recordCount && !isNew) return batch;
  const shiftMs = isNew ? header.baseTimestampMs - horizonMs : 0;
  const writer = new ByteWriter(batch.length);
  writer.reserve(BATCH_HEADER_BYTES);
  let maxTimestampMs = Number.MIN_SAFE_INTEGER;
  for (const { frame } of kept) {
    writeRecordFrame(writer, frame.timestampDelta + shiftMs, frame.offsetDelta, frame.rest);
    maxTimestampMs = Math.max(maxTimestampMs, header.baseTimestampMs + frame.timestampDelta);
  }
  if (isLogAppendTime(header)) maxTimestampMs = header.maxTimestampMs;
  return finishBatch(writer, writtenCompressionOf(header), {
    ...header,
    recordCount: kept.length,
    maxTimestampMs,
    ...(isNew && { attributes: header.attributes | DELETE_HORIZON, baseTimestampMs: horizonMs }),
  });
}

/** A copy of a batch that covers the offsets up to `lastOffset`, without more records. */
export function extendBatch(batch: Buffer, lastOffset: number): Buffer {
  const copy = Buffer.from(batch);
  copy.writeInt32BE(lastOffset - readBatchHeader(batch).baseOffset, LAST_OFFSET_DELTA_AT);
  writeCrc(copy);
  return copy;
}

/** A copy of a batch that is part of no transaction. */
export function withoutTransaction(batch: Buffer): Buffer {
  const copy = Buffer.from(batch);
  copy.writeInt16BE(copy.readInt16BE(ATTRIBUTES_AT) & ~TRANSACTIONAL, ATTRIBUTES_AT);
  writeCrc(copy);
  return copy;
}

/** A batch of no records that covers offsets: the place of what is gone. */
export function emptyBatch(firstOffset: number, lastOffset: number, maxTimestampMs: number): Buffer {
  const writer = new ByteWriter(BATCH_HEADER_BYTES);
  writer.reserve(BATCH_HEADER_BYTES);
  return finishBatch(writer, 'none', {
    baseOffset: firstOffset,
    partitionLeaderEpoch: 0,
    attributes: 0,
    lastOffsetDelta: lastOffset - firstOffset,
    baseTimestampMs: maxTimestampMs,
    maxTimestampMs,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount: 0,
  });
}

function* framesOf(batch: Buffer): Generator<{ frame: RecordFrame; record: KeyedRecord }, void, void> {
  const header = readBatchHeader(batch);
  const reader = recordReader(batch, header);
  for (let index = 0; index < header.recordCount; index += 1) {
    const frame = readRecordFrame(reader);
    const rest = new ByteReader(frame.rest);
    const keyLength = rest.varint();
    const key = keyLength < 0 ? null : rest.bytes(keyLength);
    const record = { offset: header.baseOffset + frame.offsetDelta, key, isTombstone: rest.varint() < 0 };
    yield { frame, record };
  }
}
