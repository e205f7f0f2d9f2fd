// The log: topics, partitions and the group commit. Everything that enters headwater is appended here, everything that
// leaves it is read here. An offset is given when a commit is taken, and is readable when that commit is synced.

import type { HeadwaterError } from '../errors.ts';
import type { Metric } from '../metrics.ts';

/**
 * A group commit: all that waited, over all partitions, in one atomic synced write. Whatever joins in the same
 * synchronous turn joins the same commit, so a record and its mark are kept together or not at all.
 */
export interface Commit {
  /** Calls back once: without an error when all of it is on the card, with one when nothing of it was kept. */
  whenDone(callback: (error?: HeadwaterError) => void): void;
  /** The same as a promise. */
  done(): Promise<void>;
}

/** Records gathered for one partition and not yet encoded. The log asks for the bytes when a commit is taken. */
export interface BatchSource {
  /** The batch, encoded once, with base offset 0; called exactly once. Later records go into another source. */
  take(): Buffer;
}

export interface AppendResult {
  baseOffset: number;
  /** True when the producer had sent this batch before: nothing was appended, baseOffset is the original one. */
  isDuplicate: boolean;
}

export interface TopicSettings {
  /** 1 to 4096. Default 1. */
  partitions: number;
  /** Records older than this go, ms; -1 keeps them for ever. Default seven days. */
  retentionMs: number;
  /** Oldest batches go while a partition holds more than this; -1 is no limit. Default -1. */
  retentionBytes: number;
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
  /** Bytes of the batches from logStart to highWatermark, as stored. */
  readonly bytes: number;

  /**
   * Appends one batch as a Kafka client sent it. On return it is on the card. Throws RECORD_INVALID, FORMAT_CORRUPT,
   * RECORD_TOO_LARGE, SEQUENCE_OUT_OF_ORDER, PRODUCER_FENCED, LOG_FULL, STORE_UNAVAILABLE: then nothing was kept.
   * The batch belongs to the log from the call on (its base offset is stamped in place).
   */
  append(batch: Buffer): Promise<AppendResult>;

  /** Joins `source` to the commit that is being gathered. `bytes` is added to what waits, see Log.isFull. */
  gather(source: BatchSource): Commit;

  /**
   * Whole batches from the one that holds `offset` on, up to about `bytesMax` but at least one if there is one; none
   * at the high watermark. The buffers are shared: never change them. Throws OFFSET_OUT_OF_RANGE.
   */
  read(offset: number, bytesMax: number): Promise<Buffer[]>;

  /** Offset and timestamp of the first record with that timestamp or a later one; undefined if there is none. */
  offsetAtTime(timestampMs: number): Promise<{ offset: number; timestampMs: number } | undefined>;

  /** Resolves when the high watermark is above `offset`, or `signal` aborts. */
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
  lastSequence: number;
  lastTimestampMs: number;
}

/** How far an owner (a mirror, later a consumer group) has come in a partition. `state` is the owner's own JSON. */
export interface Position {
  /** Next offset the owner needs. */
  offset: number;
  state?: unknown;
}

export interface Positions {
  get(owner: string, partition: Partition): Position | undefined;
  /**
   * Remembers a position; readers and retention see it at once. With `durable` it is on the card on return; without, it
   * is written within ten seconds, many at a time.
   */
  set(owner: string, partition: Partition, position: Position, durable: boolean): Promise<void>;
  /** From now on retention keeps what this owner has not passed (unless the disk budget forces it). */
  pin(owner: string, partition: Partition): void;
  unpin(owner: string, partition: Partition): void;
}

export interface LogStatus {
  topics: number;
  partitions: number;
  /** Stored bytes of all batches, and of the data folder as far as the store knows. */
  bytes: number;
  diskBytes: number;
  budgetBytes: number;
  segments: number;
  appended: { records: number; bytes: number; batches: number };
  read: { bytes: number };
  commits: { count: number; bytes: number; seconds: number; lastMs: number; worstMs: number; failed: number };
  /** Commits that may start at once, see commit.burst. */
  credits: number;
  waitingBytes: number;
  /** `ok`, or why appends are refused at present. */
  state: 'ok' | 'failing';
  reason?: string;
  /** Batches that retention had to remove before a mirror had sent them, because the budget was reached. */
  droppedUnsent: { batches: number; bytes: number };
}

export interface Log {
  /** Stable id of this node's log: Kafka's cluster id. */
  readonly clusterId: string;
  topic(name: string): Topic | undefined;
  /** In order of names. */
  topics(): Topic[];
  /** On return the topic is on the card. Throws TOPIC_EXISTS, TOPIC_INVALID. */
  createTopic(name: string, settings?: Partial<TopicSettings>): Promise<Topic>;
  /**
   * The topic of that name, made now if there is none (with the settings the configuration gives it, or the defaults).
   * Its definition reaches the card no later than its first record. Throws TOPIC_INVALID.
   */
  ensureTopic(name: string): Topic;
  /** On return the topic is gone and its space is free as soon as its segments go. Throws TOPIC_UNKNOWN. */
  deleteTopic(name: string): Promise<void>;
  /** Calls back after a topic was made or deleted. Returns the way to stop it. */
  onTopics(listener: () => void): () => void;

  /** Sets or removes (null) a mark in the commit that is being gathered: atomic with the records of the same turn. */
  mark(key: string, value: Buffer | null): Commit;
  /** Marks whose key starts with `prefix`, as of the last commit. */
  marks(prefix: string): Iterable<[key: string, value: Buffer]>;

  /** A producer id that was never given before (durable before it is returned). */
  newProducerId(): Promise<number>;

  readonly positions: Positions;

  /** True while more than 8 MiB wait for their commit, or the card refuses writes: doors stop reading their sockets. */
  isFull(): boolean;
  /** Resolves when isFull() is false. */
  whenRoom(signal?: AbortSignal): Promise<void>;
  /** Appends a small record to an internal place and syncs it: the watchdog's proof that the card works. */
  probe(): Promise<void>;

  status(): LogStatus;
  metrics(): Metric[];
  close(): Promise<void>;
}
