// The log: topics, partitions and the group commit. Everything that enters headwater is appended here, everything that
// leaves it is read here. An offset is given when a commit is taken, and is readable when that commit is synced.

import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { HeadwaterError } from '../errors.ts';
import { checkStoredBatch, readBatchHeader, type BatchHeader } from '../formats/batch.ts';
import type { Allocate } from '../formats/bytes.ts';
import type { Marker } from '../formats/marker.ts';
import type { Metric } from '../metrics.ts';
import type { Store } from '../store/store.ts';
import { believedTimes, type Times } from '../times/times.ts';
import type { Trace } from '../trace.ts';
import { timesOf } from './batch-times.ts';
import { createCommits } from './commits.ts';
import { openCleaner } from './cleaner.ts';
import type { CleanupSettings } from './cleanup.ts';
import type { Durability } from './durability.ts';
import { loadDrops } from './drops.ts';
import { keepEnds, placeEnds } from './ends.ts';
import { openGaps, type GapsRoom, type Losses } from './gaps.ts';
import { createFreeing } from './freeing.ts';
import { metricsOf } from './log-metrics.ts';
import { logStatusOf, type LogStatus } from './log-status.ts';
import { openOutlook } from './outlook.ts';
import { proveAlive } from './probe.ts';
import { LogPartition, numberOf, type PartitionNeeds } from './partition.ts';
import { loadPositions, type Positions } from './positions.ts';
import { createProducerIds } from './producer-ids.ts';
import { createProducers } from './producers.ts';
import { openRetention, type Retention } from './retention.ts';
import { createRoom } from './room.ts';
import type { RecordSettings } from './record-settings.ts';
import { ABORTED, openIn, restoreStability, type AbortedTransaction, type OpenTransaction } from './stability.ts';
import { Tail } from './tail.ts';
import { loadTopicSet } from './topic-set.ts';
import { DEFAULT_SETTINGS, openTopicRows } from './topics.ts';
import type { WhenFull } from './when-full.ts';

/**
 * A group commit: all that waited, over all partitions, in one atomic synced write. Whatever joins in the same
 * synchronous turn joins the same commit, so a record and its mark are kept together or not at all.
 */
export interface Commit {
  /** Says that a source of this commit holds so many bytes more: what waits decides when a commit starts and when the log is full. */
  grow(bytes: number): void;
  /** Calls back once: without an error when all of it is on the card, with one when nothing of it was kept. */
  whenDone(callback: (error?: HeadwaterError) => void): void;
  /** The same as a promise. */
  done(): Promise<void>;
}

export type { LogGap, Losses } from './gaps.ts';
export type { LogStatus } from './log-status.ts';
export type { Position, Positions } from './positions.ts';
export type { AbortedTransaction, OpenTransaction } from './stability.ts';
export { CLEANUPS, isCompacted, isDeleted, PINS, type Cleanup, type CleanupSettings } from './cleanup.ts';
export { DURABILITIES, type Durability } from './durability.ts';
export { WHEN_FULL, type WhenFull } from './when-full.ts';
export { RecordsRefused, type RecordFault } from './client-batch.ts';
export {
  BATCH_BYTES_MAX,
  TIMESTAMP_TYPES,
  TOPIC_COMPRESSIONS,
  type RecordSettings,
  type TimestampType,
  type TopicCompression,
} from './record-settings.ts';
export { checkTopic, DEFAULT_SETTINGS, PARTITIONS_MAX } from './topics.ts';

/** Records gathered for one partition and not yet encoded. The log asks for the bytes when a commit is taken. */
export interface BatchSource {
  /** The batch, encoded once, with base offset 0; called exactly once. Later records go into another source. */
  take(): Buffer;
}

export interface AppendResult {
  /** -1 when the batch was only taken, see Durability: offsets are given when a commit starts. */
  baseOffset: number;
  /** True when the producer had sent this batch before: nothing was appended, baseOffset is the original one. */
  isDuplicate: boolean;
  /** The time of all its records, where the topic has `LogAppendTime`. */
  appendTimeMs?: number;
}

