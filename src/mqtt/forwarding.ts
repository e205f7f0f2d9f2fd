// Whether a message goes out to a subscriber now, and with which QoS: asked by aedes for each delivery, just before it is
// written. Here a slow subscriber is kept from costing memory: past half of what may wait for its socket, messages of QoS 0
// are dropped; past all of it the client is closed, and its session, if it has one, still has the rest.

import type { Duplex } from 'node:stream';
import { mayForward, type AedesClient } from './persistence.ts';
import type { Sessions } from './sessions.ts';
import { isMatch } from './topics.ts';

export interface Subscriber extends AedesClient {
  readonly conn: Duplex;
  /** By filter; a filter without a QoS has 0. */
  readonly subscriptions: Record<string, { qos?: number }>;
}

export interface Outgoing {
  topic: string;
  qos: number;
  retain: boolean;
  brokerCounter: number;
}

export interface ForwardingCounts {
  delivered: number;
  /** QoS 0 messages that a slow subscriber did not get. */
  droppedSlow: number;
}

/** Lowers the QoS of `packet` to what was granted, and says whether it may go. `fail` closes the subscriber. */
export function forward(
  client: Subscriber,
  packet: Outgoing,
  sessions: Sessions,
  outgoingBytesMax: number,
  counts: ForwardingCounts,
  fail: () => void,
): boolean {
  const waitingBytes = client.conn.writableLength;
  if (waitingBytes > outgoingBytesMax / 2) {
    if (packet.qos === 0 || grantedQos(client, packet) === 0) {
      counts.droppedSlow += 1;
      return false;
    }
    if (waitingBytes > outgoingBytesMax) {
      fail();
      return false;
    }
  }
  const session = client.clean ? undefined : sessions.find(client.id);
  if (session !== undefined && packet.qos > 0 && !packet.retain) {
    const decision = mayForward(session, packet.brokerCounter, packet.qos);
    if (decision === undefined) return false;
    packet.qos = decision;
  } else if (packet.qos === 2 || (packet.qos > 0 && packet.retain)) packet.qos = grantedQos(client, packet);
  counts.delivered += 1;
  return true;
}

/** aedes lowers the QoS for a subscription by the topic's own name only, not by a wildcard. */
function grantedQos({ subscriptions }: Subscriber, { topic, qos }: Outgoing): number {
  let granted = 0;
  for (const [filter, subscription] of Object.entries(subscriptions)) {
    if (isMatch(filter, topic)) granted = Math.max(granted, subscription.qos ?? 0);
  }
  return Math.min(granted, qos);
}
