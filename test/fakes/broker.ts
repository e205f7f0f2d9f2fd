// A Kafka broker in memory with a fault for every occasion: one node, topics by name, Kafka's rules for idempotent
// producers (unknown id: any sequence; the last five batches are remembered; gaps are 45), and hooks that decide, for
// each request, whether it is lost, refused, or carried out without an answer.

import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { listOffsets } from '../../src/formats/kafka/02-list-offsets.ts';
import { metadata } from '../../src/formats/kafka/03-metadata.ts';
import { saslHandshake } from '../../src/formats/kafka/17-sasl-handshake.ts';
import { apiVersions } from '../../src/formats/kafka/18-api-versions.ts';
import { createTopics } from '../../src/formats/kafka/19-create-topics.ts';
import { initProducerId } from '../../src/formats/kafka/22-init-producer-id.ts';
import { saslAuthenticate } from '../../src/formats/kafka/36-sasl-authenticate.ts';
import { describeProducers } from '../../src/formats/kafka/61-describe-producers.ts';
import { apiOf } from '../formats/kafka/tables.ts';
import { decodeRequest, decodeRequestHeader, encodeResponse } from '../../src/formats/kafka/envelope.ts';
import type { FakeLogin } from './login.ts';
import { FrameSplitter } from '../../src/formats/kafka/framing.ts';
import type { Api, RequestOf, ResponseDraft } from '../../src/formats/kafka/schema.ts';
import { checkBatch, decodeRecords, readBatchHeader, stampOffset, type LogRecord } from '../../src/formats/batch.ts';

/**
 * What becomes of a request: `do` it and answer; `lose` it with the connection; `mute`: do it, then reset instead of an
 * answer; `stray`: reset at once, and do it later; a number: do nothing and answer that error for each partition.
 */
export type Fate = 'do' | 'lose' | 'mute' | 'stray' | number;

export interface FakeBroker {
  readonly address: string;
  /** Asked for each request but ApiVersions. Default: do all. */
  fate: (api: string) => Fate;
  /** APIs that it does not know. */
  readonly unknown: Set<string>;
  readonly counts: Map<string, number>;
  /** Largest batch, bytes. */
  batchBytesMax: number;
  /** How long a stray request is under way, ms. */
  strayMs: number;
  records(topic: string, partition?: number): LogRecord[];
  batches(topic: string, partition?: number): Buffer[];
  /** Forgets all producers, as Kafka does when their records are a day old. */
  forget(): void;
  createTopic(topic: string, partitions: number): void;
  deleteTopic(topic: string): void;
  /** Removes the last batches of a partition, and what is remembered of them: an unclean election. */
  truncate(topic: string, batches: number): void;
  resetAll(): void;
  close(): Promise<void>;
}

interface Producer {
  epoch: number;
  batches: { first: number; last: number; offset: number }[];
}

interface FakePartition {
  batches: Buffer[];
  end: number;
  producers: Map<number, Producer>;
}

interface FakeTopic {
  id: Buffer;
  partitions: FakePartition[];
}

const SEQUENCE_COUNT = 2 ** 31;
const NODE = 1;

export interface BrokerOptions {
  /** PEM: it speaks TLS. */
  tls?: { cert: string; key: string };
  /** Nobody is answered who has not logged in, see login.ts. */
  login?: FakeLogin;
}

