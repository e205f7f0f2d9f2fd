// Offsets that a transaction has committed and that count when it does (T7 of Kafka's rules): kept until its end, on the
// card as one mark for each producer and group, and told apart from what is committed.
//
//   staged/<producer id>/<group>   JSON [[topic id, base64url, partition, offset, leader epoch, metadata], ...]
//
// At the end they become marks of offsets, or nothing, in the commit of the transaction's markers.

import type { Commit, Log } from '../log/log.ts';
import { sizeOf } from './offset-marks.ts';
import type { Entry } from './offsets.ts';

export interface Staged {
  /** Bytes of all marks. */
  bytes(): number;
  /**
   * Adds to what the producer's transaction has committed for the group, in the commit that is being gathered; undefined,
   * and nothing has changed, when it would be more than `roomBytes` more. Throws LOG_CLOSED.
   */
  add(producerId: number, groupId: string, entries: readonly Entry[], roomBytes: number): Commit | undefined;
  /** Whether a transaction that is open has committed an offset there. */
  has(groupId: string, topic: string, partition: number): boolean;
  /** Gives up what the producer has, in the commit that is being gathered. Throws LOG_CLOSED. */
  take(producerId: number): { groupId: string; entries: Entry[] }[];
  producers(): number[];
}

const STAGED = 'staged/';

type Rows = Map<string, Entry>;
type Row = [topicId: string, partition: number, offset: number, leaderEpoch: number, metadata: string];

export function openStaged(log: Log): Staged {
  const byProducer = new Map<number, Map<string, Rows>>();
  const sizes = new Map<string, number>();
  let bytes = 0;

  for (const [key, value] of log.marks(STAGED)) {
    const [, producerId = '', ...groupId] = key.split('/');
    place(Number(producerId), groupId.join('/'), decode(value));
    count(key, value);
  }

  function decode(value: Buffer): Rows {
    const rows: Rows = new Map();
    for (const [topicId, partition, offset, leaderEpoch, metadata] of JSON.parse(value.toString()) as Row[]) {
      const topic = log.topicById(Buffer.from(topicId, 'base64url'));
      if (topic !== undefined)
        rows.set(rowKey(topic.name, partition), { topic, partition, offset, leaderEpoch, metadata });
    }
    return rows;
  }

  function place(producerId: number, groupId: string, rows: Rows): void {
    const groups = byProducer.get(producerId);
    if (groups === undefined) byProducer.set(producerId, new Map([[groupId, rows]]));
    else groups.set(groupId, rows);
  }

  function count(key: string, value: Buffer | null): void {
    bytes += sizeOf(key, value) - (sizes.get(key) ?? 0);
    if (value === null) sizes.delete(key);
    else sizes.set(key, sizeOf(key, value));
  }

  return {
    bytes: () => bytes,
    add(producerId, groupId, entries, roomBytes) {
      const rows: Rows = new Map(byProducer.get(producerId)?.get(groupId));
      for (const entry of entries) rows.set(rowKey(entry.topic.name, entry.partition), entry);
      const key = keyOf(producerId, groupId);
      const value = encode(rows.values());
      if (sizeOf(key, value) - (sizes.get(key) ?? 0) > roomBytes) return undefined;
      const commit = log.mark(key, value);
      place(producerId, groupId, rows);
      count(key, value);
      return commit;
    },
    has(groupId, topic, partition) {
      const key = rowKey(topic, partition);
      for (const groups of byProducer.values()) if (groups.get(groupId)?.has(key) === true) return true;
      return false;
    },
    take(producerId) {
      const groups = [...(byProducer.get(producerId) ?? [])];
      for (const [groupId] of groups) {
        const key = keyOf(producerId, groupId);
        log.mark(key, null).whenDone(() => undefined);
        count(key, null);
      }
      byProducer.delete(producerId);
      return groups.map(([groupId, rows]) => ({ groupId, entries: [...rows.values()] }));
    },
    producers: () => [...byProducer.keys()],
  };
}

function keyOf(producerId: number, groupId: string): string {
  return `${STAGED}${producerId}/${groupId}`;
}

function encode(entries: Iterable<Entry>): Buffer {
  const rows = [...entries].map(({ topic, partition, offset, leaderEpoch, metadata }): Row => {
    return [topic.id.toString('base64url'), partition, offset, leaderEpoch, metadata];
  });
  return Buffer.from(JSON.stringify(rows));
}

/** A topic's name has no blank. */
function rowKey(topic: string, partition: number): string {
  return `${topic} ${partition}`;
}
