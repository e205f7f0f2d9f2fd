// The bounds of the MQTT door, and what happens at each: nothing that a client keys or fills is without one.

import type { ConnectionLimits } from './connection.ts';
import type { RetainedLimits } from './retained.ts';
import type { SessionLimits } from './sessions.ts';

export interface MqttLimits extends ConnectionLimits, RetainedLimits, SessionLimits {
  /** Connections at a time; one more is closed at once. */
  clientsMax: number;
  /** Bytes of packets that are not whole, over all connections; the connection that exceeds it is closed. */
  partialBytesMax: number;
  /** Bytes that wait for one subscriber's socket. Past half of it QoS 0 is dropped, past all of it the client is closed. */
  outgoingBytesMax: number;
  /** The same over all subscribers: when many are slow, each has its share of this. */
  outgoingTotalBytesMax: number;
  /** QoS 2 messages of one client between PUBLISH and PUBREL; with one more it is closed. */
  inflightMax: number;
  /** The same over all clients: each is a mark of the log. */
  inflightTotalMax: number;
}

const KIB = 1024;
const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: Readonly<MqttLimits> = {
  packetBytesMax: MIB,
  connectTimeoutMs: 10_000,
  clientsMax: 1000,
  clientIdBytesMax: 256,
  topicBytesMax: KIB,
  topicLevelsMax: 64,
  pendingAcksMax: 10_000,
  heldMsMax: 30_000,
  subscriptionsMax: 1000,
  partialBytesMax: 32 * MIB,
  outgoingBytesMax: 8 * MIB,
  outgoingTotalBytesMax: 32 * MIB,
  inflightMax: 1000,
  inflightTotalMax: 20_000,
  sessionsMax: 10_000,
  sessionExpiryMs: 14 * 24 * 3600 * 1000,
  queueMessagesMax: 10_000,
  queuedBytesMax: 256 * MIB,
  retainedMax: 10_000,
  retainedBytesMax: 64 * MIB,
};

export function resolveLimits(limits: Partial<MqttLimits> | undefined): MqttLimits {
  return { ...DEFAULT_LIMITS, ...limits };
}
