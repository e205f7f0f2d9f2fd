// The log's contract in memory, for rooms above the log: appended batches are readable one turn later, and what the
// test wants to go wrong goes wrong. Nothing is kept over a restart, and nothing is removed by retention.

import { randomBytes } from 'node:crypto';
import { HeadwaterError } from '../../src/errors.ts';
import {
  checkBatch,
  isControl,
  isTransactional,
  readBatchHeader,
  stampOffset,
  type BatchHeader,
} from '../../src/formats/batch.ts';
import { encodeMarker, type Marker } from '../../src/formats/marker.ts';
import { Stability } from '../../src/log/stability.ts';
import { DEFAULT_SETTINGS } from '../../src/log/log.ts';
import type {
  AbortedTransaction,
  AppendResult,
  BatchSource,
  Commit,
  Log,
  LogStatus,
  Partition,
  Position,
  ProducerState,
  Topic,
  TopicSettings,
} from '../../src/log/log.ts';

export interface FakeLog extends Log {
  /** Until undone, appends throw this. */
  failAppends(error: HeadwaterError | undefined): void;
  setFull(isFull: boolean): void;
  /** There is no room for records: appends are refused, see Log.refusal. */
  setRefusal(reason: string | undefined): void;
  /** Appends settle only after `release()`. */
  hold(): { release(): void };
  partition(topic: string, index?: number): FakePartition;
}

export class FakePartition implements Partition {
  readonly topic: Topic;
  readonly index: number;
  logStart = 0;
  highWatermark = 0;
  readonly stability = new Stability(0);
  readonly resumeOffset = 0;
  bytes = 0;
  readonly batches: Buffer[] = [];
  readonly listeners = new Set<() => void>();
  private readonly states = new Map<number, ProducerState & { batches: Map<number, number> }>();
  private readonly gate: () => Promise<void>;
  private nextOffset = 0;

  /** Records that wait for their commit. */
  get waiting(): number {
    return this.nextOffset - this.highWatermark;
  }

  constructor(topic: Topic, index: number, gate: () => Promise<void>) {
    this.topic = topic;
    this.index = index;
    this.gate = gate;
  }

  get lastStableOffset(): number {
    return Math.min(this.highWatermark, this.stability.firstOpen);
  }

  async append(batch: Buffer, isRegistered = false): Promise<AppendResult> {
    const header = checkBatch(batch);
    if (isTransactional(header) && !isControl(header) && !isRegistered) {
      throw new HeadwaterError('TRANSACTION_STATE', `producer ${header.producerId}`);
    }
    if (isControl(header)) return this.add(batch, header);
    if (header.producerId >= 0) {
      const known = this.sequence(header);
      if (known !== undefined) return { baseOffset: known, isDuplicate: true };
    }
    return this.add(batch, header);
  }

  private async add(batch: Buffer, header: BatchHeader): Promise<AppendResult> {
    const baseOffset = this.nextOffset;
    this.nextOffset += header.recordCount;
    stampOffset(batch, baseOffset, 0);
    await this.gate();
    if (isTransactional(header) && !isControl(header)) this.stability.opened(header.producerId, baseOffset);
    this.batches.push(batch);
    this.bytes += batch.length;
    this.highWatermark = baseOffset + header.recordCount;
    for (const listener of this.listeners) listener();
    return { baseOffset, isDuplicate: false };
  }

  endTransaction(marker: Marker): Commit {
    const added = this.add(encodeMarker(marker, 0), readBatchHeader(encodeMarker(marker, 0)));
    return commitOf(
      added.then(({ baseOffset }) => {
        this.stability.ended(marker.producerId, baseOffset, marker.isCommit);
        for (const listener of this.listeners) listener();
      }),
    );
  }

  async readStable(offset: number, bytesMax: number): Promise<Buffer[]> {
    const batches = await this.read(offset, bytesMax);
    return batches.filter((batch) => readBatchHeader(batch).baseOffset < this.lastStableOffset);
  }

