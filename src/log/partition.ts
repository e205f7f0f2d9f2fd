// One partition: its two ends, and the ways in and out. Offsets are given without a gap when a commit starts, and can be read
// when it is synced, so the high watermark is the end of what is on the card. Compaction may take records out later.

import type { Clock } from '../clock.ts';
import { HeadwaterError } from '../errors.ts';
import {
  clearBoot,
  decodeRecords,
  isControl,
  isTransactional,
  nextOffsetOf,
  readBatchHeader,
  stampOffset,
  stampTimestamps,
  unsureBootOf,
  type BatchHeader,
} from '../formats/batch.ts';
import type { Allocate } from '../formats/bytes.ts';
import { COORDINATOR_EPOCH, type Marker } from '../formats/marker.ts';
import type { BatchWrite, LocatedRange, Range, Store } from '../store/store.ts';
import type { Times } from '../times/times.ts';
import { latestIn, ofBoot, timesOf, withTimes } from './batch-times.ts';
import type { CommitItem, Commits } from './commits.ts';
import type { Durability } from './durability.ts';
import { admitBatch } from './client-batch.ts';
import { Acknowledged, ClientBatch, GatheredBatch, MarkerBatch } from './joining.ts';
import type { AppendResult, BatchSource, Commit, Partition, ProducerState, Topic } from './log.ts';
import type { Producers } from './producers.ts';
import type { Room } from './room.ts';
import { Stability, type AbortedTransaction } from './stability.ts';
import type { Tail } from './tail.ts';
import { startKey } from './topics.ts';

export interface PartitionNeeds {
  store: Store;
  room: Pick<Room, 'refusal' | 'isBeyond'>;
  clock: Clock;
  times: Times;
  commits: Commits;
  producers: Producers;
  tail: Tail;
  appended: { records: number; bytes: number; batches: number };
  read: { bytes: number };
  /** Records that were acknowledged when they were taken, and then lost. */
  onLost(topic: string, records: number): void;
}

const SCAN_BYTES = 1024 * 1024;
// One node without elections: the epoch of its leadership never changes.
const LEADER_EPOCH = 0;

/** The store's number of a partition, unique for ever. */
export function numberOf(partition: Partition): number {
  return (partition as LogPartition).number;
}

export class LogPartition implements Partition {
  readonly topic: Topic;
  readonly index: number;
  readonly number: number;
  logStart = 0;
  /** The log start as it is on the card. */
  keptStart = 0;
  highWatermark = 0;
  resumeOffset = 0;
  bytes = 0;
  readonly stability: Stability;
  readonly #needs: PartitionNeeds;
  readonly #listeners = new Set<() => void>();
  // Ahead of the high watermark while a commit is in flight.
  #nextOffset = 0;
  #isRemoved = false;
  // What `bytes` does not count of the segment below which logStart was moved last: it may have grown since.
  #passed = { segment: -1, bytes: 0 };

  constructor(needs: PartitionNeeds, topic: Topic, index: number, number: number) {
    this.#needs = needs;
    this.topic = topic;
    this.index = index;
    this.number = number;
    this.stability = new Stability(number);
  }

  get lastStableOffset(): number {
    return Math.max(this.logStart, Math.min(this.highWatermark, this.stability.firstOpen));
  }

  /** At the start: nothing below `logStart` can be read, and offsets go on from there at least. */
  place(logStart: number): void {
    this.logStart = logStart;
    this.keptStart = logStart;
    this.#endAt(Math.max(this.highWatermark, logStart));
  }

  /** At the start: the store holds this much. */
  hold(range: Range): void {
    if (range.lastOffset >= this.logStart) this.bytes += range.bytes;
    this.#endAt(Math.max(this.highWatermark, range.lastOffset + 1));
  }

  /** At the start, last: offsets below were given to records that the card has lost, and are not given again. */
  goOnAt(offset: number): void {
    this.#nextOffset = Math.max(this.#nextOffset, offset);
    this.resumeOffset = Math.max(this.resumeOffset, offset);
  }

