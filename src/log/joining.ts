// What waits in a commit for a partition: records that a door gathers, a batch as a client sent it, the marker of a
// transaction's end. Each is told when the commit starts, when it is on the card, and when the log was closed before.

import type { HeadwaterError } from '../errors.ts';
import { isLogAppendTime, isTransactional, readBatchHeader, type BatchHeader } from '../formats/batch.ts';
import { encodeMarker, type Marker } from '../formats/marker.ts';
import type { BatchWrite } from '../store/store.ts';
import type { CommitItem, SetMark } from './commits.ts';
import type { AppendResult, BatchSource, Commit } from './log.ts';
import type { LogPartition } from './partition.ts';
import { abortedKey, encodeAborted } from './stability.ts';

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
      this.#resolve({ baseOffset: this.#write.firstOffset, isDuplicate: false, ...appendTimeOf(this.#write) });
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

function appendTimeOf({ value }: BatchWrite): { appendTimeMs?: number } {
  const header = readBatchHeader(value);
  return isLogAppendTime(header) ? { appendTimeMs: header.maxTimestampMs } : {};
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