export interface TopicSettings extends CleanupSettings, RecordSettings {
  /** 1 to PARTITIONS_MAX. */
  partitions: number;
  durability: Durability;
  /** Whether its records may go when the budget is reached. Default refuse. */
  whenFull: WhenFull;
}

export interface Topic {
  readonly name: string;
  /** 16 bytes, new for each creation, as Kafka's topic id. */
  readonly id: Buffer;
  readonly settings: Readonly<TopicSettings>;
  readonly partitions: readonly Partition[];
}

export interface Partition {
  readonly topic: Topic;
  readonly index: number;
  /** First offset that can be read. */
  readonly logStart: number;
  /** Offset after the last synced record: what can be read ends here. */
  readonly highWatermark: number;
  /**
   * Readers of committed records end here: where the oldest open transaction begins, or at the high watermark when none
   * is open. Never falls.
   */
  readonly lastStableOffset: number;
  /** Above the high watermark where the card has lost what was last: the next record has this offset at least. */
  readonly resumeOffset: number;
  /** Bytes of the batches from logStart to highWatermark, as stored. */
  readonly bytes: number;

  /**
   * Appends one batch as a Kafka client sent it. On return it is on the card, or what the topic's durability says. Throws RECORD_INVALID, FORMAT_CORRUPT,
   * RECORD_TOO_LARGE, SEQUENCE_OUT_OF_ORDER, PRODUCER_FENCED, TRANSACTION_STATE, LOG_FULL, STORE_UNAVAILABLE: then nothing
   * was kept; RecordsRefused names the records for which. The batch belongs to the log from the call on (its base offset is stamped in place), and is the caller's again when this settles. `isRegistered`: the
   * coordinator knows that this partition belongs to the producer's transaction; a transactional batch without it is
   * refused, as nobody would ever end what it begins. `boot`: headwater stamped it itself, and nobody knew the time (see
   * Clock.doubt): its times are put right when they are known, which those of clients never are.
   */
  append(batch: Buffer, isRegistered?: boolean, boot?: number): Promise<AppendResult>;

  /**
   * Joins the marker of a transaction's end to the commit that is being gathered, behind all that was appended before.
   * Never refused for want of room. Throws LOG_CLOSED, TOPIC_UNKNOWN.
   */
  endTransaction(marker: Marker): Commit;

  /** Joins `source` to the commit that is being gathered. Tell the commit as it grows. Throws LOG_CLOSED, LOG_FULL. */
  gather(source: BatchSource): Commit;

  /**
   * Whole batches from the one that holds `offset` on, up to about `bytesMax` but at least one if there is one; none
   * at the high watermark. The buffers are shared: never change them; some may lie in memory that `allocate` has given,
   * and are as they were as long as that is the caller's. Throws OFFSET_OUT_OF_RANGE.
   */
  read(offset: number, bytesMax: number, allocate?: Allocate): Promise<Buffer[]>;

  /** As `read`, up to the last stable offset. What is there may have been aborted, see `isData`. */
  readStable(offset: number, bytesMax: number, allocate?: Allocate): Promise<Buffer[]>;

  /**
   * False for a stable batch that is none of the records that count: it was aborted, or is the marker of a transaction.
   * Every reader but Kafka's clients, who are told what was aborted, skips it.
   */
  isData(header: BatchHeader): boolean;

  /** Transactions that were aborted and have something from `from` up to, not including, `to`. */
  abortedBetween(from: number, to: number): AbortedTransaction[];

  /** Offset and timestamp of the first record with that timestamp or a later one; undefined if there is none. */
  offsetAtTime(timestampMs: number): Promise<{ offset: number; timestampMs: number } | undefined>;

  /** Resolves when the last stable offset is above `offset`, or `signal` aborts. */
  waitBeyond(offset: number, signal?: AbortSignal): Promise<void>;

  /** Calls `listener` after each commit that added to this partition. Returns the way to stop it. */
  onGrowth(listener: () => void): () => void;