  #endAt(offset: number): void {
    this.highWatermark = offset;
    this.#nextOffset = offset;
  }

  /** The topic is gone: readers wake up and find out. */
  remove(): void {
    this.#isRemoved = true;
    this.#tellListeners();
  }

  async append(given: Buffer, isRegistered = false, boot?: number): Promise<AppendResult> {
    const { clock } = this.#needs;
    const nowMs = clock.doubt === undefined ? clock.wallMs() : undefined;
    const admitted = admitBatch(given, this.topic.settings, { isRegistered, nowMs });
    const { batch, header } = boot === undefined ? admitted : ofBoot(admitted.batch, boot);
    const failure = this.#needs.store.failure();
    if (failure !== undefined) throw new HeadwaterError('STORE_UNAVAILABLE', `the card refuses writes: ${failure}`);
    const refusal = this.#needs.room.refusal();
    if (refusal !== undefined) throw new HeadwaterError('STORE_UNAVAILABLE', refusal.reason);
    const { durability } = this.topic.settings;
    if (durability === 'relaxed' && header.producerId < 0) {
      // It is the caller's again when this resolves, which is before its commit.
      const kept = batch === given ? Buffer.from(batch) : batch;
      this.gather({ take: () => kept }).grow(kept.length);
      return { baseOffset: -1, isDuplicate: false };
    }
    return new Promise((resolve, reject) => {
      const hurry = durability === 'relaxed' ? 'synced' : durability;
      this.#join(new ClientBatch(this, batch, header, resolve, reject), batch.length, hurry);
    });
  }

  gather(source: BatchSource): Commit {
    // Doors stop reading before; what was read until then is taken.
    if (this.#needs.room.isBeyond()) throw new HeadwaterError('LOG_FULL', this.#needs.room.refusal()!.reason);
    const { durability } = this.topic.settings;
    const commit = this.#join(new GatheredBatch(this, source), 0, durability);
    return durability === 'relaxed' ? new Acknowledged(commit) : commit;
  }

  endTransaction(marker: Marker): Commit {
    if (this.#isRemoved) throw this.#removed();
    const { clock, commits } = this.#needs;
    const item = new MarkerBatch(this, marker, clock.wallMs());
    return commits.joinAnyway(item, item.bytes);
  }

  #join(item: CommitItem, bytes: number, durability: Durability): Commit {
    if (this.#isRemoved) throw this.#removed();
    return this.#needs.commits.join(item, bytes, durability);
  }

  /** Records that were acknowledged when they were taken did not reach the card: the log is closed while it refuses writes. */
  lost(records: number): void {
    this.#needs.onLost(this.topic.name, records);
  }

  /** Gives a batch its offsets, and its time where the topic says so, in the commit that has just started. */
  assign(batch: Buffer, given: BatchHeader): BatchWrite {
    const header = this.#timed(batch, given);
    const firstOffset = this.#nextOffset;
    const lastOffset = firstOffset + header.lastOffsetDelta;
    stampOffset(batch, firstOffset, LEADER_EPOCH);
    this.#nextOffset = lastOffset + 1;
    if (header.producerId >= 0) {
      this.#needs.producers.add(this.number, header, firstOffset, this.#needs.clock.monotonicMs());
    }
    return { partition: this.number, firstOffset, lastOffset, ...timesOf(header), value: batch };
  }

  #timed(batch: Buffer, header: BatchHeader): BatchHeader {
    if (this.topic.settings.timestampType === 'CreateTime' || isControl(header)) return header;
    const { clock } = this.#needs;
    const maxTimestampMs = clock.wallMs();
    stampTimestamps(batch, { isAppendTime: true, maxTimestampMs });
    // The number of a producer's batch stands where that of a boot would.
    if (clock.doubt !== undefined && header.producerId < 0) return ofBoot(batch, clock.doubt.boot).header;
    if (unsureBootOf(header) === undefined) return { ...header, maxTimestampMs };
    // The time of the commit is known by now, though that of its records was not.
    clearBoot(batch);
    return readBatchHeader(batch);
  }

  /** First offset of the producer's transaction that is open here, what is in flight included. */
  transactionStart(producerId: number): number | undefined {
    return this.#needs.producers.transactionStart(this.number, producerId);
  }

  /** Where this batch was appended before, if its producer has sent it before. */
  duplicateOf(header: BatchHeader): number | undefined {
    return header.producerId < 0 ? undefined : this.#needs.producers.check(this.number, header);
  }

  /** The commit that holds this batch is synced. */
  committed(write: BatchWrite, recordCount: number): void {
    const { tail, appended } = this.#needs;
    this.highWatermark = write.lastOffset + 1;
    this.bytes += write.value.length;
    appended.records += recordCount;
    appended.bytes += write.value.length;
    appended.batches += 1;
    if (this.#isRemoved) return;
    tail.add(this.number, write.firstOffset, write.lastOffset, write.value);
    this.#tellListeners();
  }

  read(offset: number, bytesMax: number, allocate?: Allocate): Promise<Buffer[]> {
    return this.#readUpTo(this.highWatermark, offset, bytesMax, allocate);
  }

  async readStable(offset: number, bytesMax: number, allocate?: Allocate): Promise<Buffer[]> {
    const batches = await this.#readUpTo(this.lastStableOffset, offset, bytesMax, allocate);
    // What was aborted below the log start may be forgotten by now, and could not be told from what counts.
    this.#checkReadable(offset);
    return batches;
  }

  isData(header: BatchHeader): boolean {
    // Where compaction has taken all records away an empty batch is left.
    if (isControl(header) || header.recordCount === 0) return false;
    return !isTransactional(header) || !this.stability.isAborted(header.producerId, header.baseOffset);
  }

  abortedBetween(from: number, to: number): AbortedTransaction[] {
    return this.stability.abortedBetween(from, to);
  }

  async #readUpTo(end: number, offset: number, bytesMax: number, allocate?: Allocate): Promise<Buffer[]> {
    this.#checkReadable(offset);
    if (offset >= end) return [];
    const { tail, store, read } = this.#needs;
    let batches = tail.read(this.number, offset, bytesMax, allocate);
    if (batches === undefined) {
      const stored = await store.read(this.number, offset, bytesMax, allocate).catch((error: unknown) => {
        // Retention may have removed the segment while it was opened.
        this.#checkReadable(offset);
        throw error;
      });
      batches = stored;
    }
    // LevelDB also shows what is written and not yet synced: that is not ours to give.
    if (batches.length > 0 && !beginsBefore(batches.at(-1)!, end)) {
      batches = batches.filter((batch) => readBatchHeader(batch).baseOffset < end);
    }
    for (const batch of batches) read.bytes += batch.length;
    return withTimes(batches, this.#needs.times);
  }

  #checkReadable(offset: number): void {
    if (this.#isRemoved) throw this.#removed();
    // Who has seen what the card has lost since waits there for what comes.
    if (offset >= this.logStart && offset <= Math.max(this.highWatermark, this.resumeOffset)) return;
    const text = `offset ${offset} of ${this.topic.name}/${this.index} is not between ${this.logStart} and ${this.highWatermark}`;
    throw new HeadwaterError('OFFSET_OUT_OF_RANGE', text);
  }

  #removed(): HeadwaterError {
    return new HeadwaterError('TOPIC_UNKNOWN', `topic ${this.topic.name} was deleted`);
  }

  async offsetAtTime(timestampMs: number): Promise<{ offset: number; timestampMs: number } | undefined> {
    const { store } = this.#needs;
    let offset = this.logStart;
    while (offset < this.highWatermark) {
      const range = await store.rangeAt(this.number, offset);
      if (range === undefined) return undefined;
      if (latestIn(range, this.#needs.times) >= timestampMs) {
        const found = await this.#findTime(timestampMs, Math.max(offset, range.firstOffset), range.lastOffset);
        if (found !== undefined) return found;
      }
      offset = range.lastOffset + 1;
    }
    return undefined;
  }

  async #findTime(
    timestampMs: number,
    from: number,
    to: number,
  ): Promise<{ offset: number; timestampMs: number } | undefined> {
    let offset = from;
    while (offset <= to && offset < this.highWatermark) {
      const batches = await this.read(offset, SCAN_BYTES);
      if (batches.length === 0) return undefined;
      for (const batch of batches) {
        const header = readBatchHeader(batch);
        offset = nextOffsetOf(header);
        if (header.maxTimestampMs < timestampMs || isControl(header)) continue;
        const found = decodeRecords(batch).find((each) => each.timestampMs >= timestampMs && each.offset >= from);
        if (found !== undefined) return { offset: found.offset, timestampMs: found.timestampMs };
      }
    }
    return undefined;
  }

  waitBeyond(offset: number, signal?: AbortSignal): Promise<void> {
    if (this.lastStableOffset > offset || this.#isRemoved || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.onGrowth(() => {
        if (this.lastStableOffset > offset || this.#isRemoved) done();
      });
      function done(): void {
        stop();
        signal?.removeEventListener('abort', done);
        resolve();
      }
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  onGrowth(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tellListeners(): void {
    for (const listener of this.#listeners) listener();
  }

  async deleteRecords(offset: number): Promise<number> {
    const target = offset === -1 ? this.highWatermark : offset;
    if (target < 0 || target > this.highWatermark) this.#checkReadable(target);
    await this.moveStart(target);
    return this.logStart;
  }

  /** Raises logStart; on the card on return, so that no offset is ever given twice. Lower targets change nothing. */
  async moveStart(target: number): Promise<void> {
    if (target <= this.logStart) return;
    const { store } = this.#needs;
    let offset = this.logStart;
    this.logStart = target;
    await store.tables.write([[startKey(this.number), Buffer.from(String(target))]]);
    this.keptStart = Math.max(this.keptStart, target);
    while (offset < target) {
      const range = await store.rangeAt(this.number, offset);
      if (range === undefined || range.lastOffset >= target) return;
      this.bytes = Math.max(0, this.bytes - this.countedBytes(range));
      this.#passed = { segment: range.segment, bytes: range.bytes };
      offset = range.lastOffset + 1;
    }
  }

  /** What `bytes` counts of a segment's part of this partition. */
  countedBytes({ segment, bytes }: LocatedRange): number {
    return this.#passed.segment === segment ? bytes - this.#passed.bytes : bytes;
  }

  /** Cleaning has put `after` in the place of some parts of this partition. Returns by how much `bytes` went down. */
  recount(before: readonly LocatedRange[], after: Range | undefined): number {
    const isCounted = ({ lastOffset }: Range): boolean => lastOffset >= this.logStart;
    let freedBytes = after !== undefined && isCounted(after) ? -after.bytes : 0;
    for (const range of before) if (isCounted(range)) freedBytes += this.countedBytes(range);
    if (before.some(({ segment }) => segment === this.#passed.segment)) this.#passed = { segment: -1, bytes: 0 };
    this.bytes = Math.max(0, this.bytes - freedBytes);
    return freedBytes;
  }

  producers(): ProducerState[] {
    return this.#needs.producers.of(this.number).map((each) => ({
      producerId: each.producerId,
      producerEpoch: each.producerEpoch,
      lastSequence: each.batches.at(-1)?.lastSequence ?? -1,
      lastTimestampMs: each.lastTimestampMs,
      coordinatorEpoch: each.hasMarker ? COORDINATOR_EPOCH : -1,
      transactionStart: each.transactionStart ?? -1,
    }));
  }
}

function beginsBefore(batch: Buffer, end: number): boolean {
  return readBatchHeader(batch).baseOffset < end;
}
