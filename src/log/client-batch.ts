// A batch as a Kafka client sent it: what Kafka demands of it (its LogValidator), and what the topic makes of it before it
// is appended.
//
//   size, exactly one batch, CRC            the batch is refused as a whole
//   counts, control and transaction bits    the batch is refused as a whole
//   offsets 0, 1, 2..., keys, timestamps    the records that are wrong are named (RecordsRefused)
//   LogAppendTime bit, largest timestamp    put right
//   compression                             made what the topic wants
//
// A batch that nothing is wrong with is appended as it came, byte for byte.

import { HeadwaterError, isHeadwaterError, messageOf, type Code } from '../errors.ts';
import {
  batchBytes,
  checkBatch,
  clearBoot,
  compressionOf,
  hasRightCrc,
  isControl,
  isLogAppendTime,
  isTransactional,
  readBatchHeader,
  recordReader,
  recompressBatch,
  stampTimestamps,
  unsureBootOf,
  type BatchHeader,
} from '../formats/batch.ts';
import { corrupt } from '../formats/bytes.ts';
import type { WrittenCompression } from '../formats/compression.ts';
import { scanRecord, type RecordOutline } from '../formats/record.ts';
import { isCompacted, type CleanupSettings } from './cleanup.ts';
import { BATCH_BYTES_MAX, type RecordSettings, type TopicCompression } from './record-settings.ts';

export interface RecordFault {
  /** Of the record in its batch. */
  index: number;
  message: string;
}

/** Some records of a batch break a rule of their topic, and so nothing of it was kept. */
export class RecordsRefused extends HeadwaterError {
  /** The first of them, FAULTS_MAX at most. */
  readonly faults: readonly RecordFault[];

  constructor(code: Code, message: string, faults: readonly RecordFault[]) {
    super(code, message);
    this.name = 'RecordsRefused';
    this.faults = faults;
  }
}

export interface Admission {
  /** The coordinator knows that the partition belongs to the producer's transaction. */
  isRegistered: boolean;
  /** What the clock says; undefined when it is not to be believed: then no timestamp is too early or too late. */
  nowMs: number | undefined;
}

export interface ClientRecords {
  /** Perhaps another buffer than the one that came. */
  batch: Buffer;
  header: BatchHeader;
}

const FAULTS_MAX = 100;

/**
 * The batch as it is to be appended; the one that came may be changed in place. Throws RECORD_TOO_LARGE, FORMAT_TRUNCATED
 * and FORMAT_CORRUPT (bytes were damaged on their way), RECORD_INVALID, TIMESTAMP_INVALID, TRANSACTION_STATE.
 */
export function admitBatch(
  batch: Buffer,
  settings: Readonly<RecordSettings & CleanupSettings>,
  { isRegistered, nowMs }: Admission,
): ClientRecords {
  checkSize(batch, settings);
  const header = checkWhole(batch);
  if (header.baseOffset !== 0) throw invalid(`base offset ${header.baseOffset} where 0 is demanded`);
  if (isControl(header)) throw invalid('clients may not write control batches');
  if (isTransactional(header)) checkTransactional(header, isRegistered);
  if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0)) {
    throw invalid(`sequence ${header.baseSequence}, epoch ${header.producerEpoch} of producer ${header.producerId}`);
  }
  // What comes from elsewhere was not stamped by a boot of this node.
  if (unsureBootOf(header) !== undefined) clearBoot(batch);
  const wasAppendTime = isLogAppendTime(header);
  // Only a broker gives that time: without the bit the records' own times show.
  if (wasAppendTime) stampTimestamps(batch, { isAppendTime: false, maxTimestampMs: header.maxTimestampMs });
  const maxTimestampMs = checkRecords(batch, header, settings, nowMs);
  if (maxTimestampMs !== header.maxTimestampMs) stampTimestamps(batch, { isAppendTime: false, maxTimestampMs });
  return compressed(batch, settings);
}

function checkSize({ length }: Buffer, { batchBytesMax }: RecordSettings): void {
  const bytesMax = batchBytesMax < 0 ? BATCH_BYTES_MAX : batchBytesMax;
  if (length <= bytesMax) return;
  throw new HeadwaterError('RECORD_TOO_LARGE', `a batch of ${length} bytes where ${bytesMax} are allowed`);
}

/** Damaged bytes are worth another try, and a batch that was made wrongly is not: clients are told which it is. */
function checkWhole(batch: Buffer): BatchHeader {
  const header = readBatchHeader(batch);
  const size = batchBytes(batch);
  if (size < batch.length) throw invalid('more than one batch for a partition');
  const isUneven = header.recordCount < 1 || header.lastOffsetDelta + 1 !== header.recordCount;
  if (isUneven && size === batch.length && hasRightCrc(batch)) {
    throw invalid(`${header.recordCount} records up to offset delta ${header.lastOffsetDelta}`);
  }
  return checkBatch(batch);
}