  /** Moves logStart up to `offset` (-1: the high watermark) and returns it. Throws OFFSET_OUT_OF_RANGE. */
  deleteRecords(offset: number): Promise<number>;

  /** Idempotent producers known here, as DescribeProducers tells them. */
  producers(): ProducerState[];
}

export interface ProducerState {
  producerId: number;
  producerEpoch: number;
  /** -1 when nothing but a marker was written in its epoch. */
  lastSequence: number;
  lastTimestampMs: number;
  /** -1 before the first marker. */
  coordinatorEpoch: number;
  /** First offset of its open transaction, or -1. */
  transactionStart: number;
}

export interface Log {
  /** Stable id of this node's log: Kafka's cluster id. */
  readonly clusterId: string;
  topic(name: string): Topic | undefined;
  /** By the 16 bytes of its id. */
  topicById(id: Buffer): Topic | undefined;
  /** In order of names. */
  topics(): Topic[];
  /** On return the topic is on the card. Throws TOPIC_EXISTS, TOPIC_INVALID. */
  createTopic(name: string, settings?: Partial<TopicSettings>): Promise<Topic>;
  /**
   * The topic of that name, made now if there is none (with the settings the configuration gives it, or the defaults).
   * Its definition reaches the card no later than its first record. Throws TOPIC_INVALID.
   */
  ensureTopic(name: string): Topic;
  /**
   * Changes settings of a topic; partitions can be added. On return they are on the card. Throws TOPIC_UNKNOWN, and
   * TOPIC_INVALID, also for a setting that the configuration gives: it would win again at the next start.
   */
  alterTopic(name: string, settings: Partial<TopicSettings>): Promise<void>;
  /** On return the topic is gone and its space is free as soon as its segments go. Throws TOPIC_UNKNOWN. */
  deleteTopic(name: string): Promise<void>;
  /** Calls back after a topic was made or deleted, or got more partitions. Returns the way to stop it. */
  onTopics(listener: () => void): () => void;

  /**
   * Sets or removes (null) a mark in the commit that is being gathered: atomic with the records of the same turn.
   * `durability` is that of the topic of the records that it goes with; default `synced`.
   */
  mark(key: string, value: Buffer | null, durability?: Durability): Commit;
  /** Marks whose key starts with `prefix`, as of the last commit. */
  marks(prefix: string): Iterable<[key: string, value: Buffer]>;

  /** A producer id that was never given before (durable before it is returned). */
  newProducerId(): Promise<number>;

  /** All that is open, in any partition. */
  openTransactions(): OpenTransaction[];

  readonly positions: Positions;

  /**
   * True while more than 8 MiB wait for their commit, the card refuses writes, or there is no room for records: doors stop
   * reading their sockets.
   */
  isFull(): boolean;
  /** Why there is no room for records: the budget is reached, or the disk is full. It may last for days. */
  refusal(): string | undefined;
  /** Resolves when isFull() is false. */
  whenRoom(signal?: AbortSignal): Promise<void>;
  /**
   * For a door that would rather read later, and more at once: for how many milliseconds, `msMax` at most, its records
   * would only wait for their commit. 0 when a commit could start at any moment. Commits count on the door to keep to it.
   */
  lull(msMax: number): number;
  /**
   * Resolves when a commit was synced within the last `withinMs`, else makes one: the watchdog's proof that the card works. A
   * card that refuses writes, full or worn, is proven by a read: what is on it is served and mirrored on.
   */
  probe(withinMs: number): Promise<void>;

  /** What the card has lost. */
  losses(): Losses;

  status(): LogStatus;
  metrics(): Metric[];
  close(): Promise<void>;
}

