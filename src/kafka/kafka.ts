// The Kafka door: listens for clients of Kafka's protocol and serves the log to them. What is served is in dispatch.ts
// and, by API, in handlers/. On close what was begun is answered first.

import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { KAFKA_DEFAULTS, type KafkaNames } from '../config-kafka.ts';
import type { Groups } from '../groups/groups.ts';
import type { Log } from '../log/log.ts';
import { counter, gauge, type Metric } from '../metrics.ts';
import { createSharedReads } from '../shared-reads.ts';
import type { Trace } from '../trace.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { createAdmission } from './admission.ts';
import { AnswerMemory } from './answer-memory.ts';
import { createBudget } from './budget.ts';
import { serveConnection, type Connection } from './connection.ts';
import { servedApis } from './dispatch.ts';
import { FrameMemory } from './frame-memory.ts';
import type { Counters, Door, Endpoint, KafkaLimits } from './handler.ts';
import { openListener, plainAddress, type Listener, type ListenerSettings } from './listener.ts';

const MIB = 1024 * 1024;
const SWEEP_MS = 5000;
const CLOSE_MS = 3000;

export const DEFAULT_LIMITS: Readonly<KafkaLimits> = {
  requestBytesMax: 16 * MIB,
  requestBytesInFlightMax: 16 * MIB,
  requestsInFlightMax: 32,
  fetchBytesMax: 4 * MIB,
  responseBytesInFlightMax: 16 * MIB,
  connectionsMax: 256,
  connectionsPerAddressMax: KAFKA_DEFAULTS['max.connections.per.ip'],
  idleMs: 10 * 60_000,
  stallMs: 60_000,
  topicsMax: 2000,
};

export interface KafkaNeeds extends ListenerSettings {
  /** More addresses to listen at. */
  listeners?: readonly ListenerSettings[];
  log: Log;
  groups: Groups;
  transactions: Transactions;
  /** Default: Kafka's own, see config-kafka.ts. */
  settings?: Partial<KafkaNames>;
  clock: Clock;
  trace: Trace;
  limits?: Partial<KafkaLimits>;
}

export interface KafkaStatus {
  listen: string;
  connections: number;
  refused: number;
  malformed: number;
  requests: Record<string, number>;
  produced: { records: number; bytes: number };
  fetched: { records: number; bytes: number };
  /** Requests that are not answered yet, responses that are not read yet. */
  inFlight: { requestBytes: number; responseBytes: number };
}

export interface Kafka {
  readonly port: number;
  /** Of each listener, the first of which is `port`. */
  readonly ports: readonly number[];
  status(): KafkaStatus;
  metrics(): Metric[];
  /** Takes no more requests, answers those that were begun (for three seconds at most), and ends all connections. */
  close(): Promise<void>;
}

/** On return clients can connect. Throws what listening throws, such as EADDRINUSE. */
export async function openKafka(needs: KafkaNeeds): Promise<Kafka> {
  const door = openDoor(needs);
  const connections = new Set<Connection>();
  const admission = createAdmission(door.limits);
  const reads = createSharedReads();
  const listeners: Listener[] = [];
  try {
    for (const each of [needs, ...(needs.listeners ?? [])]) listeners.push(await openListener(each, accept));
  } catch (error) {
    await Promise.all([...connections].map((connection) => connection.destroy()));
    await Promise.all(listeners.map((each) => each.close()));
    throw error;
  }
  const sweeping = needs.clock.every(SWEEP_MS, () => {
    const nowMs = needs.clock.monotonicMs();
    for (const connection of connections) connection.sweep(nowMs);
    door.answerMemory.trim();
    door.frameMemory.trim();
  });

  function accept(socket: Socket, endpoint: Endpoint): void {
    const remote = plainAddress(socket.remoteAddress ?? '');
    const reason = admission.enter(remote);
    if (reason !== undefined) {
      socket.destroy();
      door.counters.refused += 1;
      door.trace.limited('refused a connection', { remote, reason });
      return;
    }
    const shared = reads.adopt(socket, (bytes) => connection.take(bytes));
    const connection = serveConnection(shared, door, endpoint, () => {
      admission.leave(remote);
      connections.delete(connection);
      door.counters.connections = connections.size;
    });
    connections.add(connection);
    door.counters.connections = connections.size;
  }

  return {
    port: listeners[0]!.address.port,
    ports: listeners.map(({ address }) => address.port),
    status: () => statusOf(door, listeners.map(({ address: { host, port } }) => `${host}:${port}`).join(' ')),
    metrics: () => metricsOf(door),
    async close() {
      sweeping.cancel();
      const closed = Promise.all(listeners.map((each) => each.close()));
      const finished = Promise.all([...connections].map((connection) => connection.finish()));
      await Promise.race([finished, needs.clock.sleep(CLOSE_MS)]);
      await Promise.all([...connections].map((connection) => connection.destroy()));
      await closed;
    },
  };
}

