// Records of the log's topics as MQTT messages, by rules: what came over a serial line or from a Kafka producer reaches
// MQTT subscribers as well. A record is routed after its commit, in the order of its partition. How far a rule has come is
// written with the queues of the persistent sessions, in one write: no crash leaves a message out there or puts it in twice.
//
//   commit --> partition.readStable --> messages that somebody wants --> router --(queues and row, one write)--> subscribers
//
//   mqttpublished/<topic>/<partition>/<MQTT topic>    { topicId, offset }: what is read next
//
// What no persistent session wants moves the row once a minute: a session that has subscribed since may get up to a
// minute's records from before after a crash.

import type { Clock } from '../clock.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import { decodeRecords, nextOffsetOf, readBatchHeader, type LogRecord } from '../formats/batch.ts';
import type { Log, Partition } from '../log/log.ts';
import type { Change, Tables } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import type { Message } from './message.ts';
import type { Router } from './routing.ts';
import type { RowWriter } from './rows.ts';
import { topicFault, type NameBounds } from './topics.ts';

export interface PublishRule {
  /** The log's topic; made if it is missing. */
  topic: string;
  /** `{topic}` and `{key}` are replaced, a record without key has an empty one. */
  mqttTopic: string;
  qos: 0 | 1 | 2;
}

export interface LogMessages {
  status(): LogMessagesStatus[];
  /** On return nothing more is routed. */
  stop(): Promise<void>;
}

export interface LogMessagesStatus {
  topic: string;
  mqttTopic: string;
  /** Records that somebody wanted. */
  routed: number;
  /** Records whose key makes no MQTT topic; records that retention removed before they were read; unreadable batches. */
  unnamed: number;
  lost: number;
  unreadable: number;
  /** Records that wait to be read. */
  waiting: number;
  trouble?: string;
}

export type LogOfMessages = Pick<Log, 'topic' | 'ensureTopic' | 'onTopics'>;

export interface LogMessagesNeeds {
  rules: readonly PublishRule[];
  log: LogOfMessages;
  router: Router;
  tables: Tables;
  writer: RowWriter;
  bounds: NameBounds;
  clock: Clock;
  trace: Trace;
}

interface Place {
  topicId: string;
  offset: number;
}

interface Reader {
  next(): number;
  stop(): Promise<void>;
}

type Counts = Omit<LogMessagesStatus, 'topic' | 'mqttTopic' | 'waiting'>;

const PREFIX = 'mqttpublished/';
const READ_BYTES = 64 * 1024;
const RETRY_MS = 1000;
const LAZY_MS = 60_000;

/** On return it is on the card where each rule begins: a new one at the end of its topic. Throws TOPIC_INVALID. */
export async function openLogMessages(needs: LogMessagesNeeds): Promise<LogMessages> {
  const { rules, log, tables, writer } = needs;
  const places = new Map<string, Place>();
  if (rules.length > 0) {
    for await (const [key, value] of tables.entries(PREFIX)) places.set(key, JSON.parse(value.toString()) as Place);
  }
  const followed = rules.map((rule) => ({
    rule,
    readers: new Map<Partition, Reader>(),
    counts: { routed: 0, unnamed: 0, lost: 0, unreadable: 0 } as Counts,
  }));
  for (const { topic } of rules) log.ensureTopic(topic);
  await writer.write(follow(true));
  const forget = log.onTopics(() => void follow(false));

  /** Follows partitions that are there, and no others. Returns the rows of those that had none. */
  function follow(isFirst: boolean): Change[] {
    const rows: Change[] = [];
    for (const { rule, readers, counts } of followed) {
      const partitions = log.topic(rule.topic)?.partitions ?? [];
      for (const [partition, reader] of readers) {
        if (partitions.includes(partition)) continue;
        readers.delete(partition);
        void reader.stop();
      }
      for (const partition of partitions) {
        if (readers.has(partition)) continue;
        const key = `${PREFIX}${rule.topic}/${partition.index}/${rule.mqttTopic}`;
        const from = beginOf(places.get(key), partition, isFirst);
        rows.push([key, encodePlace(partition, from)]);
        readers.set(partition, openReader(needs, rule, partition, counts, key, from));
      }
    }
    return rows;
  }

  return {
    status: () =>
      followed.map(({ rule: { topic, mqttTopic }, readers, counts }) => {
        let waiting = 0;
        for (const [partition, reader] of readers) waiting += partition.highWatermark - reader.next();
        return { topic, mqttTopic, ...counts, waiting };
      }),
    async stop() {
      forget();
      await Promise.all(followed.flatMap(({ readers }) => [...readers.values()].map((reader) => reader.stop())));
    },
  };
}

