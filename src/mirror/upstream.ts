// The Kafka client that a mirror needs: a verb for each request, sent to the broker that it concerns (peers.ts). No verb
// tries again: the caller decides what an outcome means.

import type { Clock } from '../clock.ts';
import { produce } from '../formats/kafka/00-produce.ts';
import { fetch } from '../formats/kafka/01-fetch.ts';
import { listOffsets } from '../formats/kafka/02-list-offsets.ts';
import { metadata } from '../formats/kafka/03-metadata.ts';
import { createTopics } from '../formats/kafka/19-create-topics.ts';
import { initProducerId } from '../formats/kafka/22-init-producer-id.ts';
import { describeProducers } from '../formats/kafka/61-describe-producers.ts';
import { KafkaError } from '../formats/kafka/codes.ts';
import type { Api, RequestDraft, ResponseOf } from '../formats/kafka/schema.ts';
import type { Trace } from '../trace.ts';
import type { Access } from './access.ts';
import type { Connection } from './connection.ts';
import { openPeers, type UpstreamState } from './peers.ts';

export interface UpstreamNeeds {
  /** `host:port`, at least one. */
  bootstrap: readonly string[];
  clientId: string;
  clock: Clock;
  trace: Trace;
  /** Default: plain TCP, and no login. */
  access?: Access;
  /** How long a broker may take to answer. A large request gets more, by its size. Default 20 s. */
  requestTimeoutMs?: number;
}

export interface UpstreamTopic {
  name: string;
  /** Kafka's error code of the topic: 3 when there is none. */
  errorCode: number;
  /** 32 hexadecimal digits; empty when the broker is too old to say. */
  topicId: string;
  /** Node id of each partition's leader; -1 while there is none. */
  leaders: Map<number, number>;
}

export interface ClusterView {
  clusterId: string;
  controllerId: number;
  topics: Map<string, UpstreamTopic>;
}

/** One batch on its way. */
export interface ProduceEntry {
  topic: string;
  partition: number;
  /** Stamped, base offset 0. Not changed, and free again when the verb settles. */
  batch: Buffer;
}

export interface ProduceResult {
  errorCode: number;
  /** -1 when the broker does not say. */
  baseOffset: number;
  message: string | undefined;
}

export interface RemoteProducer {
  producerId: number;
  producerEpoch: number;
  lastSequence: number;
}

export interface NewTopic {
  name: string;
  partitions: number;
  /** -1: the broker's default. */
  replicationFactor: number;
  configs: Readonly<Record<string, string>>;
}

/** An answer for one partition or topic: its error code, and a value that means something only when that is 0. */
export interface Answer<T> {
  errorCode: number;
  message?: string | undefined;
  value: T;
}

export interface Fetched {
  /** End of what is committed upstream: the log's replicas all have it. */
  highWatermark: number;
  logStart: number;
  records: Buffer;
}

export interface Upstream {
  /** Cluster, leaders and ids of the topics named, which are not created by asking. Asks any broker. */
  metadata(topics: readonly string[]): Promise<ClusterView>;
  initProducerId(): Promise<Answer<{ producerId: number; producerEpoch: number }>>;
  /** Asks the controller if it is known. */
  createTopics(topics: readonly NewTopic[], controllerId: number): Promise<Map<string, Answer<undefined>>>;
  /** Resolves when a connection to that broker is open: what throws here was not sent. */
  connect(leader: number): Promise<void>;
  /** acks=all. One result for each entry, in their order; an entry the broker left out has error -1. */
  produce(leader: number, entries: readonly ProduceEntry[]): Promise<ProduceResult[]>;
  /** Undefined when the broker does not know the question. */
  describeProducers(leader: number, topic: string, partition: number): Promise<Answer<RemoteProducer[]> | undefined>;
  /** The offset that ListOffsets gives for `timestampMs`: LATEST_TIMESTAMP is the end of what is committed. */
  offsetAt(leader: number, topic: string, partition: number, timestampMs: number): Promise<Answer<number>>;
  /** Whole batches and perhaps a part of one from `offset` on, at least one if there is one. Does not wait. */
  fetch(leader: number, topic: string, partition: number, offset: number, bytesMax: number): Promise<Answer<Fetched>>;
  state(): UpstreamState;
  /** Ends all connections and waits: what is asked from now on throws. */
  close(): void;
}

const REQUEST_TIMEOUT_MS = 20_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** The slowest uplink for which a large request still gets its time. */
const BYTES_PER_MS_MIN = 8;

