// Kafka's record batch, version 2: the one form of records on the card, on the uplink and in a consumer's Fetch.
//
//    0 baseOffset int64            27 baseTimestamp int64     61 record... (compressed as a whole, or as they are)
//    8 batchLength int32           35 maxTimestamp int64
//   12 partitionLeaderEpoch int32  43 producerId int64             (record.ts draws them)
//   16 magic int8 = 2              51 producerEpoch int16
//   17 crc uint32                  53 baseSequence int32
//   21 attributes int16            57 recordCount int32
//   23 lastOffsetDelta int32
//
// batchLength counts from byte 12. The CRC-32C covers everything from byte 21, so offset and leader epoch are stamped
// without it. Attributes: bits 0-2 compression, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon; Kafka uses no
// others. Bit 14 is headwater's: nobody knew the time, and the times are those of the boot whose number stands in
// baseSequence, which means nothing else where there is no producer id.

import assert from 'node:assert';
import { HeadwaterError } from '../errors.ts';
import { ByteReader, ByteWriter, corrupt } from './bytes.ts';
import { crc32c } from './checksum.ts';
import { compress, compressionOfId, decompress, idOfCompression } from './compression.ts';
import type { Compression, WrittenCompression } from './compression.ts';
import { RECORD_BYTES_MIN, readRecord, readRecordFrame, writeRecord, writeRecordFrame } from './record.ts';
import type { LogRecord, NewRecord, RecordHeader } from './record.ts';

export type { ControlType, LogRecord, NewRecord, RecordHeader } from './record.ts';

/** Bytes of a batch before its first record. */
export const BATCH_HEADER_BYTES = 61;

/** Bytes of a batch that `batchLength` does not count. */
const LENGTH_OVERHEAD = 12;

const CRC_AT = 17;
export const ATTRIBUTES_AT = 21;
export const LAST_OFFSET_DELTA_AT = 23;

const COMPRESSION_MASK = 0x07;
const LOG_APPEND_TIME = 0x08;
export const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
export const DELETE_HORIZON = 0x40;
const UNSURE_TIME = 0x4000;
/** What is this node's own business. */
const NOT_SENT = TRANSACTIONAL | LOG_APPEND_TIME | UNSURE_TIME | DELETE_HORIZON;

// `auto` leaves records below this as they are: zstd costs more than it saves there.
const AUTO_COMPRESSION_BYTES_MIN = 1024;

/** What decoding may take for the records of one batch, unless the caller says otherwise. */
const DECODED_BYTES_MAX = 32 * 1024 * 1024;

const SEQUENCE_COUNT = 2 ** 31;

export interface BatchHeader {
  baseOffset: number;
  batchLength: number;
  partitionLeaderEpoch: number;
  magic: number;
  crc: number;
  attributes: number;
  lastOffsetDelta: number;
  baseTimestampMs: number;
  maxTimestampMs: number;
  producerId: number;
  producerEpoch: number;
  baseSequence: number;
  recordCount: number;
}

export interface BatchOptions {
  /** Default `none`. `auto` is zstd where the records are above about 1 KiB and become smaller by it. */
  compression?: WrittenCompression | 'auto';
  /** Default -1: not idempotent. Epoch and sequence belong to it. */
  producerId?: number;
  producerEpoch?: number;
  baseSequence?: number;
  isTransactional?: boolean;
  isControl?: boolean;
}

/** What an upstream expects of an idempotent producer. */
export interface ProducerStamp {
  producerId: number;
  producerEpoch: number;
  baseSequence: number;
}

/**
 * Reads the header of the batch at `position`, without looking at the CRC or beyond the header. Throws FORMAT_TRUNCATED,
 * and FORMAT_CORRUPT when it is of another version or a number is beyond 2^53-1.
 */
export function readBatchHeader(bytes: Buffer, position = 0): BatchHeader {
  assert(position >= 0 && position <= bytes.length, 'a batch begins inside its buffer');
  if (bytes.length - position > 16 && bytes[position + 16] !== 2) {
    throw corrupt(`record batch of version ${bytes[position + 16]}, only 2 is known`);
  }
  const reader = new ByteReader(bytes, position);
  return {
    baseOffset: reader.int64(),
    batchLength: reader.int32(),
    partitionLeaderEpoch: reader.int32(),
    magic: reader.int8(),
    crc: reader.uint32(),
    attributes: reader.int16(),
    lastOffsetDelta: reader.int32(),
    baseTimestampMs: reader.int64(),
    maxTimestampMs: reader.int64(),
    producerId: reader.int64(),
    producerEpoch: reader.int16(),
    baseSequence: reader.int32(),
    recordCount: reader.int32(),
  };
}