export async function startBroker({ tls, login }: BrokerOptions = {}): Promise<FakeBroker> {
  const topics = new Map<string, FakeTopic>();
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const server = tls === undefined ? createServer(onSocket) : createTlsServer(tls, onSocket);
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  let producerId = 4_000;

  const broker: FakeBroker = {
    address: `127.0.0.1:${port}`,
    fate: () => 'do',
    unknown: new Set(),
    counts: new Map(),
    batchBytesMax: 1_000_000,
    strayMs: 20,
    records: (topic, partition = 0) => broker.batches(topic, partition).flatMap((batch) => decodeRecords(batch)),
    batches: (topic, partition = 0) => topics.get(topic)?.partitions[partition]?.batches ?? [],
    forget() {
      for (const { partitions } of topics.values()) for (const { producers } of partitions) producers.clear();
    },
    createTopic: make,
    deleteTopic: (topic) => void topics.delete(topic),
    truncate(topic, batches) {
      const partition = topics.get(topic)!.partitions[0]!;
      partition.batches.splice(-batches);
      partition.producers.clear();
      partition.end = 0;
      const kept = partition.batches.splice(0);
      for (const batch of kept) append(partition, batch);
    },
    resetAll() {
      for (const socket of sockets) reset(socket);
    },
    async close() {
      for (const timer of timers) clearTimeout(timer);
      broker.resetAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  /** Under TLS a connection can only be ended. */
  function reset(socket: Socket): void {
    if (tls === undefined) socket.resetAndDestroy();
    else socket.destroy();
  }

  function make(name: string, count: number): void {
    const partitions = Array.from({ length: count }, () => ({ batches: [], end: 0, producers: new Map() }));
    topics.set(name, { id: randomBytes(16), partitions });
  }

  function onSocket(socket: Socket): void {
    const frames = new FrameSplitter(10_000_000);
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      for (const frame of frames.push(chunk)) onRequest(socket, frame);
    });
  }

  function onRequest(socket: Socket, frame: Buffer): void {
    const { header, reader } = decodeRequestHeader(frame);
    const api = apiOf(header.apiKey)!;
    const request = decodeRequest(api, header.apiVersion, reader);
    broker.counts.set(api.name, (broker.counts.get(api.name) ?? 0) + 1);
    const isLogin = api.key === saslHandshake.key || api.key === saslAuthenticate.key;
    if (isLogin && login !== undefined) {
      const answered = login.answer(socket, api.key, request);
      for (const piece of encodeResponse(api, header.apiVersion, header.correlationId, answered)) socket.write(piece);
      return;
    }
    if (login?.isIn(socket) === false && api.key !== apiVersions.key) return void socket.destroy();
    const fate = api.key === apiVersions.key ? 'do' : broker.fate(api.name);
    if (fate === 'lose' || fate === 'mute' || fate === 'stray') reset(socket);
    if (fate === 'lose') return;
    if (fate === 'stray') {
      timers.add(setTimeout(() => answer(api, request, 0), broker.strayMs));
      return;
    }
    const message = answer(api, request, typeof fate === 'number' ? fate : 0);
    if (fate === 'mute') return;
    for (const piece of encodeResponse(api, header.apiVersion, header.correlationId, message)) socket.write(piece);
  }

  function answer(api: Api, request: unknown, errorCode: number): ResponseDraft<Api> {
    switch (api.key) {
      case apiVersions.key:
        return { errorCode: 0, apiKeys: keys() } satisfies ResponseDraft<typeof apiVersions>;
      case metadata.key:
        return onMetadata(request as RequestOf<typeof metadata>);
      case initProducerId.key:
        return { errorCode, producerId: errorCode === 0 ? producerId++ : -1, producerEpoch: 0 };
      case createTopics.key:
        return onCreate(request as RequestOf<typeof createTopics>, errorCode);
      case produce.key:
        return onProduce(request as RequestOf<typeof produce>, errorCode);
      case listOffsets.key:
        return onListOffsets(request as RequestOf<typeof listOffsets>, errorCode);
      case describeProducers.key:
        return onDescribe(request as RequestOf<typeof describeProducers>, errorCode);
      case fetch.key:
        return onFetch(request as RequestOf<typeof fetch>, errorCode);
      default:
        throw new Error(`the fake broker does not know ${api.name}`);
    }
  }

  function keys(): { apiKey: number; minVersion: number; maxVersion: number }[] {
    const served = [
      produce,
      fetch,
      listOffsets,
      metadata,
      apiVersions,
      createTopics,
      initProducerId,
      describeProducers,
      ...(login === undefined ? [] : [saslHandshake, saslAuthenticate]),
    ];
    return served
      .filter(({ name }) => !broker.unknown.has(name))
      .map(({ key, versions }) => ({ apiKey: key, minVersion: versions.min, maxVersion: versions.max }));
  }

  function onMetadata({ topics: asked }: RequestOf<typeof metadata>): ResponseDraft<typeof metadata> {
    return {
      brokers: [{ nodeId: NODE, host: '127.0.0.1', port }],
      clusterId: 'fake',
      controllerId: NODE,
      topics: (asked ?? []).map(({ name }) => {
        const topic = topics.get(name!);
        const replicas = { replicaNodes: [NODE], isrNodes: [NODE] };
        const partitions = (topic?.partitions ?? []).map((_, partitionIndex) => ({
          errorCode: 0,
          partitionIndex,
          leaderId: NODE,
          ...replicas,
        }));
        return topic === undefined
          ? { errorCode: 3, name, partitions }
          : { errorCode: 0, name, topicId: topic.id, partitions };
      }),
    };
  }

  function onCreate(request: RequestOf<typeof createTopics>, errorCode: number): ResponseDraft<typeof createTopics> {
    for (const { name, numPartitions } of errorCode === 0 ? request.topics : []) make(name, numPartitions);
    return { topics: request.topics.map(({ name }) => ({ name, errorCode })) };
  }

  function onProduce({ topicData }: RequestOf<typeof produce>, errorCode: number): ResponseDraft<typeof produce> {
    return {
      responses: topicData.map(({ name, partitionData }) => ({
        name,
        partitionResponses: partitionData.map(({ index, records }) => {
          const partition = topics.get(name)?.partitions[index];
          if (errorCode !== 0) return { index, errorCode, baseOffset: -1 };
          if (partition === undefined) return { index, errorCode: 3, baseOffset: -1 };
          return { index, ...append(partition, Buffer.from(records!)) };
        }),
      })),
    };
  }

  function append(partition: FakePartition, batch: Buffer): { errorCode: number; baseOffset: number } {
    const header = checkBatch(batch);
    if (batch.length > broker.batchBytesMax) return { errorCode: 10, baseOffset: -1 };
    const last = (header.baseSequence + header.lastOffsetDelta) % SEQUENCE_COUNT;
    const known = partition.producers.get(header.producerId);
    const again = known?.batches.find((each) => each.first === header.baseSequence && each.last === last);
    if (again !== undefined) return { errorCode: 0, baseOffset: again.offset };
    if (known !== undefined && header.producerEpoch < known.epoch) return { errorCode: 47, baseOffset: -1 };
    const end = known?.batches.at(-1)?.last;
    if (end !== undefined && header.baseSequence !== (end + 1) % SEQUENCE_COUNT)
      return { errorCode: 45, baseOffset: -1 };
    const offset = partition.end;
    stampOffset(batch, offset, 0);
    partition.batches.push(batch);
    partition.end += header.recordCount;
    const batches = [...(known?.batches ?? []), { first: header.baseSequence, last, offset }].slice(-5);
    partition.producers.set(header.producerId, { epoch: header.producerEpoch, batches });
    return { errorCode: 0, baseOffset: offset };
  }

  function onListOffsets(request: RequestOf<typeof listOffsets>, errorCode: number): ResponseDraft<typeof listOffsets> {
    return {
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => ({
          partitionIndex,
          errorCode,
          offset: timestamp === -2 ? 0 : (topics.get(name)?.partitions[partitionIndex]?.end ?? -1),
        })),
      })),
    };
  }

  function onDescribe(
    request: RequestOf<typeof describeProducers>,
    errorCode: number,
  ): ResponseDraft<typeof describeProducers> {
    return {
      topics: request.topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          errorCode,
          activeProducers: [...(topics.get(name)?.partitions[partitionIndex]?.producers ?? [])].map(([id, state]) => ({
            producerId: id,
            producerEpoch: state.epoch,
            lastSequence: state.batches.at(-1)!.last,
          })),
        })),
      })),
    };
  }

  function onFetch({ topics: asked }: RequestOf<typeof fetch>, errorCode: number): ResponseDraft<typeof fetch> {
    return {
      responses: asked.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition: partitionIndex, fetchOffset, partitionMaxBytes }) => {
          const partition = topics.get(topic)?.partitions[partitionIndex];
          const records = partition === undefined ? [] : batchesFrom(partition, fetchOffset, partitionMaxBytes);
          return { partitionIndex, errorCode, highWatermark: partition?.end ?? -1, records };
        }),
      })),
    };
  }

  return broker;
}

function batchesFrom(partition: FakePartition, offset: number, bytesMax: number): Buffer[] {
  const found: Buffer[] = [];
  let bytes = 0;
  for (const batch of partition.batches) {
    const { baseOffset, lastOffsetDelta } = readBatchHeader(batch);
    if (baseOffset + lastOffsetDelta < offset) continue;
    if (found.length > 0 && bytes + batch.length > bytesMax) break;
    found.push(batch);
    bytes += batch.length;
  }
  return found;
}