export interface LogNeeds {
  store: Store;
  clock: Clock;
  /** What time it is, and what is known of earlier boots. Default: the clock is believed. The log closes it. */
  times?: Times;
  trace: Trace;
  /** commit.interval: one commit credit is earned in this time; 0 means that commits cost nothing. */
  commitIntervalMs: number;
  /** commit.burst: credits are saved for this time. */
  commitBurstMs: number;
  /** How long records of relaxed topics may wait for their commit. Default 5000. */
  commitRelaxedMs?: number;
  /** What topics are given when they are made or opened; also for those that are made by a record. */
  topics: ReadonlyMap<string, Partial<TopicSettings>>;
  /** Partitions of a topic that is made without a number. Default 1. */
  partitionsByDefault?: number;
  /** Ceiling for the data folder. */
  budgetBytes: number;
  /** How often retention looks. Default 30 s. */
  retentionIntervalMs?: number;
  /** How often the cleaner looks. Default 5 s. */
  cleaningIntervalMs?: number;
  /** False for a folder that is only looked at: what is lost is not told in a topic of it. Default true. */
  tellsGaps?: boolean;
}

const RELAXED_MS = 5000;
const RETENTION_INTERVAL_MS = 30_000;
const CLEANING_INTERVAL_MS = 5000;