/** True for batches of control records (transaction markers), which are no data. */
export function isControl(header: BatchHeader): boolean {
  return (header.attributes & CONTROL) !== 0;
}

export function isTransactional(header: BatchHeader): boolean {
  return (header.attributes & TRANSACTIONAL) !== 0;
}

/** The boot by whose own time the batch was stamped; undefined when its times are what they say. */
export function unsureBootOf(header: Pick<BatchHeader, 'attributes' | 'baseSequence'>): number | undefined {
  return (header.attributes & UNSURE_TIME) === 0 ? undefined : header.baseSequence;
}

/** The same for the bytes of a batch, of which only these are looked at. */
export function unsureBootIn(batch: Buffer): number | undefined {
  // The higher byte of the attributes.
  return (batch[ATTRIBUTES_AT]! & (UNSURE_TIME >> 8)) === 0 ? undefined : batch.readInt32BE(53);
}

/** The offset behind the batch, whether or not its last ones have records. */
export function nextOffsetOf({ baseOffset, lastOffsetDelta }: BatchHeader): number {
  return baseOffset + lastOffsetDelta + 1;
}

/** True when there is a record for each offset. */
export function isDense({ recordCount, lastOffsetDelta }: BatchHeader): boolean {
  return recordCount === lastOffsetDelta + 1;
}

/** When the tombstones of a batch may go, if a compaction has set it. */
export function deleteHorizonOf({ attributes, baseTimestampMs }: BatchHeader): number | undefined {
  return (attributes & DELETE_HORIZON) === 0 ? undefined : baseTimestampMs;
}

/** True when the batch's maxTimestamp, given by a broker, is the time of all its records. */
export function isLogAppendTime(header: BatchHeader): boolean {
  return (header.attributes & LOG_APPEND_TIME) !== 0;
}

/** Throws FORMAT_CORRUPT for a number that no compression has. */
export function compressionOf(header: BatchHeader): Compression {
  return compressionOfId(header.attributes & COMPRESSION_MASK);
}

/** Size of the whole batch at `position`, which may reach beyond `bytes`. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
export function batchBytes(bytes: Buffer, position = 0): number {
  const size =
    new ByteReader(bytes, position + 8 > bytes.length ? bytes.length : position + 8).int32() + LENGTH_OVERHEAD;
  if (size < BATCH_HEADER_BYTES) throw corrupt(`record batch of ${size} bytes`);
  return size;
}

/**
 * The header of `batch`, which is exactly one whole batch of version 2 with a right CRC, at least one record and no gap
 * in its offsets. Throws FORMAT_TRUNCATED or FORMAT_CORRUPT if it is not. The records themselves are not looked at.
 */
export function checkBatch(batch: Buffer): BatchHeader {
  const header = checkStoredBatch(batch);
  if (!isDense(header)) throw unequal(header);
  return header;
}

/**
 * As checkBatch, for a batch that is stored somewhere: a compaction may have taken records out of it, so that it has
 * fewer records than offsets, or none.
 */
export function checkStoredBatch(batch: Buffer): BatchHeader {
  const header = readBatchHeader(batch);
  const size = batchBytes(batch);
  if (size > batch.length) throw cut(size, batch.length);
  if (size < batch.length) throw corrupt(`record batch of ${size} bytes is followed by ${batch.length - size} more`);
  if (header.recordCount < 0 || header.lastOffsetDelta + 1 < Math.max(1, header.recordCount)) throw unequal(header);
  compressionOf(header);
  const crc = crc32c(batch.subarray(ATTRIBUTES_AT));
  if (crc !== header.crc) throw corrupt(`record batch with CRC ${header.crc}, its bytes give ${crc}`);
  return header;
}

/** True when a whole batch's CRC is that of its bytes. */
export function hasRightCrc(batch: Buffer): boolean {
  return crc32c(batch.subarray(ATTRIBUTES_AT)) === batch.readUInt32BE(CRC_AT);
}

function unequal({ recordCount, lastOffsetDelta }: BatchHeader): HeadwaterError {
  return corrupt(`record batch of ${recordCount} records up to offset delta ${lastOffsetDelta}`);
}

function cut(wanted: number, left: number): HeadwaterError {
  return new HeadwaterError('FORMAT_TRUNCATED', `record batch of ${wanted} bytes is cut at ${left}`);
}

/**
 * The whole batches of fetched data, as views. A last one that is cut is dropped, as brokers cut at a byte limit.
 * Throws FORMAT_CORRUPT for a length that no batch has.
 */
