// The MQTT door: MQTT 3.1 and 3.1.1 over TCP. An acknowledgement (PUBACK, PUBREC) leaves when the record is on the card.
//
//   a client's PUBLISH --> connection.ts, publishes.ts --> intake --commit--> routing.ts --> subscribers
//                                                                  \--> acks.ts --> PUBACK, PUBREC
//
// aedes (this is the only file that imports it) keeps what is between: CONNECT and CONNACK, subscriptions, deliveries to
// subscribers, resumed sessions. It never sees what clients publish; its sessions and its table of live subscriptions are
// ours (persistence.ts, routing.ts), and its own news under $SYS go nowhere.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Aedes, type AedesOptions, type Client } from 'aedes';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Intake } from '../intake/intake.ts';
import type { Metric } from '../metrics.ts';
import { createUserCheck, type User } from '../secret-check.ts';
import type { Tables } from '../store/store.ts';
import { createSharedReads } from '../shared-reads.ts';
import type { Trace } from '../trace.ts';
import type { Acks } from './acks.ts';
import { FOR_GOOD, FOR_SUBACK, openConnection, type Begun, type Connection, type Door } from './connection.ts';
import { createForwarding, type Subscriber } from './forwarding.ts';
import { createHolding } from './holding.ts';
import { openLogMessages, type LogOfMessages, type PublishRule } from './log-messages.ts';
import { resolveLimits, type MqttLimits } from './limits.ts';
import { openMarks, type MarkStore } from './marks.ts';
import { metricsOf, type MqttStatus } from './mqtt-status.ts';
import { BAD_CREDENTIALS, SERVER_UNAVAILABLE, type Connect, type Refusal } from './packets.ts';
import { createPace } from './pace.ts';
import { catchUp, createPersistence, sendRetained } from './persistence.ts';
import { openRetained } from './retained.ts';
import { createRouter } from './routing.ts';
import { createRowWriter } from './rows.ts';
import { openSessions } from './sessions.ts';
import { createTopicCache } from './topic-cache.ts';
import { createWills } from './wills.ts';

export interface MqttNeeds {
  listen: { host: string; port: number };
  intake: Intake;
  /** The log's marks, see marks.ts. */
  marks: MarkStore;
  tables: Tables;
  clock: Clock;
  trace: Trace;
  limits?: Partial<MqttLimits>;
  /** Who may connect. Default: everybody. */
  users?: readonly User[];
  /** Topics of the log whose records are MQTT messages as well. Default: none. */
  publish?: { log: LogOfMessages; rules: readonly PublishRule[] };
}

export interface MqttRoom {
  readonly port: number;
  status(): MqttStatus;
  metrics(): Metric[];
  /** On return no connection is accepted and nothing more is read. */
  stopIntake(): Promise<void>;
  /** On return what was taken is acknowledged, wills are in the log, and all connections are closed. */
  close(): Promise<void>;
}

const TICK_MS = 1000;
const EXPIRY_CHECK_MS = 3600 * 1000;
// A peer that is gone without a word is noticed although MQTT's keep alive is off.
const TCP_KEEP_ALIVE_MS = 60_000;
/** How long close() waits for commits, and then for sockets to be flushed. */
const SETTLE_MS_MAX = 5000;
const FLUSH_MS_MAX = 500;

