// How far an owner has come in a partition: a mirror's progress. (What consumer groups commit are marks, see groups/.) Rows
//   position/<owner>/<partition, 8 hex> -> JSON Position
// in memory all of them (owners times partitions), on the card at once when asked, else many together every ten seconds.

import type { Clock, Timer } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Change, Tables } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import type { Partition } from './log.ts';

const PREFIX = 'position/';
const LAZY_MS = 10_000;

/** How far an owner (a mirror) has come in a partition. `state` is the owner's own JSON. */
export interface Position {
  /** Next offset the owner needs. */
  offset: number;
  state?: unknown;
}

export interface Positions {
  get(owner: string, partition: Partition): Position | undefined;
  /**
   * Remembers a position; readers and retention see it at once. With `durable` it is on the card on return; without, it
   * is written within ten seconds, many at a time.
   */
  set(owner: string, partition: Partition, position: Position, durable: boolean): Promise<void>;
  /** From now on retention keeps what this owner has not passed (unless the disk budget forces it). */
  pin(owner: string, partition: Partition): void;
  unpin(owner: string, partition: Partition): void;
}

export interface PositionsRoom extends Positions {
  /** The lowest offset that a pinning owner still needs; undefined when nobody pins the partition. */
  lowestPinned(partition: number): number | undefined;
  /** The lowest position that any owner has, whether it pins the partition at present or not. */
  lowestKept(partition: number): number | undefined;
  /** Counts up when an owner has come further. */
  moves(): number;
  /** On return all positions are on the card, as they were at the call at least. */
  keep(): Promise<void>;
  /** Removes all positions of a partition that is gone. */
  forget(partition: number): Promise<void>;
  close(): Promise<void>;
}

export async function loadPositions(
  tables: Tables,
  numberOf: (partition: Partition) => number,
  clock: Clock,
  trace: Trace,
): Promise<PositionsRoom> {
  const positions = new Map<string, Position>();
  const dirty = new Set<string>();
  const pins = new Map<number, Set<string>>();
  let timer: Timer | undefined;
  let moves = 0;
  let flushing: Promise<unknown> = Promise.resolve();

  const owners = new Set<string>();
  for await (const [key, value] of tables.entries(PREFIX)) {
    owners.add(key.slice(PREFIX.length, key.lastIndexOf('/')));
    positions.set(key, JSON.parse(value.toString('utf8')) as Position);
  }

  async function flush(): Promise<void> {
    timer?.cancel();
    timer = undefined;
    const keys = [...dirty];
    dirty.clear();
    const written = Promise.all([
      // Of one that has begun before, too: what it writes is not dirty any more, and not on the card yet.
      flushing,
      tables.write(keys.map((key): Change => [key, encode(positions.get(key))])),
    ]);
    flushing = written.catch(() => undefined);
    try {
      await written;
    } catch (error) {
      for (const key of keys) dirty.add(key);
      throw error;
    }
  }

  function flushLater(): void {
    timer ??= clock.after(LAZY_MS, () => {
      flush().catch((error: unknown) => trace.error('positions were not written', { reason: messageOf(error) }));
    });
  }

  return {
    get: (owner, partition) => positions.get(keyOf(owner, numberOf(partition))),
    async set(owner, partition, position, durable) {
      const key = keyOf(owner, numberOf(partition));
      owners.add(owner);
      positions.set(key, position);
      moves += 1;
      dirty.add(key);
      if (durable) await flush();
      else flushLater();
    },
    pin(owner, partition) {
      const number = numberOf(partition);
      const owners = pins.get(number);
      if (owners === undefined) pins.set(number, new Set([owner]));
      else owners.add(owner);
    },
    unpin(owner, partition) {
      pins.get(numberOf(partition))?.delete(owner);
    },
    lowestPinned(partition) {
      let lowest: number | undefined;
      for (const owner of pins.get(partition) ?? []) {
        lowest = Math.min(lowest ?? Infinity, positions.get(keyOf(owner, partition))?.offset ?? 0);
      }
      return lowest;
    },
    moves: () => moves,
    lowestKept(partition) {
      let lowest: number | undefined;
      for (const owner of owners) {
        const offset = positions.get(keyOf(owner, partition))?.offset;
        if (offset !== undefined) lowest = Math.min(lowest ?? Infinity, offset);
      }
      return lowest;
    },
    async forget(partition) {
      const suffix = `/${hex(partition)}`;
      pins.delete(partition);
      for (const key of positions.keys()) {
        if (!key.endsWith(suffix)) continue;
        positions.delete(key);
        dirty.add(key);
      }
      await flush();
    },
    keep: flush,
    close: flush,
  };
}

function keyOf(owner: string, partition: number): string {
  return `${PREFIX}${owner}/${hex(partition)}`;
}

function hex(partition: number): string {
  return partition.toString(16).padStart(8, '0');
}

function encode(position: Position | undefined): Buffer | null {
  return position === undefined ? null : Buffer.from(JSON.stringify(position));
}