export function splitBatches(bytes: Buffer): Buffer[] {
  const batches: Buffer[] = [];
  let position = 0;
  while (bytes.length - position >= LENGTH_OVERHEAD) {
    const end = position + batchBytes(bytes, position);
    if (end > bytes.length) break;
    batches.push(bytes.subarray(position, end));
    position = end;
  }
  return batches;
}

/**
 * Decodes the records of a batch, whose CRC is not looked at. Keys and values are views of `batch`, or of its
 * decompressed records. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT, also when the records take more than `bytesMax`.
 */
export function decodeRecords(batch: Buffer, bytesMax = DECODED_BYTES_MAX): LogRecord[] {
  const header = readBatchHeader(batch);
  const reader = recordReader(batch, header, bytesMax);
  const times = {
    baseOffset: header.baseOffset,
    baseTimestampMs: header.baseTimestampMs,
    ...(isLogAppendTime(header) && { appendTimestampMs: header.maxTimestampMs }),
    isControl: isControl(header),
  };
  const records: LogRecord[] = [];
  for (let index = 0; index < header.recordCount; index++) records.push(readRecord(reader, times));
  if (reader.remaining > 0) throw corrupt(`${reader.remaining} bytes after the last record of a batch`);
  return records;
}

/** A reader over the decompressed records of a batch, with a plausible count of them. */
export function recordReader(batch: Buffer, header: BatchHeader, bytesMax = DECODED_BYTES_MAX): ByteReader {
  const end = header.batchLength + LENGTH_OVERHEAD;
  if (end < BATCH_HEADER_BYTES) throw corrupt(`record batch of ${end} bytes`);
  if (end > batch.length) throw cut(end, batch.length);
  const records = decompress(compressionOf(header), batch.subarray(BATCH_HEADER_BYTES, end), bytesMax);
  if (header.recordCount < 0 || header.recordCount * RECORD_BYTES_MIN > records.length) {
    throw corrupt(`${header.recordCount} records in ${records.length} bytes`);
  }
  return new ByteReader(records);
}

/**
 * Gathers records and gives one batch. Records are encoded as they come, so that nothing of the caller's is held. Base
 * offset and leader epoch are 0 until `stampOffset`; the base timestamp is that of the first record.
 */
export class BatchBuilder {
  /** Records so far. */
  count = 0;
  /** Latest timestamp so far; -1 without records. */
  maxTimestampMs = -1;
  private baseTimestampMs = 0;
  private readonly writer: ByteWriter;

  /** `sizeHint`: bytes to start with; it grows by doubling. */
  constructor(sizeHint = 512) {
    this.writer = new ByteWriter(Math.max(sizeHint, BATCH_HEADER_BYTES));
    this.writer.reserve(BATCH_HEADER_BYTES);
  }

  /** Bytes of the batch so far, its header included, before compression. */
  get bytes(): number {
    return this.writer.length;
  }

  /** Adds a record; key, value and headers are copied before this returns. `timestampMs` is a safe integer. */
  add(timestampMs: number, key: Buffer | null, value: Buffer | null, headers?: readonly RecordHeader[]): void {
    if (this.count === 0) this.baseTimestampMs = timestampMs;
    if (this.count === 0 || timestampMs > this.maxTimestampMs) this.maxTimestampMs = timestampMs;
    writeRecord(this.writer, timestampMs - this.baseTimestampMs, this.count, key, value, headers);
    this.count++;
  }

  /** The batch of all records added, at least one; the builder must not be used afterwards. */
  build(options: BatchOptions = {}): Buffer {
    assert(this.count > 0, 'a batch has a record');
    return finishBatch(this.writer, options.compression ?? 'none', {
      baseOffset: 0,
      partitionLeaderEpoch: 0,
      attributes: (options.isTransactional ? TRANSACTIONAL : 0) | (options.isControl ? CONTROL : 0),
      lastOffsetDelta: this.count - 1,
      baseTimestampMs: this.baseTimestampMs,
      maxTimestampMs: this.maxTimestampMs,
      producerId: options.producerId ?? -1,
      producerEpoch: options.producerEpoch ?? -1,
      baseSequence: options.baseSequence ?? -1,
      recordCount: this.count,
    });
  }
}

/** One batch of `records`, at least one: see BatchBuilder. */
export function encodeBatch(records: readonly NewRecord[], options: BatchOptions = {}): Buffer {
  const builder = new BatchBuilder();
  for (const { timestampMs, key, value, headers } of records) builder.add(timestampMs, key, value, headers);
  return builder.build(options);
}