/** On return clients can connect. Throws what listening throws (EADDRINUSE). */
export async function openMqtt(needs: MqttNeeds): Promise<MqttRoom> {
  const { intake, tables, clock } = needs;
  const trace = needs.trace.room('mqtt');
  const limits = resolveLimits(needs.limits);
  const onFailure = (error: unknown): void => trace.limited('MQTT state was not kept', { reason: messageOf(error) });

  const writer = createRowWriter(tables, clock, onFailure);
  const sessions = await openSessions(tables, writer, limits, onFailure);
  const retained = await openRetained(tables, limits);
  const marks = openMarks({
    store: needs.marks,
    perClientMax: limits.inflightMax,
    totalMax: limits.inflightTotalMax,
    wasRouted: sessions.wasRouted,
    onGone: ({ clientId, packetId }) => sessions.forgetRouted(clientId, packetId),
  });
  sessions.pruneRouted((publisher, packetId) => marks.find(publisher, packetId) !== undefined);
  for (const clientId of marks.clients()) if (sessions.find(clientId) === undefined) sessions.open(clientId);
  const router = createRouter({ sessions, retained, writer, onFailure });

  const counts = { records: 0, bytes: 0, unrouted: 0, delivered: { records: 0, bytes: 0 }, droppedSlow: 0 };
  const refusals = new Map<string, number>();
  const connections = new Map<Connection, Socket>();
  /** Of connections that are gone, with messages whose commit is under way. */
  const settling = new Set<Acks>();
  const byStream = new WeakMap<object, Connection>();
  const byClientId = new Map<string, Connection>();
  const wills = createWills(intake, router, counts, trace);
  const holding = createHolding(intake, router, onFailure);
  const reads = createSharedReads();
  const pace = createPace(clock, (msMax) => intake.lull(msMax));
  const { users = [] } = needs;
  const isUser = users.length === 0 ? undefined : createUserCheck(users, { clock, trace });
  let anonymous = 0;
  let partialBytes = 0;
  let behindCount = 0;
  let ticks = 0;
  let isStopped = false;

  const mayGo = createForwarding({
    sessions,
    // All share one bound: the more are slow, the less may wait for each.
    outgoingBytesMax: () => Math.min(limits.outgoingBytesMax, limits.outgoingTotalBytesMax / Math.max(1, behindCount)),
    counts,
    fail: (client) => byStream.get(client.conn)?.fail('slow', 'it does not read what it has subscribed to'),
    onBehind: (client, session) => send(client, catchUp(sessions, session, client)),
  });
  const broker = await Aedes.createBroker(brokerOptions());
  broker.on('connackSent', (connack, client) => {
    if (connack.returnCode === 0) connectionOf(client)?.opened();
  });
  broker.on('subscribe', (subscriptions, client) => {
    connectionOf(client)?.resume(FOR_SUBACK);
    const filters = subscriptions.map(({ topic }) => topic);
    const subscriber = client as unknown as Subscriber;
    send(subscriber, sendRetained(retained, subscriber, filters));
  });
  broker.on('unsubscribe', (_filters, client) => connectionOf(client)?.resume(FOR_SUBACK));
  broker.on('client', (client) => setClient(client, true));
  broker.on('clientDisconnect', (client) => setClient(client, false));
  broker.on('clientError', (client, error) => trace.debug('client', { clientId: client.id, reason: error.message }));
  broker.on('connectionError', (_client, error) => trace.debug('connection', { reason: error.message }));
  // aedes' own errors would end the process otherwise.
  (broker as NodeJS.EventEmitter).on('error', onFailure);

  function brokerOptions(): AedesOptions {
    return {
      persistence: createPersistence(sessions),
      mq: router.mq,
      maxClientsIdLength: limits.clientIdBytesMax,
      maxTopicLevels: limits.topicLevelsMax,
      // Nothing ever waits for a drain, see stream.ts.
      drainTimeout: 0,
      // The watch over CONNECT is kept here, and no other broker listens for this one's heart.
      connectTimeout: limits.connectTimeoutMs * 2,
      heartbeatInterval: EXPIRY_CHECK_MS,
      authorizeForward: (client, packet) => (mayGo(client as unknown as Subscriber, packet) ? packet : null),
      // Asked for wills only, because clients' publishes do not come here. The error keeps aedes from routing it.
      authorizePublish: (_client, packet, done) => {
        wills.publish({ topic: packet.topic, payload: packet.payload, qos: packet.qos, retain: packet.retain });
        done(new Error('a will goes by way of the log'));
      },
    };
  }

  function connectionOf(client: Client | null): Connection | undefined {
    return client === null ? undefined : byStream.get(client.conn);
  }

  function setClient(client: Client, isConnected: boolean): void {
    const session = client.clean ? undefined : sessions.find(client.id);
    if (session === undefined) return;
    if (isConnected) session.client = client;
    else if (session.client === client) {
      session.client = undefined;
      session.isReplaying = true;
      session.missed.clear();
      session.wakeReplay?.();
    }
  }

  /** Sends what lies on the card; if that cannot be read, the client shall come again. */
  function send(client: Subscriber, work: Promise<void>): void {
    work.catch((error: unknown) => byStream.get(client.conn)?.fail('queue', messageOf(error)));
  }

  const door: Door = {
    intake,
    router,
    marks,
    topics: createTopicCache(limits),
    limits,
    pace,
    counts,
    begin,
    attach(connection) {
      byStream.set(connection.stream, connection);
      return broker.handle(connection.stream) as Client & { readonly subscriptions: object };
    },
    mustWait: (publisher) => holding.mustWait(publisher, connections.keys()),
    refusal: () => intake.refusal(),
    hold(deltaBytes) {
      partialBytes += deltaBytes;
      return deltaBytes < 0 || partialBytes <= limits.partialBytesMax;
    },
    refused(connection, reason, detail) {
      refuse(reason, { from: connection.remote, clientId: connection.clientId.replace('\0', 'unnamed '), detail });
    },
    ended(connection) {
      connections.delete(connection);
      if (connection.acks.count() > 0) {
        settling.add(connection.acks);
        void connection.acks.whenIdle().then(() => settling.delete(connection.acks));
      }
      holding.forget(connection);
      if (byClientId.get(connection.clientId) !== connection) return;
      byClientId.delete(connection.clientId);
      if (!connection.isPersistent) marks.dropClient(connection.clientId);
    },
    behind(isBehind) {
      behindCount += isBehind ? 1 : -1;
    },
    tick: () => ticks,
  };

  function refuse(reason: string, fields: Record<string, string>): void {
    refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
    trace.limited(`refused: ${reason}`, fields);
  }

  function begin(connection: Connection, connect: Connect): Begun | Refusal {
    // First of all: nobody else's connection or session is touched before.
    if (isUser?.(connect.userName, connect.password) === false) {
      return { reason: 'bad user name or password', returnCode: BAD_CREDENTIALS };
    }
    const isPersistent = !connect.isClean;
    // No client can name itself so: NUL is refused.
    const clientId = connect.clientId === '' ? `\0${++anonymous}` : connect.clientId;
    const isKnown = isPersistent && sessions.find(clientId) !== undefined;
    if (isPersistent && !isKnown && !sessions.hasRoom()) return { reason: 'sessions', returnCode: SERVER_UNAVAILABLE };
    const old = byClientId.get(clientId);
    old?.end();
    if (!isPersistent) sessions.drop(clientId);
    else sessions.open(clientId);
    if (!isPersistent || old?.isPersistent === false) marks.dropClient(clientId);
    byClientId.set(clientId, connection);
    return { clientId, isPersistent, isKnown };
  }

  function accept(socket: Socket): void {
    if (isStopped || connections.size >= limits.clientsMax) {
      refuse('clients', { from: String(socket.remoteAddress) });
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    const shared = reads.adopt(socket, (bytes) => connection.take(bytes));
    const connection = openConnection(shared, door);
    connections.set(connection, shared);
  }

  const published =
    needs.publish &&
    (await openLogMessages({ ...needs.publish, router, tables, writer, bounds: limits, clock, trace }));

  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS, pauseOnConnect: true };
  const server = createServer(options, accept);
  await listen(server, needs.listen);
  const { address, port } = server.address() as AddressInfo;
  const ticking = clock.every(TICK_MS, () => {
    ticks += 1;
    holding.check();
    for (const connection of connections.keys()) connection.checkTime();
  });
  const expiring = clock.every(EXPIRY_CHECK_MS, () => {
    for (const clientId of sessions.pass(EXPIRY_CHECK_MS)) marks.dropClient(clientId);
  });

  function status(): MqttStatus {
    const { sessions: sessionCount, queuedMessages, queuedBytes, missed } = sessions.status();
    return {
      listen: { host: address, port },
      clients: connections.size,
      received: { records: counts.records, bytes: counts.bytes },
      delivered: { ...counts.delivered },
      unrouted: counts.unrouted,
      refused: Object.fromEntries(refusals),
      dropped: { slow: counts.droppedSlow, queue: missed, retained: retained.refused() },
      heldBack: holding.isHolding(),
      sessions: sessionCount,
      queued: { messages: queuedMessages, bytes: queuedBytes },
      retained: retained.count(),
      inflight: marks.count(),
      published: published?.status() ?? [],
    };
  }

  function stopIntake(): Promise<void> {
    if (!isStopped) {
      isStopped = true;
      server.close();
      for (const connection of connections.keys()) connection.wait(FOR_GOOD);
    }
    return Promise.resolve();
  }

  async function close(): Promise<void> {
    await stopIntake();
    await within(SETTLE_MS_MAX, published?.stop() ?? Promise.resolve());
    ticking.cancel();
    expiring.cancel();
    holding.close();
    pace.close();
    const owing = [...settling, ...[...connections.keys()].map(({ acks }) => acks)];
    await within(SETTLE_MS_MAX, Promise.all(owing.map((acks) => acks.whenIdle())));
    for (const connection of connections.keys()) connection.end();
    await within(SETTLE_MS_MAX, wills.whenIdle().then(router.whenIdle));
    await new Promise<void>((resolve) => broker.close(resolve));
    await within(FLUSH_MS_MAX, Promise.all([...connections.values()].map(whenClosed)));
    for (const socket of connections.values()) socket.destroy();
    await writer.flush().catch(onFailure);
  }

  /** Waits for `work`, but no longer than that: a card that has failed for good must not keep the process from ending. */
  async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
    const done = new AbortController();
    await Promise.race([work, clock.sleep(timeoutMs, done.signal)]);
    done.abort();
  }

  return { port, status, metrics: () => metricsOf(status()), stopIntake, close };
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function whenClosed(socket: Socket): Promise<void> {
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()));
}