  isData(header: BatchHeader): boolean {
    return (
      !isControl(header) && header.recordCount > 0 && !this.stability.isAborted(header.producerId, header.baseOffset)
    );
  }

  abortedBetween(from: number, to: number): AbortedTransaction[] {
    return this.stability.abortedBetween(from, to);
  }

  /** The offset of a batch that was sent before; undefined for the next one in order. */
  private sequence(header: ReturnType<typeof readBatchHeader>): number | undefined {
    const lastSequence = header.baseSequence + header.lastOffsetDelta;
    const state = this.states.get(header.producerId);
    const known = state?.batches.get(header.baseSequence);
    if (known !== undefined) return known;
    if (state !== undefined && header.producerEpoch < state.producerEpoch) {
      throw new HeadwaterError('PRODUCER_FENCED', `epoch ${header.producerEpoch}`);
    }
    if (state !== undefined && header.baseSequence !== state.lastSequence + 1) {
      throw new HeadwaterError('SEQUENCE_OUT_OF_ORDER', `sequence ${header.baseSequence}`);
    }
    const batches = state?.batches ?? new Map<number, number>();
    batches.set(header.baseSequence, this.nextOffset);
    const { producerId, producerEpoch, maxTimestampMs: lastTimestampMs } = header;
    const transaction = { coordinatorEpoch: -1, transactionStart: -1 };
    this.states.set(producerId, { producerId, producerEpoch, lastSequence, lastTimestampMs, batches, ...transaction });
    return undefined;
  }

  gather(source: BatchSource): Commit {
    return commitOf(this.append(source.take()).then(() => undefined));
  }

  async read(offset: number, bytesMax: number): Promise<Buffer[]> {
    if (offset < this.logStart || offset > this.highWatermark) {
      throw new HeadwaterError('OFFSET_OUT_OF_RANGE', `offset ${offset}`);
    }
    const found: Buffer[] = [];
    let bytes = 0;
    for (const batch of this.batches) {
      const header = readBatchHeader(batch);
      if (header.baseOffset + header.lastOffsetDelta < offset) continue;
      if (found.length > 0 && bytes + batch.length > bytesMax) break;
      found.push(batch);
      bytes += batch.length;
    }
    return found;
  }

  async offsetAtTime(timestampMs: number): Promise<{ offset: number; timestampMs: number } | undefined> {
    for (const batch of this.batches) {
      const header = readBatchHeader(batch);
      if (header.maxTimestampMs >= timestampMs)
        return { offset: header.baseOffset, timestampMs: header.maxTimestampMs };
    }
    return undefined;
  }