/** Opens the client. Nothing is connected until a verb asks for it. */
export function openUpstream(needs: UpstreamNeeds): Upstream {
  const timeoutMs = needs.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const peers = openPeers({ ...needs, connectTimeoutMs: Math.min(timeoutMs, CONNECT_TIMEOUT_MS) });

  async function ask<A extends Api>(
    connection: Connection,
    api: A,
    message: RequestDraft<A>,
    bytes = 0,
  ): Promise<ResponseOf<A>> {
    return connection.request(api, message, timeoutMs + Math.ceil(bytes / BYTES_PER_MS_MIN));
  }

  return {
    async metadata(names) {
      const topics = names.map((name) => ({ name }));
      const answer = await ask(await peers.any(), metadata, { topics, allowAutoTopicCreation: false });
      peers.learn(answer.brokers);
      return viewOf(answer);
    },

    async initProducerId() {
      const answer = await ask(await peers.any(), initProducerId, {});
      const { errorCode, producerId, producerEpoch } = answer;
      return { errorCode, value: { producerId, producerEpoch } };
    },

    async createTopics(topics, controllerId) {
      const connection = peers.knows(controllerId) ? await peers.to(controllerId) : await peers.any();
      const wanted = topics.map(({ name, partitions, replicationFactor, configs }) => ({
        name,
        numPartitions: partitions,
        replicationFactor,
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      }));
      const answer = await ask(connection, createTopics, { topics: wanted, timeoutMs: brokerTimeout(timeoutMs) });
      return new Map(
        answer.topics.map(({ name, errorCode, errorMessage }) => [
          name,
          { errorCode, message: errorMessage ?? undefined, value: undefined },
        ]),
      );
    },

    async connect(leader) {
      await peers.to(leader);
    },

    async produce(leader, entries) {
      const connection = await peers.to(leader);
      const bytes = entries.reduce((sum, { batch }) => sum + batch.length, 0);
      const request = { acks: -1, timeoutMs: brokerTimeout(timeoutMs), topicData: byTopic(entries) };
      return resultsOf(entries, await ask(connection, produce, request, bytes));
    },

    async describeProducers(leader, topic, partition) {
      const connection = await peers.to(leader);
      if (!connection.supports(describeProducers)) return undefined;
      const request = { topics: [{ name: topic, partitionIndexes: [partition] }] };
      const answer = (await ask(connection, describeProducers, request)).topics[0]?.partitions[0];
      if (answer === undefined) return { errorCode: KafkaError.UNKNOWN_SERVER_ERROR, value: [] };
      return { errorCode: answer.errorCode, value: [...answer.activeProducers] };
    },

    async offsetAt(leader, topic, partition, timestampMs) {
      const partitions = [{ partitionIndex: partition, timestamp: timestampMs }];
      const request = { topics: [{ name: topic, partitions }] };
      const answer = (await ask(await peers.to(leader), listOffsets, request)).topics[0]?.partitions[0];
      return { errorCode: answer?.errorCode ?? KafkaError.UNKNOWN_SERVER_ERROR, value: answer?.offset ?? -1 };
    },

    async fetch(leader, topic, partition, offset, bytesMax) {
      const partitions = [{ partition, fetchOffset: offset, partitionMaxBytes: bytesMax }];
      const request = { maxWaitMs: 0, minBytes: 0, maxBytes: bytesMax, topics: [{ topic, partitions }] };
      const answer = await ask(await peers.to(leader), fetch, request, bytesMax);
      const first = answer.responses[0]?.partitions[0];
      return {
        errorCode: answer.errorCode !== 0 ? answer.errorCode : (first?.errorCode ?? KafkaError.UNKNOWN_SERVER_ERROR),
        value: {
          highWatermark: first?.highWatermark ?? -1,
          logStart: first?.logStartOffset ?? -1,
          records: first?.records ?? Buffer.alloc(0),
        },
      };
    },

    state: () => peers.state(),

    close: () => peers.close(),
  };
}

/** Less than our own patience, so that the broker's word on a slow replica arrives. */
function brokerTimeout(timeoutMs: number): number {
  return Math.ceil((timeoutMs * 2) / 3);
}

function viewOf(answer: ResponseOf<typeof metadata>): ClusterView {
  const topics = new Map<string, UpstreamTopic>();
  for (const { name, errorCode, topicId, partitions } of answer.topics) {
    if (name === null) continue;
    const leaders = new Map(partitions.map((each) => [each.partitionIndex, each.leaderId]));
    topics.set(name, {
      name,
      errorCode,
      topicId: topicId.some((byte) => byte !== 0) ? topicId.toString('hex') : '',
      leaders,
    });
  }
  return { clusterId: answer.clusterId ?? '', controllerId: answer.controllerId, topics };
}

function byTopic(entries: readonly ProduceEntry[]): RequestDraft<typeof produce>['topicData'] {
  const topics = new Map<string, { index: number; records: Buffer }[]>();
  for (const { topic, partition, batch } of entries) {
    const partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, [{ index: partition, records: batch }]);
    else partitions.push({ index: partition, records: batch });
  }
  return [...topics].map(([name, partitionData]) => ({ name, partitionData }));
}

function resultsOf(entries: readonly ProduceEntry[], answer: ResponseOf<typeof produce>): ProduceResult[] {
  const results = new Map<string, ProduceResult>();
  for (const { name, partitionResponses } of answer.responses) {
    for (const { index, errorCode, baseOffset, errorMessage } of partitionResponses) {
      results.set(`${index}/${name}`, { errorCode, baseOffset, message: errorMessage ?? undefined });
    }
  }
  const missing = { errorCode: KafkaError.UNKNOWN_SERVER_ERROR, baseOffset: -1, message: 'left out of the answer' };
  return entries.map(({ topic, partition }) => results.get(`${partition}/${topic}`) ?? missing);
}
