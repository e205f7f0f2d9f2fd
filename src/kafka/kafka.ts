// The Kafka door: listens for clients of Kafka's protocol and serves the log to them. What is served is in dispatch.ts
// and, by API, in handlers/. On close what was begun is answered first.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Groups } from '../groups/groups.ts';
import type { Log } from '../log/log.ts';
import { counter, gauge, type Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { createBudget } from './budget.ts';
import { plainAddress, serveConnection, type Connection } from './connection.ts';
import { servedApis } from './dispatch.ts';
import type { Counters, Door, Endpoint, KafkaLimits } from './handler.ts';

const MIB = 1024 * 1024;
const SWEEP_MS = 5000;
const CLOSE_MS = 3000;

export const DEFAULT_LIMITS: Readonly<KafkaLimits> = {
  requestBytesMax: 16 * MIB,
  requestBytesInFlightMax: 24 * MIB,
  requestsInFlightMax: 32,
  fetchBytesMax: 4 * MIB,
  responseBytesInFlightMax: 16 * MIB,
  connectionsMax: 256,
  idleMs: 10 * 60_000,
  stallMs: 60_000,
  topicsMax: 1000,
};

export interface KafkaNeeds {
  /** Port 0 lets the system choose. */
  listen: Endpoint;
  /** What clients are told to connect to; without it, the address that they reached. */
  advertise?: Endpoint;
  log: Log;
  groups: Groups;
  /** Default 1. */
  nodeId?: number;
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
  status(): KafkaStatus;
  metrics(): Metric[];
  /** Takes no more requests, answers those that were begun (for three seconds at most), and ends all connections. */
  close(): Promise<void>;
}

/** On return clients can connect. Throws what listening throws, such as EADDRINUSE. */
export async function openKafka(needs: KafkaNeeds): Promise<Kafka> {
  const door = openDoor(needs);
  const connections = new Set<Connection>();
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => accept(socket));
  server.maxConnections = door.limits.connectionsMax;
  server.on('drop', (data) => {
    door.counters.refused += 1;
    door.trace.limited('refused a connection, there are too many', { remote: data?.remoteAddress });
  });
  await listen(server, needs.listen);
  const { address, port } = server.address() as AddressInfo;
  const sweeping = needs.clock.every(SWEEP_MS, () => {
    const nowMs = needs.clock.monotonicMs();
    for (const connection of connections) connection.sweep(nowMs);
  });

  function accept(socket: Socket): void {
    const endpoint = needs.advertise ?? { host: plainAddress(socket.localAddress ?? address), port };
    const connection = serveConnection(socket, door, endpoint, () => {
      connections.delete(connection);
      door.counters.connections = connections.size;
    });
    connections.add(connection);
    door.counters.connections = connections.size;
  }

  return {
    port,
    status: () => statusOf(door, `${address}:${port}`),
    metrics: () => metricsOf(door),
    async close() {
      sweeping.cancel();
      const closed = new Promise((resolve) => server.close(resolve));
      const finished = Promise.all([...connections].map((connection) => connection.finish()));
      await Promise.race([finished, needs.clock.sleep(CLOSE_MS)]);
      for (const connection of connections) connection.destroy();
      await closed;
    },
  };
}

function openDoor({ log, groups, clock, trace, nodeId = 1, limits }: KafkaNeeds): Door {
  const all: KafkaLimits = { ...DEFAULT_LIMITS, ...limits };
  return {
    log,
    groups,
    clock,
    trace: trace.room('kafka'),
    nodeId,
    limits: all,
    counters: emptyCounters(),
    requestBytes: createBudget(all.requestBytesInFlightMax),
    responseBytes: createBudget(all.responseBytesInFlightMax),
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

function listen(server: Server, { host, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
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
    counter('kafka_connections_refused_total', 'Connections refused because there were too many.', counters.refused),
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
