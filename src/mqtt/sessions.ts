// Persistent sessions (MQTT 3.1.1 section 3.1.2.4): subscriptions, and the messages of QoS 1 and 2 that their clients have
// not acknowledged. Messages lie on the card, an index of them in memory. A message is in a session's queue before its
// publisher gets an acknowledgement, and leaves it with the subscriber's.
//
//   waiting --PUBLISH sent--> sent --PUBACK--> (gone)                         QoS 1; the packet id is remembered in memory
//   waiting --id on the card, PUBLISH sent--> sent --PUBREC, on the card--> released --PUBCOMP--> (gone)           QoS 2
//
// Bounds: sessions in all, messages a session, bytes in all. A queue that is full takes nothing more and counts what it
// missed (the log has it): a subscriber that is away must not stop publishers.

import type { Change, Tables } from '../store/store.ts';
import type { Message } from './message.ts';
import {
  counterOf,
  decodeSent,
  encodeQueued,
  encodeSent,
  partsOf,
  QUEUE,
  queueKey,
  ROUTED,
  routedKey,
  SENT,
  sentKey,
  SESSION,
  SUBSCRIPTION,
  subscriptionKey,
  type RowWriter,
} from './rows.ts';
import { createFilterTree } from './topics.ts';

export interface SessionLimits {
  sessionsMax: number;
  /** A session whose client has been away for so long is forgotten; time without power does not count. */
  sessionExpiryMs: number;
  queueMessagesMax: number;
  /** Over all sessions. */
  queuedBytesMax: number;
}

export interface Row {
  readonly counter: number;
  readonly qos: number;
  readonly bytes: number;
  packetId: number;
  state: 'waiting' | 'sent' | 'released';
  /** The connection that a replay has handed it to, and whether it went on from there. */
  handedTo: object | undefined;
  isForwarded: boolean;
}

export interface Session {
  readonly clientId: string;
  readonly subscriptions: Map<string, Subscription>;
  /** By counter, oldest first. */
  readonly queue: Map<number, Row>;
  readonly rowsByPacketId: Map<number, Row>;
  /** aedes' client while there is a connection. */
  client: object | undefined;
  /** True from a disconnect until the queue was sent after the reconnect: what arrives meanwhile waits in the queue. */
  isReplaying: boolean;
  /** Rows that the replay has handed out and that have not been forwarded yet. */
  handedCount: number;
  wakeReplay: (() => void) | undefined;
  idleMs: number;
  isDropped: boolean;
  /** Rows in the queue, and on their way to the card. */
  rowCount: number;
  /** Counters of messages that found the queue full, and that the client, being connected, is about to be offered. */
  readonly missed: Set<number>;
}

export interface Subscription {
  readonly session: Session;
  readonly filter: string;
  readonly qos: number;
}

/** A message that has been written for a session and is not yet in its index. */
export interface Staged {
  session: Session;
  row: Row;
}

export interface Sessions {
  find(clientId: string): Session | undefined;
  count(): number;
  hasRoom(): boolean;
  /** The session of that client, made if there is none. */
  open(clientId: string): Session;
  /** Forgets a session with all its rows. */
  drop(clientId: string): void;
  /** On return the subscriptions are on the card and in force. */
  subscribe(session: Session, subscriptions: { topic: string; qos: number }[]): Promise<void>;
  unsubscribe(session: Session, filters: string[]): Promise<void>;
  /** Grows with each change of subscriptions. */
  generation(): number;
  isWanted(topic: string): boolean;
  /** Adds the rows of a message to `changes`, one a session that wants it with QoS 1 or 2. */
  stage(message: Message, changes: Change[], staged: Staged[]): void;
  /** The rows are on the card: they may be sent. */
  admit(staged: Staged[]): void;
  /** The rows could not be written. */
  giveUp(staged: Staged[]): void;
  read(session: Session, row: Row): Promise<Buffer | undefined>;
  /** Gives a row its packet id; QoS 2: on return that is on the card. */
  markSent(session: Session, row: Row, packetId: number): Promise<void>;
  /** PUBREC came: on return that is on the card. */
  markReleased(session: Session, row: Row): Promise<void>;
  /** The subscriber has acknowledged. */
  acknowledge(session: Session, row: Row): void;
  /** The mark of a routed QoS 2 message is gone. */
  forgetRouted(publisher: string, packetId: number): void;
  wasRouted(publisher: string, packetId: number): boolean;
  /** Forgets what was routed for marks that are gone. Called once, at the start. */
  pruneRouted(hasMark: (publisher: string, packetId: number) => boolean): void;
  /** Tells the sessions without a client that time has passed; forgets those that expired and returns their ids. */
  pass(elapsedMs: number): string[];
  /** Highest counter found at the start. */
  readonly lastCounter: number;
  status(): { sessions: number; queuedMessages: number; queuedBytes: number; missed: number };
}

