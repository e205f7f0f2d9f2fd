// A Kafka door on the fake log, and what tests of its handlers say again and again. Everything is closed after the test.

import { onTestFinished } from 'vitest';
import { systemClock, type Clock } from '../../src/clock.ts';
import type { KafkaNames } from '../../src/config-kafka.ts';
import { encodeBatch, type BatchOptions } from '../../src/formats/batch.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import type { ResponseOf } from '../../src/formats/kafka/schema.ts';
import { openGroups, type GroupSettings, type Groups } from '../../src/groups/groups.ts';
import type { KafkaLimits } from '../../src/kafka/handler.ts';
import type { ListenerSettings } from '../../src/kafka/listener.ts';
import { openKafka, type Kafka } from '../../src/kafka/kafka.ts';
import { createTrace } from '../../src/trace.ts';
import { openTransactions } from '../../src/transactions/transactions.ts';
import { fakeLog, type FakeLog } from '../fakes/log.ts';
import { RawClient } from './raw-client.ts';

export interface TestDoor {
  kafka: Kafka;
  log: FakeLog;
  groups: Groups;
  lines: string[];
  /** To the first listener, unless it says otherwise. */
  connect(port?: number): Promise<RawClient>;
}

export async function openDoor(
  options: {
    limits?: Partial<KafkaLimits>;
    clock?: Clock;
    advertise?: { host: string; port: number };
    listeners?: ListenerSettings[];
    groupSettings?: Partial<GroupSettings>;
    settings?: Partial<KafkaNames>;
  } = {},
): Promise<TestDoor> {
  const log = fakeLog();
  const lines: string[] = [];
  const trace = createTrace({ write: (line) => lines.push(line), isJournal: false });
  const clock = options.clock ?? systemClock;
  const groupSettings = { initialRebalanceDelayMs: 0, ...options.groupSettings };
  const groups = openGroups({ log, clock, trace, settings: groupSettings });
  const staged = { settle: groups.settle, producers: groups.stagedBy };
  const transactions = openTransactions({ log, offsets: staged, clock, trace });
  const listen = { host: '127.0.0.1', port: 0 };
  const kafka = await openKafka({ listen, log, groups, transactions, clock, trace, ...options });
  const clients: RawClient[] = [];
  onTestFinished(async () => {
    for (const client of clients) client.end();
    await kafka.close();
    transactions.close();
    groups.close();
  });
  return {
    kafka,
    log,
    groups,
    lines,
    async connect(port = kafka.port) {
      const client = await RawClient.connect(port);
      clients.push(client);
      return client;
    },
  };
}

export function batchOf(values: string[], options: BatchOptions = {}, timestampMs = 1000): Buffer {
  return encodeBatch(
    values.map((value) => ({ timestampMs, key: null, value: Buffer.from(value) })),
    options,
  );
}

export function produceOf(topic: string, records: Buffer | null, partition = 0, acks = -1) {
  return { acks, timeoutMs: 1000, topicData: [{ name: topic, partitionData: [{ index: partition, records }] }] };
}

export type ProduceOutcome = ResponseOf<typeof produce>['responses'][number]['partitionResponses'][number];

/** Produces one batch and gives the partition's outcome. */
export async function produceOne(
  client: RawClient,
  topic: string,
  records: Buffer | null,
  { version = 9, partition = 0, acks = -1 } = {},
): Promise<ProduceOutcome> {
  const answer = await client.ask(produce, version, produceOf(topic, records, partition, acks));
  return answer.responses[0]!.partitionResponses[0]!;
}

export interface FetchOptions {
  maxWaitMs?: number;
  minBytes?: number;
  maxBytes?: number;
  partitionMaxBytes?: number;
  topicId?: Buffer | undefined;
}

export function fetchOf(topic: string, offsets: number[], options: FetchOptions = {}) {
  const { maxWaitMs = 0, minBytes = 1, maxBytes = 1 << 20, partitionMaxBytes = 1 << 20, topicId } = options;
  const partitions = offsets.map((fetchOffset, partition) => ({ partition, fetchOffset, partitionMaxBytes }));
  return {
    maxWaitMs,
    minBytes,
    maxBytes,
    sessionEpoch: -1,
    topics: [{ topic, ...(topicId && { topicId }), partitions }],
  };
}

export type FetchOutcome = ResponseOf<typeof fetch>['responses'][number]['partitions'][number];

/** Fetches partitions 0, 1, ... from these offsets and gives their outcomes. */
export async function fetchAll(
  client: RawClient,
  topic: string,
  offsets: number[],
  options: FetchOptions & { version?: number } = {},
): Promise<readonly FetchOutcome[]> {
  const answer = await client.ask(fetch, options.version ?? 12, fetchOf(topic, offsets, options));
  return answer.responses[0]!.partitions;
}