type WrittenHeader = Omit<BatchHeader, 'batchLength' | 'magic' | 'crc'>;

/** Compresses the records that follow the reserved header in `writer`, and fills the header in. */
export function finishBatch(writer: ByteWriter, wanted: WrittenCompression | 'auto', header: WrittenHeader): Buffer {
  const { compression, records } = compressRecords(writer.view(BATCH_HEADER_BYTES), wanted);
  let batch: Buffer;
  if (compression === 'none') {
    batch = writer.finish();
  } else {
    batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + records.length);
    records.copy(batch, BATCH_HEADER_BYTES);
  }
  writeBatchHeader(batch, {
    ...header,
    attributes: (header.attributes & ~COMPRESSION_MASK) | idOfCompression(compression),
  });
  return batch;
}

function compressRecords(
  records: Buffer,
  wanted: WrittenCompression | 'auto',
): { compression: WrittenCompression; records: Buffer } {
  if (wanted !== 'auto') return { compression: wanted, records: compress(wanted, records) };
  if (records.length < AUTO_COMPRESSION_BYTES_MIN) return { compression: 'none', records };
  const compressed = compress('zstd', records);
  return compressed.length < records.length
    ? { compression: 'zstd', records: compressed }
    : { compression: 'none', records };
}

function writeBatchHeader(batch: Buffer, header: WrittenHeader): void {
  writeInt64(batch, 0, header.baseOffset);
  batch.writeInt32BE(batch.length - LENGTH_OVERHEAD, 8);
  batch.writeInt32BE(header.partitionLeaderEpoch, 12);
  batch[16] = 2;
  batch.writeInt16BE(header.attributes, ATTRIBUTES_AT);
  batch.writeInt32BE(header.lastOffsetDelta, LAST_OFFSET_DELTA_AT);
  writeInt64(batch, 27, header.baseTimestampMs);
  writeInt64(batch, 35, header.maxTimestampMs);
  writeProducer(batch, header);
  batch.writeInt32BE(header.recordCount, 57);
  writeCrc(batch);
}

function writeProducer(batch: Buffer, { producerId, producerEpoch, baseSequence }: ProducerStamp): void {
  writeInt64(batch, 43, producerId);
  batch.writeInt16BE(producerEpoch, 51);
  batch.writeInt32BE(baseSequence, 53);
}

function writeInt64(batch: Buffer, at: number, value: number): void {
  assert(Number.isSafeInteger(value), 'an int64 is within +-(2^53-1)');
  batch.writeInt32BE(Math.floor(value / 2 ** 32), at);
  batch.writeUInt32BE(value >>> 0, at + 4);
}

/** After any change from byte 21 on. */
export function writeCrc(batch: Buffer): void {
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT);
}

/** Writes the place of a batch in its partition, in place. The CRC does not cover it. */
export function stampOffset(batch: Buffer, baseOffset: number, leaderEpoch: number): void {
  writeInt64(batch, 0, baseOffset);
  batch.writeInt32BE(leaderEpoch, 12);
}

/** Marks a batch without producer id, in place: its times are those of a boot. A new CRC. */
export function stampBoot(batch: Buffer, boot: number): void {
  assert(batch.readInt32BE(43) === -1, 'a batch of headwater itself has no producer id');
  batch.writeInt16BE(batch.readInt16BE(ATTRIBUTES_AT) | UNSURE_TIME, ATTRIBUTES_AT);
  batch.writeInt32BE(boot, 53);
  writeCrc(batch);
}

/** A copy of a batch that stampBoot has marked, with its times moved by `shiftMs` and without the mark. A new CRC. */
export function stampTime(batch: Buffer, shiftMs: number): Buffer {
  const { baseTimestampMs, maxTimestampMs } = readBatchHeader(batch);
  const copy = Buffer.from(batch);
  clearMark(copy);
  writeInt64(copy, 27, baseTimestampMs + shiftMs);
  writeInt64(copy, 35, maxTimestampMs + shiftMs);
  writeCrc(copy);
  return copy;
}

/** Takes the mark of a boot off, in place. A new CRC. */
export function clearBoot(batch: Buffer): void {
  clearMark(batch);
  writeCrc(batch);
}

function clearMark(batch: Buffer): void {
  batch.writeInt16BE(batch.readInt16BE(ATTRIBUTES_AT) & ~UNSURE_TIME, ATTRIBUTES_AT);
  if (batch.readInt32BE(43) === -1) batch.writeInt32BE(-1, 53);
}