function openDoor({ log, groups, transactions, clock, trace, limits, ...needs }: KafkaNeeds): Door {
  const settings = { ...KAFKA_DEFAULTS, ...needs.settings };
  const all: KafkaLimits = {
    ...DEFAULT_LIMITS,
    idleMs: settings['connections.max.idle.ms'],
    connectionsPerAddressMax: settings['max.connections.per.ip'],
    ...limits,
  };
  return {
    log,
    groups,
    transactions,
    clock,
    trace: trace.room('kafka'),
    nodeId: settings['node.id'],
    settings,
    limits: all,
    counters: emptyCounters(),
    requestBytes: createBudget(all.requestBytesInFlightMax),
    responseBytes: createBudget(all.responseBytesInFlightMax),
    answerMemory: new AnswerMemory(),
    frameMemory: new FrameMemory(),
    served: servedApis(),
  };
}

function emptyCounters(): Counters {
  return {
    connections: 0,
    refused: 0,
    malformed: 0,
    produced: { records: 0, bytes: 0 },
    fetched: { records: 0, bytes: 0 },
    requests: new Map(),
  };
}

function statusOf({ counters, requestBytes, responseBytes }: Door, address: string): KafkaStatus {
  return {
    listen: address,
    connections: counters.connections,
    refused: counters.refused,
    malformed: counters.malformed,
    requests: Object.fromEntries(counters.requests),
    produced: { ...counters.produced },
    fetched: { ...counters.fetched },
    inFlight: { requestBytes: requestBytes.usedBytes, responseBytes: responseBytes.usedBytes },
  };
}

function metricsOf({ counters, requestBytes, responseBytes }: Door): Metric[] {
  const requests = [...counters.requests].map(([api, value]) => ({ labels: { api }, value }));
  return [
    gauge('kafka_connections', 'Connections of Kafka clients.', counters.connections),
    counter(
      'kafka_connections_refused_total',
      'Connections refused because there were too many, in all or from one address.',
      counters.refused,
    ),
    counter('kafka_requests_total', 'Requests begun, by API.', requests),
    counter(
      'kafka_malformed_total',
      'Connections closed for a request that is malformed or unknown.',
      counters.malformed,
    ),
    counter('kafka_produced_records_total', 'Records appended for Kafka clients.', counters.produced.records),
    counter('kafka_produced_bytes_total', 'Bytes of the batches appended for Kafka clients.', counters.produced.bytes),
    counter('kafka_fetched_records_total', 'Records of batches in Fetch responses.', counters.fetched.records),
    counter('kafka_fetched_bytes_total', 'Bytes of batches in Fetch responses.', counters.fetched.bytes),
    gauge('kafka_request_bytes_in_flight', 'Bytes of requests that are not answered yet.', requestBytes.usedBytes),
    gauge('kafka_response_bytes_in_flight', 'Bytes of responses that are not read yet.', responseBytes.usedBytes),
  ];
}
