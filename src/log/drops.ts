// What the budget has dropped: of topics with `whenFull: drop-oldest`, the oldest records. One range a partition, which
// grows: what goes is always what is oldest. Rows of the tables:
//
//   dropped/<partition, 8 hex>  -> JSON {firstOffset, lastOffset, batches, bytes, atMs, toldTo}

import type { Clock } from '../clock.ts';
import type { Change, Range, Tables } from '../store/store.ts';

export interface Drop {
  /** The store's number of the partition. */
  partition: number;
  firstOffset: number;
  lastOffset: number;
  batches: number;
  /** As stored. */
  bytes: number;
  /** When something was dropped last, by the wall clock. */
  atMs: number;
  /** Records say so of offsets below. */
  toldTo: number;
}

export interface Drops {
  /** This part of a partition is about to go. Durable on return. */
  add(part: Pick<Range, 'partition' | 'firstOffset' | 'lastOffset' | 'batches' | 'bytes'>): Promise<void>;
  /** By partition. */
  list(): Drop[];
  /** Records tell of all that was in the list. Durable on return. */
  told(drops: readonly Drop[]): Promise<void>;
  /** Forgets partitions that are gone. */
  prune(isThere: (partition: number) => boolean): Promise<void>;
}

const PREFIX = 'dropped/';
export const DROP_REASON = 'dropped: the budget was reached, and the topic is whenFull: drop-oldest';

export async function loadDrops(tables: Tables, clock: Clock): Promise<Drops> {
  const drops = new Map<number, Drop>();
  for await (const [key, value] of tables.entries(PREFIX)) {
    const partition = parseInt(key.slice(PREFIX.length), 16);
    drops.set(partition, { partition, ...(JSON.parse(value.toString('utf8')) as Omit<Drop, 'partition'>) });
  }

  async function keep(changed: readonly Drop[]): Promise<void> {
    for (const drop of changed) drops.set(drop.partition, drop);
    await tables.write(changed.map((drop): Change => [keyOf(drop.partition), encode(drop)]));
  }

  return {
    async add({ partition, firstOffset, lastOffset, batches, bytes }) {
      const before = drops.get(partition);
      const atMs = clock.wallMs();
      if (before === undefined) {
        return keep([{ partition, firstOffset, lastOffset, batches, bytes, atMs, toldTo: firstOffset }]);
      }
      // One that was interrupted by a crash is counted already.
      if (lastOffset <= before.lastOffset) return;
      await keep([{ ...before, lastOffset, batches: before.batches + batches, bytes: before.bytes + bytes, atMs }]);
    },
    list: () => [...drops.values()].toSorted((a, b) => a.partition - b.partition),
    async told(them) {
      const changed: Drop[] = [];
      for (const { partition, lastOffset } of them) {
        const drop = drops.get(partition);
        if (drop !== undefined) changed.push({ ...drop, toldTo: lastOffset + 1 });
      }
      await keep(changed);
    },
    async prune(isThere) {
      const gone = [...drops.keys()].filter((partition) => !isThere(partition));
      for (const partition of gone) drops.delete(partition);
      await tables.write(gone.map((partition): Change => [keyOf(partition), null]));
    },
  };
}

function keyOf(partition: number): string {
  return PREFIX + partition.toString(16).padStart(8, '0');
}

function encode({ firstOffset, lastOffset, batches, bytes, atMs, toldTo }: Drop): Buffer {
  return Buffer.from(JSON.stringify({ firstOffset, lastOffset, batches, bytes, atMs, toldTo }));
}
