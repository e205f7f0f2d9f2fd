// Whether a message goes out to a subscriber now, and with which QoS: asked by aedes for each delivery, just before it is
// written. Here a slow subscriber is kept from costing memory. Past half of what may wait for its socket, messages of QoS 0
// are dropped, and a persistent session falls behind: its messages of QoS 1 and 2 stay on the card and are sent in their
// order as the socket takes them. A clean session has no such place: past all of it its client is closed.

import { mayForward, type AedesClient } from './persistence.ts';
import type { Session, Sessions } from './sessions.ts';
import { isMatch } from './topics.ts';

export interface Subscriber extends AedesClient {
  /** By filter; a filter without a QoS has 0. */
  readonly subscriptions: Record<string, { qos?: number }>;
}

export interface Outgoing {
  topic: string;
  qos: number;
  retain: boolean;
  brokerCounter: number;
  payload: Buffer | string;
}

export interface ForwardingCounts {
  delivered: { records: number; bytes: number };
  /** QoS 0 messages that a slow subscriber did not get. */
  droppedSlow: number;
}

export interface ForwardingNeeds {
  sessions: Sessions;
  /** Bytes that may wait for one socket, at present. */
  outgoingBytesMax: () => number;
  counts: ForwardingCounts;
  /** Closes a subscriber that is too slow. */
  fail(client: Subscriber): void;
  /** The session has fallen behind: catch up when the socket is ready. */
  onBehind(client: Subscriber, session: Session): void;
}

/** The question: lowers the QoS of a packet to what was granted, and answers whether it may go. */
export function createForwarding(needs: ForwardingNeeds): (client: Subscriber, packet: Outgoing) => boolean {
  const { sessions, counts } = needs;

  function mayGo(client: Subscriber, packet: Outgoing): boolean {
    const waitingBytes = client.conn.waitingBytes();
    const outgoingBytesMax = needs.outgoingBytesMax();
    const isSlow = waitingBytes > outgoingBytesMax / 2;
    const session = client.clean || packet.qos === 0 || packet.retain ? undefined : sessions.find(client.id);
    if (session !== undefined) {
      const decision = mayForward(session, packet.brokerCounter, isSlow);
      if (decision === 'behind') needs.onBehind(client, session);
      if (typeof decision !== 'number') return false;
      packet.qos = decision;
      if (decision > 0) return true;
    } else if (packet.qos === 2 || (packet.qos === 1 && (packet.retain || isSlow))) {
      packet.qos = grantedQos(client, packet);
    }
    if (!isSlow) return true;
    if (packet.qos === 0) counts.droppedSlow += 1;
    else if (waitingBytes > outgoingBytesMax) needs.fail(client);
    else return true;
    return false;
  }

  return (client, packet) => {
    if (!mayGo(client, packet)) return false;
    counts.delivered.records += 1;
    counts.delivered.bytes += Buffer.byteLength(packet.payload);
    return true;
  };
}

/** aedes lowers the QoS for a subscription by the topic's own name only, not by a wildcard. */
function grantedQos({ subscriptions }: Subscriber, { topic, qos }: Outgoing): number {
  let granted = 0;
  for (const [filter, subscription] of Object.entries(subscriptions)) {
    if (isMatch(filter, topic)) granted = Math.max(granted, subscription.qos ?? 0);
  }
  return Math.min(granted, qos);
}
