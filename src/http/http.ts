// The HTTP door: health, status, metrics, the page, and topics over REST. node:http and nothing else. Everything a
// client can make it hold is bounded: connections, header and body sizes, times, answers.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Address } from '../config.ts';
import { messageOf } from '../errors.ts';
import type { Groups } from '../groups/groups.ts';
import type { Transactions } from '../transactions/transactions.ts';
import type { Log } from '../log/log.ts';
import { counter, gauge, type Metric } from '../metrics.ts';
import { createSecretCheck } from '../secret-check.ts';
import type { Trace } from '../trace.ts';
import { createImports, readBatches } from './batches.ts';
import { answerOf, failure, json, JSON_TYPE, type Answer } from './exchange.ts';
import { abortTransaction, describeTransaction, listTransactions } from './transactions.ts';
import { deleteGroup, describeGroup, listGroups, resetGroup } from './groups.ts';
import { createGuard } from './guard.ts';
import { createPage } from './page.ts';
import { processMetrics, PROMETHEUS_TYPE, renderMetrics } from './prometheus.ts';
import { appendRecords, readRecords, type RecordCounts } from './records.ts';
import { dispatch, type Route } from './routing.ts';
import { portEvents, sendToPort, type SerialPorts } from './serial.ts';
import type { Health, Status } from './status.ts';
import { alterTopic, createTopic, deleteTopic, describeTopic, listTopics } from './topics.ts';

export interface HttpNeeds {
  listen: Address;
  /** Names of this node besides localhost and plain addresses. */
  hosts: readonly string[];
  log: Log;
  /** Without them nothing is served at /groups. */
  groups?: Groups;
  /** The same for /transactions. */
  transactions?: Transactions;
  status: () => Status;
  serial: SerialPorts;
  /** What the doctor finds, as JSON. */
  checks: () => Promise<unknown>;
  /** Of all rooms but this one. */
  metrics: () => Metric[];
  /** Not ok: the process should be started again. */
  live: () => Health;
  /** Not ok: nothing should be sent here at present. */
  ready: () => Health;
  clock: Clock;
  trace: Trace;
  /** Reads what everybody must know who asks. Default: nobody has to. */
  token?: () => string;
}

export interface HttpRoom {
  /** Where it listens, with the true port. */
  readonly address: Address;
  status(): HttpStatus;
  metrics(): Metric[];
  /** Ends waiting requests, lets the others finish for a second, and closes all connections. */
  close(): Promise<void>;
}

export interface HttpStatus extends RecordCounts {
  connections: number;
  requests: number;
}

const CONNECTIONS_MAX = 64;
const HEADER_BYTES_MAX = 16 * 1024;
const HEADERS_MS_MAX = 10_000;
const REQUEST_MS_MAX = 30_000;
/** Longer than the longest wait for records. */
const IDLE_MS_MAX = 45_000;
const KEEP_ALIVE_MS = 20_000;
const CLOSE_MS_MAX = 1000;

/** On return the port is open. Rejects with Node's error (EADDRINUSE, EACCES) when it cannot be. */
export async function openHttp(needs: HttpNeeds): Promise<HttpRoom> {
  const trace = needs.trace.room('http');
  const guard = createGuard({
    hosts: needs.hosts,
    isToken: needs.token === undefined ? undefined : createSecretCheck(needs.token, { clock: needs.clock, trace }),
    onWrongToken: (from) => trace.limited('refused: wrong token', { from }),
  });
  const counts: RecordCounts = { appended: { records: 0, bytes: 0 }, read: { records: 0, bytes: 0 } };
  const routes = routesOf(needs, counts, metrics);
  const closing = new AbortController();
  const requests = new Map<string, number>();
  let connections = 0;

  const options = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  const server = createServer(options, (request, response) => void serve(request, response));
  server.maxConnections = CONNECTIONS_MAX;
  server.setTimeout(IDLE_MS_MAX);
  server.on('connection', (socket) => {
    connections += 1;
    socket.once('close', () => (connections -= 1));
  });
  server.on('clientError', (_error, socket) => socket.destroy());

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await answerTo(request, response);
    const kind = `${Math.floor(answer.status / 100)}xx`;
    requests.set(kind, (requests.get(kind) ?? 0) + 1);
    send(request, response, answer);
  }

  async function answerTo(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const signal = AbortSignal.any([gone.signal, closing.signal]);
      return guard(request) ?? (await dispatch(routes, request, signal));
    } catch (error) {
      const answer = answerOf(error);
      if (answer !== undefined) return answer;
      trace.error('a request failed', { path: request.url, reason: messageOf(error) });
      return failure(500, 'INTERNAL', 'this is a fault of headwater, its log says more');
    }
  }

  function metrics(): Metric[] {
    const samples = [...requests].map(([code, value]) => ({ labels: { code }, value }));
    return [
      gauge('http_connections', 'Open HTTP connections.', connections),
      counter('http_requests_total', 'HTTP requests answered, by the class of their status.', samples),
      counter('http_appended_records_total', 'Records appended over HTTP.', counts.appended.records),
      counter('http_appended_bytes_total', 'Bytes of the batches appended over HTTP.', counts.appended.bytes),
      counter('http_read_records_total', 'Records read over HTTP.', counts.read.records),
      counter('http_read_bytes_total', 'Bytes of the records read over HTTP, as JSON.', counts.read.bytes),
    ];
  }

  await listen(server, needs.listen);
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    status: () => ({
      connections,
      requests: [...requests.values()].reduce((total, count) => total + count, 0),
      appended: { ...counts.appended },
      read: { ...counts.read },
    }),
    metrics,
    close() {
      closing.abort();
      return closeServer(server, needs.clock);
    },
  };
}

