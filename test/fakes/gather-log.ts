// A log in memory for what feeds it: topics, and commits that happen when the test says so. What is read back are the
// records of the batches that were taken.

import { HeadwaterError } from '../../src/errors.ts';
import { decodeRecords, type LogRecord } from '../../src/formats/batch.ts';
import type { BatchSource, Commit, Log, Topic } from '../../src/log/log.ts';

interface FakePartition {
  index: number;
  topic: Topic;
  batches: Buffer[];
  gather(source: BatchSource): Commit;
}

type Callback = (error?: HeadwaterError) => void;

export interface GatherLog {
  /** To be handed to what is tested. */
  log: Log;
  /** Takes what was gathered and settles it: kept without an error, forgotten with one. */
  commit(error?: HeadwaterError): void;
  /** Takes what was gathered; the commit is in flight until the returned function settles it. */
  startCommit(): (error?: HeadwaterError) => void;
  /** Commits after each turn in which something was gathered, until told otherwise. */
  commitByItself(on: boolean): void;
  records(topic: string, partition?: number): LogRecord[];
  batches(topic: string, partition?: number): Buffer[];
  marks: Map<string, Buffer>;
  createTopic(name: string, partitions: number): void;
  deleteTopic(name: string): void;
  setFull(isFull: boolean): void;
  /** From here on gathering throws this. */
  refuse(error: HeadwaterError | undefined): void;
  commits: number;
  /** What the commits were told that they hold. */
  grownBytes: number;
}

export function gatherLog(): GatherLog {
  const topics = new Map<string, Topic>();
  const partitions = new Map<string, FakePartition[]>();
  const listeners = new Set<() => void>();
  const roomWaiters = new Set<() => void>();
  let isFull = false;
  let refusal: HeadwaterError | undefined;
  let isByItself = false;
  let gathering = newCommit();

  function newCommit() {
    const callbacks: Callback[] = [];
    const sources: { partition: FakePartition; source: BatchSource }[] = [];
    const marks: [string, Buffer | null][] = [];
    let outcome: [HeadwaterError | undefined] | undefined;
    const commit: Commit = {
      grow: (bytes) => void (fake.grownBytes += bytes),
      whenDone: (callback) => void (outcome === undefined ? callbacks.push(callback) : callback(...outcome)),
      done: () => new Promise((resolve, reject) => commit.whenDone((error) => (error ? reject(error) : resolve()))),
    };
    function settle(error: HeadwaterError | undefined): void {
      outcome = [error];
      for (const callback of callbacks) callback(error);
    }
    return { commit, sources, marks, settle };
  }

  function join(partition: FakePartition, source: BatchSource): Commit {
    if (refusal !== undefined) throw refusal;
    if (isByItself && gathering.sources.length === 0) setImmediate(() => fake.commit());
    gathering.sources.push({ partition, source });
    return gathering.commit;
  }

  function createTopic(name: string, count: number): Topic {
    const made: FakePartition[] = [];
    const topic = { name, partitions: made, settings: { durability: 'synced' } } as unknown as Topic;
    for (let index = 0; index < count; index += 1) {
      const partition: FakePartition = { index, topic, batches: [], gather: (source) => join(partition, source) };
      made.push(partition);
    }
    topics.set(name, topic);
    partitions.set(name, made);
    for (const listener of listeners) listener();
    return topic;
  }

  const log: Pick<Log, 'topic' | 'topics' | 'ensureTopic' | 'onTopics' | 'mark' | 'isFull' | 'whenRoom' | 'lull'> = {
    topic: (name) => topics.get(name),
    topics: () => [...topics.values()],
    ensureTopic(name) {
      if (!/^[\w.-]{1,249}$/.test(name)) throw new HeadwaterError('TOPIC_INVALID', `topic ${name}`);
      return topics.get(name) ?? createTopic(name, 1);
    },
    onTopics(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    mark(key, value) {
      gathering.marks.push([key, value]);
      return gathering.commit;
    },
    isFull: () => isFull,
    lull: () => 0,
    whenRoom: (signal) =>
      new Promise((resolve) => {
        if (!isFull) return resolve();
        roomWaiters.add(resolve);
        signal?.addEventListener('abort', () => resolve());
      }),
  };

  const fake: GatherLog = {
    log: log as Log,
    commits: 0,
    grownBytes: 0,
    marks: new Map(),
    startCommit() {
      const taken = gathering;
      gathering = newCommit();
      const batches = taken.sources.map(({ partition, source }) => ({ partition, batch: source.take() }));
      return (error) => {
        if (error === undefined) {
          for (const { partition, batch } of batches) partition.batches.push(batch);
          for (const [key, value] of taken.marks)
            if (value) fake.marks.set(key, value);
            else fake.marks.delete(key);
          fake.commits += 1;
        }
        taken.settle(error);
      };
    },
    commit: (error) => fake.startCommit()(error),
    commitByItself: (on) => void (isByItself = on),
    batches: (topic, partition = 0) => partitions.get(topic)?.[partition]?.batches ?? [],
    records: (topic, partition) => fake.batches(topic, partition).flatMap((batch) => decodeRecords(batch)),
    createTopic: (name, count) => void createTopic(name, count),
    deleteTopic(name) {
      topics.delete(name);
      partitions.delete(name);
      for (const listener of listeners) listener();
    },
    setFull(value) {
      isFull = value;
      if (!isFull) for (const resolve of roomWaiters) resolve();
    },
    refuse: (error) => void (refusal = error),
  };
  return fake;
}
