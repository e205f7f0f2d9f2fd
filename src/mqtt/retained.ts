// Retained messages (MQTT 3.1.1 section 3.3.1.3): names and sizes in memory, the messages on the card. A bound on their
// number and bytes; past it a new one is delivered and kept in the log, but not retained, and that is counted.

import type { Change, Tables } from '../store/store.ts';
import type { Message } from './message.ts';
import { decodeRetained, encodeRetained, RETAINED } from './rows.ts';
import { createTopicTree } from './topics.ts';

export interface RetainedLimits {
  retainedMax: number;
  retainedBytesMax: number;
}

export interface RetainedMessage {
  topic: string;
  qos: number;
  payload: Buffer;
}

export interface Retained {
  /** Adds what a message with the retain flag changes on the card; nothing if there is no room for it. */
  stage(message: Message, changes: Change[]): void;
  /** The changes of `stage` are on the card: subscribers find the message from here on. */
  admit(message: Message): void;
  /** Reads the messages whose topic any of the filters matches, once each. */
  match(filters: string[]): AsyncGenerator<RetainedMessage>;
  count(): number;
  refused(): number;
}

export async function openRetained(tables: Tables, limits: RetainedLimits): Promise<Retained> {
  const topics = createTopicTree();
  const sizes = new Map<string, number>();
  let bytes = 0;
  let refused = 0;

  function resize(topic: string, size: number): void {
    bytes += size - (sizes.get(topic) ?? 0);
    if (size === 0) sizes.delete(topic);
    else sizes.set(topic, size);
  }

  function hasRoom(topic: string, size: number): boolean {
    const old = sizes.get(topic);
    if (old === undefined && sizes.size >= limits.retainedMax) return false;
    return bytes + size - (old ?? 0) <= limits.retainedBytesMax;
  }

  for await (const [key, value] of tables.entries(RETAINED)) {
    const topic = key.slice(RETAINED.length);
    topics.add(topic);
    resize(topic, value.length);
  }

  return {
    stage(message, changes) {
      const key = RETAINED + message.topic;
      const row = message.payload.length === 0 ? null : encodeRetained(message.qos, message.payload);
      if (row !== null && !hasRoom(message.topic, row.length)) {
        refused += 1;
        return;
      }
      resize(message.topic, row?.length ?? 0);
      changes.push([key, row]);
    },
    admit(message) {
      if (sizes.has(message.topic)) topics.add(message.topic);
      else topics.remove(message.topic);
    },
    async *match(filters) {
      const seen = new Set<string>();
      for (const filter of filters) {
        // Reading takes time, and names come and go meanwhile.
        const names = [...topics.match(filter)];
        for (const topic of names) {
          if (seen.has(topic)) continue;
          seen.add(topic);
          const row = await tables.get(RETAINED + topic);
          if (row !== undefined) yield { topic, ...decodeRetained(row) };
        }
      }
    },
    count: () => topics.size,
    refused: () => refused,
  };
}
