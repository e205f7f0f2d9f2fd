// What aedes 1.2.0 asks of its persistence, answered from sessions and retained messages. Only what aedes calls in this
// house is here: publishes of clients, wills and QoS 2 ids of publishers never reach aedes (routing.ts, marks.ts), so it
// neither stores retained messages nor fills queues, and a will is lost with the process, as section 3.1.2.5 allows.
//
// Order on a resume: while the queue is sent, live messages are held back (mayForward) and wait their turn in the queue;
// the last forwarded row ends that. Packet ids of what was sent before a reconnect are kept [MQTT-4.4.0-1].

import { Readable } from 'node:stream';
import type { Retained } from './retained.ts';
import { decodeQueued } from './rows.ts';
import type { AedesStream } from './stream.ts';
import type { Row, Session, Sessions } from './sessions.ts';

/** aedes' client, as far as it matters here. */
export interface AedesClient {
  readonly id: string;
  readonly clean: boolean;
  readonly closed: boolean;
  readonly conn: AedesStream;
  /** Offers a message to this client; aedes' own way, which is not in its types. */
  deliverQoS(packet: object, done: () => void): void;
}

/** A packet as aedes hands it in: it may be changed, and what is changed is what is written to the client. */
export interface AedesPacket {
  cmd: string;
  messageId?: number | undefined;
  brokerCounter?: number;
}

/** All routed messages of QoS 1 and 2 bear this as their broker's id: aedes drops what does not grow within one id. */
export const KEPT_BROKER_ID = 'kept';
const CAUGHT_UP_BROKER_ID = 'caught up';

const PACKET_ID_MAX = 0xffff;

export function createPersistence(sessions: Sessions) {
  // aedes hands in the whole list once for each filter in it.
  const writes = new WeakMap<object, Promise<void>>();

  function sessionOf(client: AedesClient): Session | undefined {
    return client.clean ? undefined : sessions.find(client.id);
  }

  async function updateOutgoing(client: AedesClient, packet: AedesPacket): Promise<void> {
    const session = sessionOf(client);
    if (session === undefined) return;
    if (packet.cmd === 'pubrel') {
      const row = session.rowsByPacketId.get(packet.messageId ?? 0);
      if (row?.qos === 2 && row.state === 'sent') await sessions.markReleased(session, row);
      return;
    }
    const row = session.queue.get(packet.brokerCounter ?? 0);
    if (row === undefined) return;
    if (client.closed || session.client !== client) throw new Error('the connection is over');
    packet.messageId = packetIdOf(session, row, packet.messageId ?? 1);
    await sessions.markSent(session, row, packet.messageId);
  }

  function clearOutgoing(client: AedesClient, packet: AedesPacket): void {
    const session = sessionOf(client);
    const row = session?.rowsByPacketId.get(packet.messageId ?? 0);
    if (session === undefined || row === undefined) return;
    // aedes also "clears" what it was not allowed to forward; that stays.
    if (packet.cmd !== (row.qos === 2 ? 'pubcomp' : 'puback')) return;
    if (row.handedTo === session.client && !row.isForwarded) forwarded(session, row);
    sessions.acknowledge(session, row);
  }

  return {
    async setup() {},
    async subscriptionsByClient(client: { id: string }) {
      const session = sessions.find(client.id);
      return [...(session?.subscriptions.values() ?? [])].map(({ filter, qos }) => ({ topic: filter, qos }));
    },
    addSubscriptions(client: AedesClient, subscriptions: { topic: string; qos: number }[]): Promise<void> {
      const session = sessionOf(client);
      if (session === undefined) return Promise.resolve();
      let write = writes.get(subscriptions);
      if (write === undefined) writes.set(subscriptions, (write = sessions.subscribe(session, subscriptions)));
      return write;
    },
    async removeSubscriptions(client: AedesClient, filters: string[]) {
      const session = sessionOf(client);
      if (session !== undefined) await sessions.unsubscribe(session, filters);
    },
    // A clean session's past is removed when its CONNECT is taken (mqtt.ts), before aedes sees it.
    async cleanSubscriptions() {},
    async cleanIncoming() {},
    async putWill() {},
    async delWill() {},
    streamWill: () => Readable.from([]),
    // Retained messages go out by sendRetained, which waits for the socket.
    createRetainedStreamCombi: () => Readable.from([]),
    outgoingStream(client: AedesClient) {
      const session = sessionOf(client);
      if (session === undefined) return Readable.from([]);
      return Readable.from(replay(sessions, session, client), { highWaterMark: 1 });
    },
    outgoingUpdate: updateOutgoing,
    async outgoingClearMessageId(client: AedesClient, packet: AedesPacket) {
      clearOutgoing(client, packet);
    },
  };
}