function routesOf(needs: HttpNeeds, counts: RecordCounts, ownMetrics: () => Metric[]): Route[] {
  const { log, clock, status } = needs;
  const records = { log, clock, counts };
  const imports = createImports(records);
  const page = createPage(needs);
  return [
    ['GET', '/', page.page],
    ['GET', '/cards', page.cards],
    ['GET', '/health/live', () => health(needs.live())],
    ['GET', '/health/ready', () => health(needs.ready())],
    ['GET', '/status', () => json(200, status())],
    ['GET', '/checks', async () => json(200, await needs.checks())],
    ['GET', '/metrics', () => scrape(needs, ownMetrics)],
    ['GET', '/gaps', () => json(200, log.losses())],
    ['GET', '/topics', () => listTopics(log)],
    ['POST', '/topics', (exchange) => createTopic(log, exchange)],
    ['GET', '/topics/:topic', (exchange) => describeTopic(log, exchange)],
    ['POST', '/topics/:topic', (exchange) => alterTopic(log, exchange)],
    ['DELETE', '/topics/:topic', (exchange) => deleteTopic(log, exchange)],
    ['GET', '/topics/:topic/partitions/:partition/records', (exchange) => readRecords(records, exchange)],
    ['GET', '/topics/:topic/partitions/:partition/batches', (exchange) => readBatches(records, exchange)],
    ['GET', '/topics/:topic/partitions/:partition/imports', imports.list],
    ['POST', '/topics/:topic/partitions/:partition/imports', imports.take],
    ['GET', '/serial/:port/events', (exchange) => portEvents(needs.serial, exchange)],
    ['POST', '/serial/:port/send', (exchange) => sendToPort(needs.serial, exchange)],
    ...groupRoutes(needs),
    ...transactionRoutes(needs),
    ['POST', '/topics/:topic/records', (exchange) => appendRecords(records, exchange)],
  ];
}

function groupRoutes({ log, groups }: HttpNeeds): Route[] {
  if (groups === undefined) return [];
  const rooms = { log, groups };
  return [
    ['GET', '/groups', () => listGroups(rooms)],
    ['GET', '/groups/:group', (exchange) => describeGroup(rooms, exchange)],
    ['POST', '/groups/:group/offsets', (exchange) => resetGroup(rooms, exchange)],
    ['DELETE', '/groups/:group', (exchange) => deleteGroup(rooms, exchange)],
  ];
}

function transactionRoutes({ transactions }: HttpNeeds): Route[] {
  if (transactions === undefined) return [];
  return [
    ['GET', '/transactions', () => listTransactions(transactions)],
    ['GET', '/transactions/:id', (exchange) => describeTransaction(transactions, exchange)],
    ['POST', '/transactions/:id/abort', (exchange) => abortTransaction(transactions, exchange)],
  ];
}

function health(health: Health): Answer {
  return json(health.ok ? 200 : 503, health);
}

async function scrape({ clock, metrics, status }: HttpNeeds, ownMetrics: () => Metric[]): Promise<Answer> {
  const own = await processMetrics({ clock, version: status().version });
  return { status: 200, type: PROMETHEUS_TYPE, body: renderMetrics([...metrics(), ...ownMetrics(), ...own]) };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body, 'utf8') : answer.body;
  const headers: Record<string, string | number> = {
    'content-type': answer.type ?? JSON_TYPE,
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...answer.headers,
  };
  // What is left of a body that nobody read would be taken for the next request.
  if (!request.complete) headers['connection'] = 'close';
  response.writeHead(answer.status, headers);
  response.end(request.method === 'HEAD' ? undefined : body);
}

function listen(server: Server, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function closeServer(server: Server, clock: Clock): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = clock.after(CLOSE_MS_MAX, () => server.closeAllConnections());
  await closed;
  timer.cancel();
}
