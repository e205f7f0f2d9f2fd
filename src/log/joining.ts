// What waits in a commit for a partition: records that a door gathers, a batch as a client sent it, the marker of a
// transaction's end. Each is told when the commit starts, when it is on the card, and when the log was closed before.

import { HeadwaterError } from '../errors.ts';
import {
  checkBatch,
  decodeRecords,
  isControl,
  isTransactional,
  readBatchHeader,
  type BatchHeader,
} from '../formats/batch.ts';
import { encodeMarker, type Marker } from '../formats/marker.ts';
import type { BatchWrite } from '../store/store.ts';
import type { CommitItem, SetMark } from './commits.ts';
import type { AppendResult, BatchSource, Commit } from './log.ts';
import type { LogPartition } from './partition.ts';
import { abortedKey, encodeAborted } from './stability.ts';

// Kafka's default for max.message.bytes: a mirror's upstream takes no more.
export const BATCH_BYTES_MAX = 1024 * 1024 + 12;

/** What a door waits for where taking is enough: done from the start. */
export class Acknowledged implements Commit {
  readonly #commit: Commit;

  constructor(commit: Commit) {
    this.#commit = commit;
  }

  grow(bytes: number): void {
    this.#commit.grow(bytes);
  }

  /** After this turn, so that a door can tell of many at once. */
  whenDone(callback: (error?: HeadwaterError) => void): void {
    queueMicrotask(callback);
  }

  done(): Promise<void> {
    return Promise.resolve();
  }
}

/** Records of which somebody waits for the commit, if at all: encoded at the moment it starts. */
export class GatheredBatch implements CommitItem {
  readonly #partition: LogPartition;
  readonly #source: BatchSource;
  #write: BatchWrite | undefined;
  #recordCount = 0;

  constructor(partition: LogPartition, source: BatchSource) {
    this.#partition = partition;
    this.#source = source;
  }

  take(): BatchWrite {
    const batch = this.#source.take();
    const header = readBatchHeader(batch);
    this.#recordCount = header.recordCount;
    this.#write = this.#partition.assign(batch, header);
    return this.#write;
  }

  committed(): void {
    if (this.#write !== undefined) this.#partition.committed(this.#write, this.#recordCount);
  }

  failed(): void {
    // Those who wait for the commit are told by the commit.
    if (this.#partition.topic.settings.durability === 'relaxed') this.#partition.lost(this.#recordCount);
  }
}

/** A batch as a Kafka client sent it. */
export class ClientBatch implements CommitItem {
  readonly #partition: LogPartition;
  readonly #batch: Buffer;
  readonly #header: BatchHeader;
  readonly #resolve: (result: AppendResult) => void;
  readonly #reject: (error: unknown) => void;
  #write: BatchWrite | undefined;
  #originalOffset: number | undefined;
  #refusal: unknown;

  constructor(
    partition: LogPartition,
    batch: Buffer,
    header: BatchHeader,
    resolve: (result: AppendResult) => void,
    reject: (error: unknown) => void,
  ) {
    this.#partition = partition;
    this.#batch = batch;
    this.#header = header;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  take(): BatchWrite | undefined {
    try {
      this.#originalOffset = this.#partition.duplicateOf(this.#header);
    } catch (error) {
      this.#refusal = error;
      return undefined;
    }
    if (this.#originalOffset === undefined) this.#write = this.#partition.assign(this.#batch, this.#header);
    return this.#write;
  }

  committed(): void {
    if (this.#write !== undefined) {
      if (isTransactional(this.#header))
        this.#partition.stability.opened(this.#header.producerId, this.#write.firstOffset);
      this.#partition.committed(this.#write, this.#header.recordCount);
      this.#resolve({ baseOffset: this.#write.firstOffset, isDuplicate: false });
    } else if (this.#originalOffset !== undefined) {
      this.#resolve({ baseOffset: this.#originalOffset, isDuplicate: true });
    } else {
      this.#reject(this.#refusal);
    }
  }

  failed(error: HeadwaterError): void {
    this.#reject(this.#refusal ?? error);
  }
}

/** What Kafka demands of a batch that a client sends (LogValidator). */
export function checkClientBatch(batch: Buffer, needsKeys: boolean, isRegistered: boolean): BatchHeader {
  if (batch.length > BATCH_BYTES_MAX) {
    throw new HeadwaterError(
      'RECORD_TOO_LARGE',
      `a batch of ${batch.length} bytes where ${BATCH_BYTES_MAX} are allowed`,
    );
  }
  const header = checkBatch(batch);
  if (header.baseOffset !== 0) throw invalid(`base offset ${header.baseOffset} where 0 is demanded`);
  if (isControl(header)) throw invalid('clients may not write control batches');
  if (isTransactional(header)) checkTransactional(header, isRegistered);
  if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0)) {
    throw invalid(`sequence ${header.baseSequence}, epoch ${header.producerEpoch} of producer ${header.producerId}`);
  }
  // Records that no consumer can decode would stop a mirror for ever. Throws FORMAT_CORRUPT.
  const records = decodeRecords(batch);
  if (needsKeys && records.some(({ key }) => key === null)) {
    throw invalid('a record without a key, in a topic that keeps the latest record of each key');
  }
  return header;
}

function checkTransactional({ producerId }: BatchHeader, isRegistered: boolean): void {
  if (producerId < 0) throw invalid('a transactional batch without a producer id');
  if (isRegistered) return;
  const text = `producer ${producerId} has not added this partition to its transaction`;
  throw new HeadwaterError('TRANSACTION_STATE', text);
}

function invalid(why: string): HeadwaterError {
  return new HeadwaterError('RECORD_INVALID', `the batch is refused: ${why}`);
}

/** The end of a transaction. */
export class MarkerBatch implements CommitItem {
  readonly #partition: LogPartition;
  readonly #marker: Marker;
  readonly #batch: Buffer;
  #write: BatchWrite | undefined;

  constructor(partition: LogPartition, marker: Marker, timestampMs: number) {
    this.#partition = partition;
    this.#marker = marker;
    this.#batch = encodeMarker(marker, timestampMs);
  }

  get bytes(): number {
    return this.#batch.length;
  }

  take(setMark: SetMark): BatchWrite {
    const { producerId, isCommit } = this.#marker;
    const firstOffset = this.#partition.transactionStart(producerId);
    this.#write = this.#partition.assign(this.#batch, readBatchHeader(this.#batch));
    if (firstOffset !== undefined && !isCommit) {
      const key = abortedKey(this.#partition.number, this.#write.lastOffset);
      setMark(key, encodeAborted({ producerId, firstOffset }));
    }
    return this.#write;
  }

  committed(): void {
    const { producerId, isCommit } = this.#marker;
    this.#partition.stability.ended(producerId, this.#write!.lastOffset, isCommit);
    this.#partition.committed(this.#write!, 0);
  }

  /** Who waits for the commit is told by the commit. */
  failed(): void {}
}