function checkTransactional({ producerId }: BatchHeader, isRegistered: boolean): void {
  if (producerId < 0) throw invalid('a transactional batch without a producer id');
  if (isRegistered) return;
  const text = `producer ${producerId} has not added this partition to its transaction`;
  throw new HeadwaterError('TRANSACTION_STATE', text);
}

/** Returns the latest timestamp. Nothing is made of the records: that cost more than all else that is done for a batch. */
function checkRecords(
  batch: Buffer,
  header: BatchHeader,
  settings: Readonly<RecordSettings & CleanupSettings>,
  nowMs: number | undefined,
): number {
  const needsKeys = isCompacted(settings);
  const isTimed = nowMs !== undefined && settings.timestampType === 'CreateTime';
  const { timestampBeforeMs: before, timestampAfterMs: after } = settings;
  const earliestMs = isTimed && before >= 0 ? nowMs - before : -Infinity;
  const latestMs = isTimed && after >= 0 ? nowMs + after : Infinity;
  const faults = new Faults();
  let maxTimestampMs = -1;
  scanRecords(batch, header, (index, { offsetDelta, timestampDelta, hasKey }) => {
    const timestampMs = header.baseTimestampMs + timestampDelta;
    if (!Number.isSafeInteger(timestampMs)) throw invalid('a record beyond 2^53-1');
    maxTimestampMs = Math.max(maxTimestampMs, timestampMs);
    if (offsetDelta !== index) faults.add(index, `offset delta ${offsetDelta} where ${index} is next`);
    else if (needsKeys && !hasKey) {
      faults.add(index, 'a record without a key, in a topic that keeps the latest record of each key');
    } else if (timestampMs !== NO_TIMESTAMP && (timestampMs < earliestMs || timestampMs > latestMs)) {
      faults.addTime(index, `timestamp ${timestampMs} is not from ${earliestMs} to ${latestMs}`);
    }
  });
  faults.throwAny();
  return maxTimestampMs;
}

/** Records that no consumer can decode would stop a mirror for ever. */
function scanRecords(batch: Buffer, header: BatchHeader, visit: (index: number, outline: RecordOutline) => void): void {
  const outline: RecordOutline = { timestampDelta: 0, offsetDelta: 0, hasKey: false };
  try {
    const reader = recordReader(batch, header);
    for (let index = 0; index < header.recordCount; index += 1) {
      scanRecord(reader, outline);
      visit(index, outline);
    }
    if (reader.remaining > 0) throw corrupt(`${reader.remaining} bytes after the last record of a batch`);
  } catch (error) {
    if (!isHeadwaterError(error) || error.code === 'RECORD_INVALID') throw error;
    throw new HeadwaterError('RECORD_INVALID', `the batch is refused: ${messageOf(error)}`, { cause: error });
  }
}

/** How a client says that it knows no time. */
const NO_TIMESTAMP = -1;

class Faults {
  private readonly found: RecordFault[] = [];
  private count = 0;
  private areTimes = true;

  add(index: number, message: string): void {
    this.areTimes = false;
    this.addTime(index, message);
  }

  addTime(index: number, message: string): void {
    this.count += 1;
    if (this.found.length < FAULTS_MAX) this.found.push({ index, message });
  }

  throwAny(): void {
    if (this.count === 0) return;
    const { message } = this.found[0]!;
    const text = `${this.count} of its records are refused, and with them the batch; the first: ${message}`;
    throw new RecordsRefused(this.areTimes ? 'TIMESTAMP_INVALID' : 'RECORD_INVALID', text, this.found);
  }
}

const WRITTEN: Record<Exclude<TopicCompression, 'producer'>, WrittenCompression> = {
  uncompressed: 'none',
  gzip: 'gzip',
  zstd: 'zstd',
};

function compressed(batch: Buffer, settings: Readonly<RecordSettings>): ClientRecords {
  const header = readBatchHeader(batch);
  if (settings.compression === 'producer') return { batch, header };
  const wanted = WRITTEN[settings.compression];
  if (compressionOf(header) === wanted) return { batch, header };
  const made = recompressBatch(batch, wanted);
  // It may have grown.
  checkSize(made, settings);
  return { batch: made, header: readBatchHeader(made) };
}

function invalid(why: string): HeadwaterError {
  return new HeadwaterError('RECORD_INVALID', `the batch is refused: ${why}`);
}