/** A topic that was made anew, or while the rule was in force, is read from its beginning. */
function beginOf(place: Place | undefined, partition: Partition, isFirst: boolean): number {
  if (place === undefined && isFirst) return partition.lastStableOffset;
  return place?.topicId === idOf(partition) ? place.offset : partition.logStart;
}

const idOf = (partition: Partition): string => partition.topic.id.toString('hex');

function encodePlace(partition: Partition, offset: number): Buffer {
  return Buffer.from(JSON.stringify({ topicId: idOf(partition), offset } satisfies Place));
}

function openReader(
  needs: LogMessagesNeeds,
  rule: PublishRule,
  partition: Partition,
  counts: Counts,
  key: string,
  from: number,
): Reader {
  const { router, writer, clock, trace } = needs;
  const stopping = new AbortController();
  const { signal } = stopping;
  const mqttTopics = createNames(rule, needs.bounds);
  let next = from;
  let written = from;
  let writtenAtMs = clock.monotonicMs();

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await partition.waitBeyond(next, signal);
      if (signal.aborted) return;
      try {
        await readOn();
        delete counts.trouble;
      } catch (error) {
        counts.trouble = messageOf(error);
        trace.limited('records wait to be published', { topic: rule.topic, reason: counts.trouble });
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }

  async function readOn(): Promise<void> {
    if (next < partition.logStart) {
      counts.lost += partition.logStart - next;
      next = partition.logStart;
    }
    const messages: Message[] = [];
    let end = next;
    for (const batch of await partition.readStable(next, READ_BYTES)) {
      for (const record of recordsOf(batch)) if (record.offset >= next) addMessage(record, messages);
      end = nextOffsetOf(readBatchHeader(batch));
    }
    if (messages.length > 0) await routed(messages, end);
    counts.routed += messages.length;
    next = end;
    if (clock.monotonicMs() - writtenAtMs >= LAZY_MS) await write();
  }

  function recordsOf(batch: Buffer): LogRecord[] {
    if (!partition.isData(readBatchHeader(batch))) return [];
    try {
      return decodeRecords(batch);
    } catch (error) {
      if (!isHeadwaterError(error)) throw error;
      counts.unreadable += 1;
      trace.limited('a batch cannot be published', { topic: rule.topic, reason: error.message });
      return [];
    }
  }

  function addMessage({ key: recordKey, value }: LogRecord, messages: Message[]): void {
    const topic = mqttTopics(recordKey);
    if (topic === undefined) {
      counts.unnamed += 1;
      trace.limited('the key of a record makes no MQTT topic', { topic: rule.topic });
    } else if (router.isWanted(topic)) {
      // The batch is larger than what waits of it.
      const payload = Buffer.from(value ?? '');
      messages.push({ topic, payload, qos: rule.qos, retain: false, mark: undefined, counter: 0 });
    }
  }

  function routed(messages: Message[], end: number): Promise<void> {
    const row: Change = [key, encodePlace(partition, end)];
    return new Promise((resolve, reject) => {
      router.route(messages, (error) => (error === undefined ? resolve() : reject(error)), row);
    });
  }

  async function write(): Promise<void> {
    if (written === next) return;
    written = next;
    writtenAtMs = clock.monotonicMs();
    const failed = (error: unknown): void => trace.limited('MQTT state was not kept', { reason: messageOf(error) });
    await writer.write([[key, encodePlace(partition, next)]]).catch(failed);
  }

  const running = run();
  return {
    next: () => next,
    async stop() {
      stopping.abort();
      await running;
      await write();
    },
  };
}

/** The MQTT topic for a key; undefined for one that makes none. The last ones are remembered: a topic has few keys. */
function createNames(rule: PublishRule, bounds: NameBounds): (key: Buffer | null) => string | undefined {
  const names = new Map<string, string | undefined>();
  return (key) => {
    const text = key?.toString('utf8') ?? '';
    if (names.has(text)) return names.get(text);
    const name = rule.mqttTopic.replaceAll('{topic}', () => rule.topic).replaceAll('{key}', () => text);
    const bytes = Buffer.from(name);
    const isKept = key === null || Buffer.from(text).equals(key);
    const found = isKept && topicFault(bytes, 0, bytes.length, bounds) === undefined ? name : undefined;
    if (names.size >= NAMES_MAX) names.clear();
    if (text.length <= NAME_CHARS_MAX) names.set(text, found);
    return found;
  };
}

const NAMES_MAX = 1000;
const NAME_CHARS_MAX = 256;