/**
 * A copy of a checked batch as an idempotent producer sends it to an upstream: base offset 0, leader epoch -1, the
 * producer's numbers, neither transactional nor LogAppendTime, neither marked as of a boot nor with a delete horizon, new
 * CRC. The records stay compressed as they are.
 */
export function stampProducer(batch: Buffer, stamp: ProducerStamp): Buffer {
  const copy = Buffer.allocUnsafe(batch.length);
  batch.copy(copy);
  stampOffset(copy, 0, -1);
  copy.writeInt16BE(copy.readInt16BE(ATTRIBUTES_AT) & ~NOT_SENT, ATTRIBUTES_AT);
  writeProducer(copy, stamp);
  writeCrc(copy);
  return copy;
}

/**
 * Says, in place, whether the batch's largest timestamp is the time of all its records, and which it is. A new CRC. Without
 * `isAppendTime` the records have their own times, which are still there.
 */
export function stampTimestamps(batch: Buffer, stamp: { isAppendTime: boolean; maxTimestampMs: number }): void {
  const attributes = batch.readInt16BE(ATTRIBUTES_AT) & ~LOG_APPEND_TIME;
  batch.writeInt16BE(attributes | (stamp.isAppendTime ? LOG_APPEND_TIME : 0), ATTRIBUTES_AT);
  writeInt64(batch, 35, stamp.maxTimestampMs);
  writeCrc(batch);
}

/** The same batch with its records compressed otherwise. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
export function recompressBatch(batch: Buffer, compression: WrittenCompression): Buffer {
  const header = readBatchHeader(batch);
  const records = compress(compression, recordReader(batch, header, DECODED_BYTES_MAX).buffer);
  const made = Buffer.allocUnsafe(BATCH_HEADER_BYTES + records.length);
  records.copy(made, BATCH_HEADER_BYTES);
  const attributes = (header.attributes & ~COMPRESSION_MASK) | idOfCompression(compression);
  writeBatchHeader(made, { ...header, attributes });
  return made;
}

/**
 * A batch of those records of `batch` from `fromOffset` up to, not including, `toOffset`; which must be some.
 * Offsets, times, leader epoch and attributes stay, the base sequence moves along, records are copied as they are;
 * snappy and lz4 become zstd. Throws FORMAT_TRUNCATED, and FORMAT_CORRUPT, also when there are no such records.
 */
export function sliceRecords(batch: Buffer, fromOffset: number, toOffset = Number.MAX_SAFE_INTEGER): Buffer {
  const header = readBatchHeader(batch);
  const reader = recordReader(batch, header, DECODED_BYTES_MAX);
  const writer = new ByteWriter(BATCH_HEADER_BYTES + 512);
  writer.reserve(BATCH_HEADER_BYTES);
  let [count, firstDelta, lastDelta, maxTimestampMs] = [0, 0, -1, Number.MIN_SAFE_INTEGER];
  for (let index = 0; index < header.recordCount; index++) {
    const { timestampDelta, offsetDelta, rest } = readRecordFrame(reader);
    const offset = header.baseOffset + offsetDelta;
    if (offset < fromOffset || offset >= toOffset) continue;
    if (offsetDelta <= lastDelta) throw corrupt(`offset delta ${offsetDelta} after ${lastDelta}`);
    if (count === 0) firstDelta = offsetDelta;
    writeRecordFrame(writer, timestampDelta, offsetDelta - firstDelta, rest);
    lastDelta = offsetDelta;
    maxTimestampMs = Math.max(maxTimestampMs, header.baseTimestampMs + timestampDelta);
    count++;
  }
  if (count === 0) throw corrupt(`no record from ${fromOffset} up to ${toOffset} in batch ${header.baseOffset}`);
  if (!Number.isSafeInteger(maxTimestampMs)) throw corrupt('timestamp beyond 2^53-1');
  return finishBatch(writer, writtenCompressionOf(header), {
    ...header,
    baseOffset: header.baseOffset + firstDelta,
    lastOffsetDelta: lastDelta - firstDelta,
    maxTimestampMs: isLogAppendTime(header) ? header.maxTimestampMs : maxTimestampMs,
    baseSequence: sequenceBehind(header, firstDelta),
    recordCount: count,
  });
}

function sequenceBehind(header: BatchHeader, records: number): number {
  if (header.baseSequence < 0 || unsureBootOf(header) !== undefined) return header.baseSequence;
  return (header.baseSequence + records) % SEQUENCE_COUNT;
}

/** As it is compressed; snappy and lz4 become zstd. */
export function writtenCompressionOf(header: BatchHeader): WrittenCompression {
  const compression = compressionOf(header);
  return compression === 'none' || compression === 'gzip' ? compression : 'zstd';
}