/**
 * The QoS with which a message of QoS 1 or 2 goes out on this session's connection now. Undefined if it does not: the
 * queue is being replayed and it waits its turn there, or the queue was full, so that nobody would keep track of it.
 * `behind` if the connection is too slow: from here on messages wait in the queue, until `catchUp`.
 */
export function mayForward(session: Session, counter: number, isSlow: boolean): number | 'behind' | undefined {
  if (session.missed.delete(counter)) return undefined;
  const row = session.queue.get(counter);
  // A subscription of QoS 0: nothing was queued.
  if (row === undefined) return 0;
  if (session.isReplaying) {
    if (session.client === undefined || row.handedTo !== session.client) return undefined;
    if (!row.isForwarded) forwarded(session, row);
    return row.qos;
  }
  if (isSlow) {
    session.isReplaying = true;
    return 'behind';
  }
  row.handedTo = session.client;
  row.isForwarded = true;
  return row.qos;
}

/** Sends what has stayed behind in a session's queue, as fast as the socket takes it. */
export async function catchUp(sessions: Sessions, session: Session, client: AedesClient): Promise<void> {
  for await (const packet of replay(sessions, session, client)) {
    // aedes drops what does not grow within one broker's id, and it has been offered these once, when they were live.
    const offered = { ...packet, brokerId: CAUGHT_UP_BROKER_ID };
    await new Promise<void>((resolve) => client.deliverQoS(offered, resolve));
  }
}

function forwarded(session: Session, row: Row): void {
  row.isForwarded = true;
  session.handedCount -= 1;
  if (session.handedCount === 0) session.wakeReplay?.();
}

/** Sends the retained messages that a new subscription asks for, as fast as the socket takes them. */
export async function sendRetained(retained: Retained, client: AedesClient, filters: string[]): Promise<void> {
  for await (const { topic, qos, payload } of retained.match(filters)) {
    await client.conn.whenReady();
    if (client.closed) return;
    // Without a broker's id aedes does not look for doubles.
    const packet = { cmd: 'publish', topic, qos, payload, retain: true, brokerId: null };
    await new Promise<void>((resolve) => client.deliverQoS(packet, resolve));
  }
}

/** Hands out the queue, oldest first, until nothing is left that was not forwarded. */
async function* replay(sessions: Sessions, session: Session, client: AedesClient) {
  session.isReplaying = true;
  session.handedCount = 0;
  while (session.client === client) {
    let isIdle = true;
    for (const row of session.queue.values()) {
      if (row.handedTo === client) continue;
      isIdle = false;
      await client.conn.whenReady();
      const packet = await packetOf(sessions, session, row);
      if (session.client !== client) return;
      // Acknowledged meanwhile.
      if (session.queue.get(row.counter) !== row) continue;
      row.handedTo = client;
      row.isForwarded = packet?.cmd !== 'publish';
      if (!row.isForwarded) session.handedCount += 1;
      if (packet === undefined) sessions.acknowledge(session, row);
      else yield packet;
    }
    if (!isIdle) continue;
    if (session.handedCount === 0) {
      session.isReplaying = false;
      return;
    }
    await new Promise<void>((resolve) => (session.wakeReplay = resolve));
    session.wakeReplay = undefined;
  }
}

async function packetOf(sessions: Sessions, session: Session, row: Row) {
  if (row.state === 'released') return { cmd: 'pubrel', messageId: row.packetId };
  const value = await sessions.read(session, row);
  if (value === undefined) return undefined;
  const { topic, payload } = decodeQueued(value);
  return {
    cmd: 'publish',
    topic,
    payload,
    qos: row.qos,
    retain: false,
    dup: row.state === 'sent',
    messageId: row.packetId === 0 ? undefined : row.packetId,
    brokerId: KEPT_BROKER_ID,
    brokerCounter: row.counter,
  };
}

/** The row's own packet id, or `proposed`, or the next one that no other message of the session bears. */
function packetIdOf(session: Session, row: Row, proposed: number): number {
  if (row.packetId !== 0) return row.packetId;
  let packetId = proposed;
  while (session.rowsByPacketId.has(packetId)) packetId = packetId === PACKET_ID_MAX ? 1 : packetId + 1;
  return packetId;
}
