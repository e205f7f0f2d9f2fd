// What the MQTT door tells the outside about itself.

import { counter, gauge, type Metric } from '../metrics.ts';
import type { LogMessagesStatus } from './log-messages.ts';

export interface MqttStatus {
  listen: { host: string; port: number };
  clients: number;
  /** Messages that clients published, and their payloads. */
  received: { records: number; bytes: number };
  /** Messages handed to subscribers, each as often as it was, and their payloads. */
  delivered: { records: number; bytes: number };
  /** Messages that no route took; subscribers got them. */
  unrouted: number;
  /** Connections and packets refused, by reason. */
  refused: Record<string, number>;
  /** Messages that subscribers did not get: `slow` (QoS 0), `queue` (a session's queue is full), `retained` (no room). */
  dropped: { slow: number; queue: number; retained: number };
  /** True while publishers are not read because the log has no room. */
  heldBack: boolean;
  sessions: number;
  queued: { messages: number; bytes: number };
  retained: number;
  /** QoS 2 messages between PUBLISH and PUBREL. */
  inflight: number;
  /** Topics of the log that MQTT subscribers get. */
  published: LogMessagesStatus[];
}

/** The same as metrics. */
export function metricsOf(status: MqttStatus): Metric[] {
  const refused = Object.entries(status.refused).map(([reason, value]) => ({ labels: { reason }, value }));
  const dropped = Object.entries(status.dropped).map(([reason, value]) => ({ labels: { reason }, value }));
  const published = status.published.map(({ topic, mqttTopic, routed }) => ({
    labels: { topic, mqtt_topic: mqttTopic },
    value: routed,
  }));
  return [
    gauge('mqtt_clients', 'Open MQTT connections.', status.clients),
    counter('mqtt_received_records_total', 'Messages that MQTT clients published.', status.received.records),
    counter('mqtt_received_bytes_total', 'Bytes of their payloads.', status.received.bytes),
    counter('mqtt_unrouted_total', 'Messages that no route took.', status.unrouted),
    counter('mqtt_published_total', "Records of the log's topics that MQTT subscribers wanted.", published),
    counter('mqtt_refused_total', 'Connections and packets refused.', refused),
    counter('mqtt_delivered_records_total', 'Messages handed to subscribers.', status.delivered.records),
    counter('mqtt_delivered_bytes_total', 'Bytes of their payloads.', status.delivered.bytes),
    counter('mqtt_dropped_total', 'Messages that subscribers did not get.', dropped),
    gauge('mqtt_sessions', 'Persistent sessions, connected or not.', status.sessions),
    gauge('mqtt_queued_messages', 'Messages in the queues of persistent sessions.', status.queued.messages),
    gauge('mqtt_queued_bytes', 'Their bytes on the card.', status.queued.bytes),
    gauge('mqtt_retained_messages', 'Retained messages.', status.retained),
    gauge('mqtt_inflight_messages', 'QoS 2 messages between PUBLISH and PUBREL.', status.inflight),
    gauge('mqtt_held_back', '1 while publishers are not read because the log has no room.', status.heldBack ? 1 : 0),
  ];
}
