// The Kafka client that a mirror needs: bootstrap addresses, the brokers that metadata names, one connection to each,
// and a verb for each request. No verb retries: the caller decides what an outcome means. What is paced here is
// connecting: after a failure the next attempt to the same address waits, longer each time and spread from the first
// time on, so that a caller may simply ask again.

import assert from 'node:assert';
import type { Clock } from '../clock.ts';
import { messageOf, type HeadwaterError } from '../errors.ts';
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
import { createBackoff, type Backoff } from './backoff.ts';
import { openConnection, unreachable, type Connect, type Connection, type Target } from './connection.ts';
import { plainConnect } from './plain-connect.ts';

export interface UpstreamNeeds {
  /** `host:port`, at least one. */
  bootstrap: readonly string[];
  clientId: string;
  clock: Clock;
  trace: Trace;
  /** Default: plain TCP. */
  connect?: Connect;
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

export interface UpstreamState {
  /** True while a connection is open. */
  isUp: boolean;
  /** Wall time of the first failure since a broker last answered, ms. */
  downSinceMs: number | undefined;
  lastError: string | undefined;
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

interface Peer {
  target: Target;
  connection: Connection | undefined;
  connecting: Promise<Connection> | undefined;
  backoff: Backoff;
  /** No attempt before this, ms of the monotonic clock. */
  notBeforeMs: number;
}

const REQUEST_TIMEOUT_MS = 20_000;
const CONNECT_TIMEOUT_MS = 10_000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 30_000;
/** The slowest uplink for which a large request still gets its time. */
const BYTES_PER_MS_MIN = 8;

/** Opens the client. Nothing is connected until a verb asks for it. */
export function openUpstream(needs: UpstreamNeeds): Upstream {
  const { clock, trace } = needs;
  const timeoutMs = needs.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const closing = new AbortController();
  const peers = new Map<string, Peer>();
  const bootstrap = needs.bootstrap.map(parseTarget);
  const nodes = new Map<number, Target>();
  let turn = Math.floor(Math.random() * bootstrap.length);
  let downSinceMs: number | undefined;
  let lastError: string | undefined;

  function peerOf(target: Target): Peer {
    const key = `${target.host}:${target.port}`;
    let peer = peers.get(key);
    if (peer === undefined) {
      const backoff = createBackoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
      peer = { target, connection: undefined, connecting: undefined, backoff, notBeforeMs: 0 };
      peers.set(key, peer);
    }
    return peer;
  }

  function openTo(peer: Peer): Promise<Connection> {
    if (peer.connection?.isOpen === true) return Promise.resolve(peer.connection);
    peer.connecting ??= connectTo(peer).finally(() => (peer.connecting = undefined));
    return peer.connecting;
  }

  async function connectTo(peer: Peer): Promise<Connection> {
    const waitMs = peer.notBeforeMs - clock.monotonicMs();
    if (waitMs > 0) await clock.sleep(waitMs, closing.signal);
    if (closing.signal.aborted) throw unreachable('the upstream client is closed');
    try {
      const connection = await openConnection({
        target: peer.target,
        clientId: needs.clientId,
        connect: needs.connect ?? plainConnect,
        clock,
        connectTimeoutMs: Math.min(timeoutMs, CONNECT_TIMEOUT_MS),
        onEnd: (error) => onEnd(peer, error),
      });
      if (closing.signal.aborted) connection.end('the client is closed');
      peer.connection = connection;
      peer.backoff.reset();
      onUp(peer);
      return connection;
    } catch (error) {
      delay(peer);
      onDown(messageOf(error));
      throw error;
    }
  }

  function delay(peer: Peer): void {
    peer.notBeforeMs = clock.monotonicMs() + peer.backoff.nextMs();
  }

  function onEnd(peer: Peer, error: HeadwaterError): void {
    peer.connection = undefined;
    delay(peer);
    if (!closing.signal.aborted && !isUp()) onDown(error.message);
  }

  function onUp(peer: Peer): void {
    if (downSinceMs !== undefined) {
      trace.info('upstream is back', { broker: `${peer.target.host}:${peer.target.port}` });
    }
    downSinceMs = undefined;
    lastError = undefined;
  }

  function onDown(why: string): void {
    lastError = why;
    if (downSinceMs !== undefined || isUp() || closing.signal.aborted) return;
    downSinceMs = clock.wallMs();
    trace.warn('upstream is down', { why });
  }

  function isUp(): boolean {
    return [...peers.values()].some((peer) => peer.connection?.isOpen === true);
  }

  /** Any open connection; otherwise one attempt at the next address, known brokers and bootstrap in turn. */
  function anyConnection(): Promise<Connection> {
    for (const peer of peers.values()) if (peer.connection?.isOpen === true) return Promise.resolve(peer.connection);
    const targets = [...bootstrap, ...nodes.values()];
    const target = targets[turn++ % targets.length];
    assert(target !== undefined, 'a mirror has a bootstrap address');
    return openTo(peerOf(target));
  }

  async function connectionTo(node: number): Promise<Connection> {
    const target = nodes.get(node);
    if (target === undefined) throw unreachable(`broker ${node} is not known`);
    return openTo(peerOf(target));
  }

  async function ask<A extends Api>(
    connection: Connection,
    api: A,
    message: RequestDraft<A>,
    bytes = 0,
  ): Promise<ResponseOf<A>> {
    return connection.request(api, message, timeoutMs + Math.ceil(bytes / BYTES_PER_MS_MIN));
  }

  function learnBrokers(brokers: readonly { nodeId: number; host: string; port: number }[]): void {
    nodes.clear();
    for (const { nodeId, host, port } of brokers) nodes.set(nodeId, { host, port });
    const known = new Set([...bootstrap, ...nodes.values()].map(({ host, port }) => `${host}:${port}`));
    for (const [key, peer] of peers) {
      if (known.has(key)) continue;
      peers.delete(key);
      peer.connection?.end('the broker has left the cluster');
    }
  }

  return {
    async metadata(names) {
      const topics = names.map((name) => ({ name }));
      const answer = await ask(await anyConnection(), metadata, { topics, allowAutoTopicCreation: false });
      learnBrokers(answer.brokers);
      return viewOf(answer);
    },

    async initProducerId() {
      const answer = await ask(await anyConnection(), initProducerId, {});
      const { errorCode, producerId, producerEpoch } = answer;
      return { errorCode, value: { producerId, producerEpoch } };
    },

    async createTopics(topics, controllerId) {
      const connection = nodes.has(controllerId) ? await connectionTo(controllerId) : await anyConnection();
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
      await connectionTo(leader);
    },

    async produce(leader, entries) {
      const connection = await connectionTo(leader);
      const bytes = entries.reduce((sum, { batch }) => sum + batch.length, 0);
      const request = { acks: -1, timeoutMs: brokerTimeout(timeoutMs), topicData: byTopic(entries) };
      return resultsOf(entries, await ask(connection, produce, request, bytes));
    },

    async describeProducers(leader, topic, partition) {
      const connection = await connectionTo(leader);
      if (!connection.supports(describeProducers)) return undefined;
      const request = { topics: [{ name: topic, partitionIndexes: [partition] }] };
      const answer = (await ask(connection, describeProducers, request)).topics[0]?.partitions[0];
      if (answer === undefined) return { errorCode: KafkaError.UNKNOWN_SERVER_ERROR, value: [] };
      return { errorCode: answer.errorCode, value: [...answer.activeProducers] };
    },

    async offsetAt(leader, topic, partition, timestampMs) {
      const partitions = [{ partitionIndex: partition, timestamp: timestampMs }];
      const request = { topics: [{ name: topic, partitions }] };
      const answer = (await ask(await connectionTo(leader), listOffsets, request)).topics[0]?.partitions[0];
      return { errorCode: answer?.errorCode ?? KafkaError.UNKNOWN_SERVER_ERROR, value: answer?.offset ?? -1 };
    },

    async fetch(leader, topic, partition, offset, bytesMax) {
      const partitions = [{ partition, fetchOffset: offset, partitionMaxBytes: bytesMax }];
      const request = { maxWaitMs: 0, minBytes: 0, maxBytes: bytesMax, topics: [{ topic, partitions }] };
      const answer = await ask(await connectionTo(leader), fetch, request, bytesMax);
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

    state: () => ({ isUp: isUp(), downSinceMs, lastError }),

    close() {
      closing.abort();
      for (const peer of peers.values()) peer.connection?.end('headwater closes');
    },
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

/** `host:port`, the host in brackets where it is an IPv6 address. */
function parseTarget(address: string): Target {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
  if (match === null) throw unreachable(`not an address: ${address}`);
  return { host: (match[1] ?? match[2])!, port: Number(match[3]) };
}