/** Opens the log on a store that was just opened. Owns neither the store nor its closing. */
export async function openLog(needs: LogNeeds): Promise<Log> {
  const { store } = needs;
  const times = needs.times ?? believedTimes(needs.clock, needs.trace);
  const { clock } = times;
  const { tables } = store;
  const trace = needs.trace.room('log');
  const producers = createProducers();
  const tail = new Tail();
  let isHurried = (): boolean => false;
  const room = createRoom({ store, budgetBytes: needs.budgetBytes, waitingBytes: () => commits.waitingBytes() });
  const commits = createCommits({
    store,
    clock,
    room,
    intervalMs: needs.commitIntervalMs,
    burstMs: needs.commitBurstMs,
    relaxedMs: needs.commitRelaxedMs ?? RELAXED_MS,
    isHurried: () => isHurried(),
    onCommit: () => retention?.watchRoom(),
  });
  const read = { bytes: 0 };
  const appended = { records: 0, bytes: 0, batches: 0 };
  const shared: PartitionNeeds = { store, room, clock, times, commits, producers, tail, appended, read, onLost };

  let lostTail: string | undefined;
  let gaps: GapsRoom | undefined;
  let retention: Retention | undefined;

  await store.recover({
    describe: (batch) => {
      const header = checkStoredBatch(batch);
      const { baseOffset, lastOffsetDelta } = header;
      return { firstOffset: baseOffset, lastOffset: baseOffset + lastOffsetDelta, ...timesOf(header) };
    },
    visit: (partition, batch) => {
      const header = readBatchHeader(batch);
      if (header.producerId >= 0) producers.add(partition, header, header.baseOffset, clock.monotonicMs());
    },
    async onGaps(found) {
      await keepEnds(store, found);
      gaps?.tellSoon();
    },
    onTailLost: (reason) => void (lostTail = reason),
    carry: () => producers.snapshot(),
  });
  await store.measure();
  room.look();
  await times.load({
    entries: (prefix) => store.marks(prefix),
    set: (key, value) => void commits.mark(key, value),
  });
  const clusterId = await loadClusterId(store);
  const drops = await loadDrops(tables, clock);
  const positions = await loadPositions(tables, numberOf, clock, trace);
  producers.restore(store.marks('producers/'), clock.monotonicMs());
  const topics = await loadTopicSet({
    rows: await openTopicRows(tables),
    tables,
    configured: needs.topics,
    partitionsByDefault: needs.partitionsByDefault ?? DEFAULT_SETTINGS.partitions,
    makePartition: (topic, index, number) => new LogPartition(shared, topic, index, number),
    holdFor: commits.holdFor,
    onRemoved(partitions) {
      for (const { number } of partitions) {
        producers.forget(number);
        tail.forget(number);
      }
    },
    trace,
  });
  isHurried = topics.hasImmediate;
  await placeEnds(store, topics.partitions, lostTail);
  forgetMarks(restoreStability(topics.partitions.values(), producers, store.marks(ABORTED)));
  await topics.configure();

  const { tellsGaps = true } = needs;
  gaps = openGaps({ store, drops, partitions: topics.partitions, ensureTopic: topics.ensure, clock, trace, tellsGaps });
  gaps.tellSoon();
  const { partitions } = topics;
  const freeing = createFreeing({
    store,
    positions,
    partitions,
    room,
    drops,
    clock,
    trace,
    onLetGo: () => cleaner.lookSoon(),
  });
  const outlook = openOutlook({
    clock,
    partitions,
    lowestPinned: positions.lowestPinned,
    room,
    usedBytes: () => store.space().usedBytes,
  });
  retention = openRetention({
    store,
    positions,
    clock,
    times,
    trace,
    partitions: topics.partitions,
    room,
    free: freeing.free,
    intervalMs: needs.retentionIntervalMs ?? RETENTION_INTERVAL_MS,
    async afterRun() {
      producers.expire(clock.monotonicMs());
      for (const { stability, keptStart } of topics.partitions.values()) forgetMarks(stability.prune(keptStart));
      room.look();
      commits.tellRoom();
      await gaps.prune();
      gaps.tellSoon();
    },
  });
  const cleaner = openCleaner({
    store,
    positions,
    clock,
    trace,
    partitions: topics.partitions,
    times,
    inTurn: retention.inTurn,
    spareBytes: room.spareBytes,
    intervalMs: needs.cleaningIntervalMs ?? CLEANING_INTERVAL_MS,
  });

  function forgetMarks(keys: readonly string[]): void {
    // A log that closes meanwhile finds them at the next start.
    for (const key of keys) commits.mark(key, null).whenDone(() => undefined);
  }

  async function deleteTopic(name: string): Promise<void> {
    const partitions = topics.get(name)?.partitions ?? [];
    await topics.remove(name);
    // Not before its rows are gone: after a crash in between the topic is there, and what was aborted in it.
    for (const { stability } of partitions) forgetMarks(stability.keys());
    for (const partition of partitions) await positions.forget(partition.number);
    retention!.runSoon();
  }

  function onLost(topic: string, records: number): void {
    trace.error('records of a relaxed topic are lost: the log closes while the card refuses writes', {
      topic,
      records,
    });
  }

  const statusNeeds = {
    topics,
    commits,
    store,
    room,
    outlook,
    freeing,
    drops,
    gaps,
    cleaner,
    budgetBytes: needs.budgetBytes,
  };
  const status = (): LogStatus => logStatusOf({ ...statusNeeds, appended, read });

  return {
    clusterId,
    topic: (name) => topics.get(name),
    topicById: topics.byId,
    topics: () => [...topics.all()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    createTopic: topics.create,
    alterTopic: topics.alter,
    ensureTopic: topics.ensure,
    deleteTopic,
    onTopics: topics.onChange,
    mark: (key, value, durability) => commits.mark(key, value, durability),
    marks: (prefix) => store.marks(prefix),
    newProducerId: createProducerIds(tables),
    openTransactions: () => openIn(topics.partitions, producers),
    positions,
    isFull: commits.isFull,
    whenRoom: commits.whenRoom,
    lull: commits.lull,
    refusal: () => room.refusal()?.reason,
    probe: (withinMs) => proveAlive(withinMs, { commits, store, clock }),
    losses: () => gaps.losses(),
    status,
    metrics: () => metricsOf(status()),
    async close() {
      // A card that refuses writes must not hold up the stop: what is not committed was not acknowledged.
      store.giveUp();
      times.close();
      outlook.close();
      await cleaner.close();
      await retention.close();
      await commits.close();
      await gaps.close();
      await positions.close();
    },
  };
}

async function loadClusterId({ tables }: Store): Promise<string> {
  const known = await tables.get('meta/cluster-id');
  if (known !== undefined) return known.toString();
  // 22 characters of base64, as Kafka draws its own.
  const drawn = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url');
  await tables.write([['meta/cluster-id', Buffer.from(drawn)]]);
  return drawn;
}