const ROUTED_ROW = Buffer.from([1]);

export async function openSessions(
  tables: Tables,
  writer: RowWriter,
  limits: SessionLimits,
  onFailure: (error: unknown) => void,
): Promise<Sessions> {
  const sessions = new Map<string, Session>();
  const tree = createFilterTree<Subscription>();
  const routed = new Set<string>();
  let queuedBytes = 0;
  let queuedMessages = 0;
  let missed = 0;
  let lastCounter = 0;

  function open(clientId: string): Session {
    const known = sessions.get(clientId);
    if (known?.idleMs === 0) return known;
    const session = known ?? newSession(clientId);
    session.idleMs = 0;
    sessions.set(clientId, session);
    // Not waited for: a session without subscriptions that a crash takes away leaves nothing to miss.
    writer.write([[SESSION + clientId, encodeIdle(0)]]).catch(onFailure);
    return session;
  }

  function drop(clientId: string): void {
    const session = sessions.get(clientId);
    if (session === undefined) return;
    sessions.delete(clientId);
    session.isDropped = true;
    const changes: Change[] = [[SESSION + clientId, null]];
    for (const subscription of session.subscriptions.values()) {
      tree.remove(subscription.filter, subscription);
      changes.push([subscriptionKey(clientId, subscription.filter), null]);
    }
    for (const row of session.queue.values()) {
      count(session, row, -1);
      changes.push([queueKey(clientId, row.counter), null]);
      if (row.qos === 2) changes.push([sentKey(clientId, row.counter), null]);
    }
    session.queue.clear();
    session.rowsByPacketId.clear();
    session.wakeReplay?.();
    writer.write(changes).catch(onFailure);
  }

  function put(session: Session, filter: string, qos: number): void {
    const old = session.subscriptions.get(filter);
    if (old !== undefined) tree.remove(filter, old);
    const subscription = { session, filter, qos };
    session.subscriptions.set(filter, subscription);
    if (qos > 0) tree.add(filter, subscription);
  }

  async function subscribe(session: Session, wanted: { topic: string; qos: number }[]): Promise<void> {
    const fresh = wanted.filter((each) => session.subscriptions.get(each.topic)?.qos !== each.qos);
    if (fresh.length === 0) return;
    await writer.write(fresh.map((each) => [subscriptionKey(session.clientId, each.topic), Buffer.from([each.qos])]));
    if (!session.isDropped) for (const each of fresh) put(session, each.topic, each.qos);
  }

  async function unsubscribe(session: Session, filters: string[]): Promise<void> {
    const changes: Change[] = [];
    for (const filter of filters) {
      const subscription = session.subscriptions.get(filter);
      if (subscription === undefined) continue;
      session.subscriptions.delete(filter);
      tree.remove(filter, subscription);
      changes.push([subscriptionKey(session.clientId, filter), null]);
    }
    if (changes.length > 0) await writer.write(changes);
  }

  function stage(message: Message, changes: Change[], staged: Staged[]): void {
    const wanted = new Map<Session, number>();
    tree.match(message.topic, ({ session, qos }) => {
      wanted.set(session, Math.max(wanted.get(session) ?? 0, Math.min(qos, message.qos)));
    });
    for (const [session, qos] of wanted) {
      const value = encodeQueued(qos, message.topic, message.payload);
      if (session.rowCount >= limits.queueMessagesMax || queuedBytes + value.length > limits.queuedBytesMax) {
        if (session.client !== undefined) session.missed.add(message.counter);
        missed += 1;
        continue;
      }
      const row = newRow(message.counter, qos, value.length);
      count(session, row, 1);
      changes.push([queueKey(session.clientId, row.counter), value]);
      staged.push({ session, row });
    }
    if (wanted.size > 0 && message.mark?.key !== undefined && !message.mark.isGone) {
      const key = routedKey(message.mark.clientId, message.mark.packetId);
      routed.add(key);
      changes.push([key, ROUTED_ROW]);
    }
  }

  function admit(staged: Staged[]): void {
    for (const { session, row } of staged) {
      if (session.isDropped) {
        count(session, row, -1);
        writer.removeLater(queueKey(session.clientId, row.counter));
      } else session.queue.set(row.counter, row);
    }
  }

  function count(session: Session, row: Row, sign: 1 | -1): void {
    session.rowCount += sign;
    queuedBytes += sign * row.bytes;
    queuedMessages += sign;
  }

  async function markSent(session: Session, row: Row, packetId: number): Promise<void> {
    session.rowsByPacketId.set(packetId, row);
    row.packetId = packetId;
    const isNews = row.state === 'waiting';
    row.state = 'sent';
    if (!isNews || row.qos < 2) return;
    await writer.write([[sentKey(session.clientId, row.counter), encodeSent(packetId, false)]]);
  }

  async function markReleased(session: Session, row: Row): Promise<void> {
    row.state = 'released';
    await writer.write([[sentKey(session.clientId, row.counter), encodeSent(row.packetId, true)]]);
  }

  function acknowledge(session: Session, row: Row): void {
    if (!session.queue.delete(row.counter)) return;
    session.rowsByPacketId.delete(row.packetId);
    count(session, row, -1);
    writer.removeLater(queueKey(session.clientId, row.counter));
    if (row.qos === 2) writer.removeLater(sentKey(session.clientId, row.counter));
  }

  function pass(elapsedMs: number): string[] {
    const expired: string[] = [];
    const changes: Change[] = [];
    for (const session of sessions.values()) {
      if (session.client !== undefined) continue;
      session.idleMs += elapsedMs;
      if (session.idleMs > limits.sessionExpiryMs) expired.push(session.clientId);
      else changes.push([SESSION + session.clientId, encodeIdle(session.idleMs)]);
    }
    if (changes.length > 0) writer.write(changes).catch(onFailure);
    for (const clientId of expired) drop(clientId);
    return expired;
  }

  async function load(): Promise<void> {
    for await (const [key, value] of tables.entries(SESSION)) {
      const session = newSession(key.slice(SESSION.length));
      session.idleMs = Number(value.toString());
      sessions.set(session.clientId, session);
    }
    for await (const [key, value] of tables.entries(SUBSCRIPTION)) {
      const [clientId, filter] = partsOf(key, SUBSCRIPTION);
      put(sessionOf(clientId), filter, value[0]!);
    }
    for await (const [key, value] of tables.entries(QUEUE)) {
      const [clientId, digits] = partsOf(key, QUEUE);
      const row = newRow(counterOf(digits), value[0]!, value.length);
      const session = sessionOf(clientId);
      session.queue.set(row.counter, row);
      count(session, row, 1);
      lastCounter = Math.max(lastCounter, row.counter);
    }
    for await (const [key, value] of tables.entries(SENT)) {
      const [clientId, digits] = partsOf(key, SENT);
      restoreSent(sessionOf(clientId), counterOf(digits), value);
    }
    for await (const [key] of tables.entries(ROUTED)) routed.add(key);
  }

  function sessionOf(clientId: string): Session {
    let session = sessions.get(clientId);
    if (session === undefined) sessions.set(clientId, (session = newSession(clientId)));
    return session;
  }

  await load();
  return {
    find: (clientId) => sessions.get(clientId),
    count: () => sessions.size,
    hasRoom: () => sessions.size < limits.sessionsMax,
    open,
    drop,
    subscribe,
    unsubscribe,
    generation: () => tree.generation,
    isWanted: (topic) => tree.has(topic),
    stage,
    admit,
    giveUp(staged) {
      for (const { session, row } of staged) count(session, row, -1);
    },
    read: (session, row) => tables.get(queueKey(session.clientId, row.counter)),
    markSent,
    markReleased,
    acknowledge,
    forgetRouted(publisher, packetId) {
      const key = routedKey(publisher, packetId);
      if (routed.delete(key)) writer.removeLater(key);
    },
    wasRouted: (publisher, packetId) => routed.has(routedKey(publisher, packetId)),
    pruneRouted(hasMark) {
      for (const key of routed) {
        const [publisher, packetId] = partsOf(key, ROUTED);
        if (hasMark(publisher, Number(packetId))) continue;
        routed.delete(key);
        writer.removeLater(key);
      }
    },
    pass,
    lastCounter,
    status: () => ({ sessions: sessions.size, queuedMessages, queuedBytes, missed }),
  };
}

function newSession(clientId: string): Session {
  return {
    clientId,
    subscriptions: new Map(),
    queue: new Map(),
    rowsByPacketId: new Map(),
    client: undefined,
    isReplaying: true,
    handedCount: 0,
    wakeReplay: undefined,
    idleMs: 0,
    isDropped: false,
    rowCount: 0,
    missed: new Set(),
  };
}

function newRow(counter: number, qos: number, bytes: number): Row {
  return { counter, qos, bytes, packetId: 0, state: 'waiting', handedTo: undefined, isForwarded: false };
}

function restoreSent(session: Session, counter: number, value: Buffer): void {
  const row = session.queue.get(counter);
  if (row === undefined) return;
  const { packetId, isReleased } = decodeSent(value);
  row.packetId = packetId;
  row.state = isReleased ? 'released' : 'sent';
  session.rowsByPacketId.set(packetId, row);
}

function encodeIdle(idleMs: number): Buffer {
  return Buffer.from(String(Math.round(idleMs)));
}