  async waitBeyond(offset: number, signal?: AbortSignal): Promise<void> {
    if (this.lastStableOffset > offset || signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      const stop = this.onGrowth(() => {
        if (this.lastStableOffset <= offset) return;
        stop();
        resolve();
      });
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  onGrowth(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  async deleteRecords(offset: number): Promise<number> {
    const target = offset === -1 ? this.highWatermark : offset;
    if (target > this.highWatermark) throw new HeadwaterError('OFFSET_OUT_OF_RANGE', `offset ${offset}`);
    this.logStart = Math.max(this.logStart, target);
    return this.logStart;
  }

  producers(): ProducerState[] {
    return [...this.states.values()];
  }
}

export function fakeLog(): FakeLog {
  const topics = new Map<string, Topic & { partitions: FakePartition[] }>();
  const topicListeners = new Set<() => void>();
  const positions = new Map<string, Position>();
  const marks = new Map<string, Buffer>();
  let failure: HeadwaterError | undefined;
  let isFull = false;
  let refusal: string | undefined;
  let roomWaiters: (() => void)[] = [];
  let held: Promise<void> | undefined;
  let producerId = 1000;

  async function gate(): Promise<void> {
    if (failure !== undefined) throw failure;
    await new Promise((resolve) => setImmediate(resolve));
    await held;
    if (failure !== undefined) throw failure;
  }

  function make(name: string, settings: Partial<TopicSettings>): Topic {
    if (!/^[\w.-]{1,249}$/.test(name) || /^[.]{1,2}$/.test(name))
      throw new HeadwaterError('TOPIC_INVALID', `topic name ${name}`);
    const partitions: FakePartition[] = [];
    const topic = { name, id: randomBytes(16), settings: { ...DEFAULT_SETTINGS, ...settings }, partitions };
    for (let index = 0; index < topic.settings.partitions; index++) {
      partitions.push(new FakePartition(topic, index, gate));
    }
    topics.set(name, topic);
    for (const listener of topicListeners) listener();
    return topic;
  }

  function setFull(full: boolean): void {
    isFull = full;
    if (full) return;
    for (const resolve of roomWaiters) resolve();
    roomWaiters = [];
  }

  return {
    clusterId: 'fake-cluster',
    topic: (name) => topics.get(name),
    topicById: (id) => [...topics.values()].find((each) => each.id.equals(id)),
    topics: () => [...topics.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    async createTopic(name, settings = {}) {
      if (topics.has(name)) throw new HeadwaterError('TOPIC_EXISTS', `topic ${name}`);
      return make(name, settings);
    },
    ensureTopic: (name) => topics.get(name) ?? make(name, {}),
    async alterTopic(name, settings) {
      const topic = topics.get(name);
      if (topic === undefined) throw new HeadwaterError('TOPIC_UNKNOWN', `topic ${name}`);
      Object.assign(topic.settings, settings);
      while (topic.partitions.length < topic.settings.partitions) {
        topic.partitions.push(new FakePartition(topic, topic.partitions.length, gate));
      }
      for (const listener of topicListeners) listener();
    },
    async deleteTopic(name) {
      if (!topics.delete(name)) throw new HeadwaterError('TOPIC_UNKNOWN', `topic ${name}`);
      for (const listener of topicListeners) listener();
    },
    onTopics(listener) {
      topicListeners.add(listener);
      return () => void topicListeners.delete(listener);
    },
    mark(key, value) {
      if (value === null) marks.delete(key);
      else marks.set(key, value);
      return commitOf(gate());
    },
    losses: () => ({ gaps: [], forgotten: 0, quarantine: [] }),
    marks: (prefix) => [...marks].filter(([key]) => key.startsWith(prefix)),
    openTransactions: () => [],
    newProducerId: async () => producerId++,
    positions: {
      get: (owner, partition) => positions.get(`${owner} ${partition.topic.name} ${partition.index}`),
      async set(owner, partition, position) {
        positions.set(`${owner} ${partition.topic.name} ${partition.index}`, position);
      },
      pin: () => undefined,
      unpin: () => undefined,
    },
    isFull: () => isFull,
    refusal: () => refusal,
    whenRoom: (signal) =>
      new Promise((resolve) => {
        signal?.addEventListener('abort', () => resolve(), { once: true });
        if (isFull) roomWaiters.push(resolve);
        else resolve();
      }),
    lull: () => 0,
    probe: gate,
    status: () => {
      const partitions = [...topics.values()].flatMap((topic) => topic.partitions);
      const diskBytes = partitions.reduce((sum, { bytes }) => sum + bytes, 0);
      // No more of it is asked for by what is tested on this log.
      return { budgetBytes: 1e9, diskBytes, transactions: { open: 0, aborted: 0 } } as LogStatus;
    },
    metrics: () => [],
    close: async () => undefined,
    failAppends: (error) => void (failure = error),
    setFull,
    setRefusal(reason) {
      refusal = reason;
      failure = reason === undefined ? undefined : new HeadwaterError('STORE_UNAVAILABLE', reason);
      setFull(reason !== undefined);
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return {
        release: () => {
          held = undefined;
          resolve();
        },
      };
    },
    partition: (name, index = 0) => topics.get(name)!.partitions[index]!,
  };
}

function commitOf(done: Promise<void>): Commit {
  return {
    grow: () => undefined,
    done: () => done,
    whenDone: (callback) => {
      done.then(
        () => callback(),
        (error: unknown) => callback(error as HeadwaterError),
      );
    },
  };
}
