// The intake: the door-neutral way of one record into the log. It finds topic, key and partition, adds the record to
// the partition's open batch, and hands back the commit to wait for.

import type { Commit } from '../log/log.ts';

export interface IntakeRecord {
  topic: string;
  /** Fixed partition; without it murmur2(key) decides as in Kafka's Java client, and a null key goes to partition 0... */
  partition?: number;
  key: Buffer | null;
  value: Buffer | null;
  headers?: { key: string; value: Buffer | null }[];
  /** Arrival time by default. */
  timestampMs?: number;
}

export interface Intake {
  /**
   * Takes one MQTT message by the routes. Undefined: no rule takes it. The payload is copied before the call returns.
   * `marks` are kept atomically with the record. Throws TOPIC_INVALID, RECORD_TOO_LARGE.
   */
  acceptMqtt(mqttTopic: string, payload: Buffer, marks?: [key: string, value: Buffer | null][]): Commit | undefined;
  /** Takes one record for a topic of the log. Copied before the call returns. */
  accept(record: IntakeRecord, marks?: [key: string, value: Buffer | null][]): Commit;
  /** True: stop reading your socket or port until whenRoom() resolves. */
  isFull(): boolean;
  whenRoom(signal?: AbortSignal): Promise<void>;
}
