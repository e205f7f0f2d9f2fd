// What goes when room is short, in this order, and only as much as is needed:
//
//   1  what has expired, which retention takes in any case
//   2  folders that were set aside, the oldest first
//   3  segments of which every mirror has sent all, the oldest first
//   4  at the budget: the oldest segments of topics with `whenFull: drop-oldest`, which is told as a gap
//
// Space comes back by whole segments, so one goes only when each of its records may. When nothing is left that may go,
// publishers are held back, see room.ts. A disk that others have filled costs no record that is not upstream.

import type { Clock } from '../clock.ts';
import type { Range, Store } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import { isDeleted } from './cleanup.ts';
import type { Drops } from './drops.ts';
import { GAPS_TOPIC } from './gaps.ts';
import type { LogPartition } from './partition.ts';
import type { PositionsRoom } from './positions.ts';
import type { Room } from './room.ts';

export interface FreeingNeeds {
  store: Store;
  positions: PositionsRoom;
  partitions: ReadonlyMap<number, LogPartition>;
  room: Room;
  drops: Drops;
  clock: Clock;
  trace: Trace;
}

export interface Freed {
  /** Since the start: dropped before a mirror had sent it. */
  droppedUnsent: { batches: number; bytes: number };
  /** Since the start: removed for want of room, after all mirrors had sent it. */
  mirroredBytes: number;
}

export interface Freeing {
  readonly freed: Readonly<Freed>;
  /** Makes room, as far as there is a need and a way. */
  free(): Promise<void>;
}

/** What becomes of a segment's part of a partition. */
type Fate = 'dead' | 'mirrored' | 'dropped' | 'kept';

export function createFreeing({ store, positions, partitions, room, drops, trace }: FreeingNeeds): Freeing {
  const freed: Freed = { droppedUnsent: { batches: 0, bytes: 0 }, mirroredBytes: 0 };

  async function free(): Promise<void> {
    if (room.short() === undefined) return;
    await store.measure();
    while (room.short() !== undefined && (await store.removeQuarantined())) await store.measure();
    await freeSegments(['dead', 'mirrored']);
    if (room.short() !== 'budget') return;
    // One that is about to be sealed may be upstream already.
    await store.whenSealed();
    await freeSegments(['dead', 'mirrored']);
    await freeSegments(['dead', 'mirrored', 'dropped']);
  }

  /** The oldest segments first, as long as there is a need. */
  async function freeSegments(fates: readonly Fate[]): Promise<void> {
    for (const { id } of store.sealed()) {
      if (room.short() === undefined) return;
      const ranges = await store.rangesIn(id);
      if (ranges.every((range) => fates.includes(fateOf(range)))) await remove(id, ranges);
    }
  }

  function fateOf({ partition: number, lastOffset }: Range): Fate {
    const partition = partitions.get(number);
    if (partition === undefined || lastOffset < partition.logStart) return 'dead';
    const { settings } = partition.topic;
    // Of a topic that keeps the latest record of each key a mirrored record is not one that is done with.
    if (isDeleted(settings) && lastOffset < (positions.lowestPinned(number) ?? -Infinity)) return 'mirrored';
    const isDroppable = settings.whenFull === 'drop-oldest' || isGaps(partition);
    return isDroppable && room.short() === 'budget' ? 'dropped' : 'kept';
  }

  async function remove(id: number, ranges: readonly Range[]): Promise<void> {
    for (const range of ranges) {
      const fate = fateOf(range);
      const partition = partitions.get(range.partition);
      if (partition === undefined || fate === 'dead') continue;
      if (fate === 'mirrored') freed.mirroredBytes += range.bytes;
      else await drop(partition, range);
      await partition.moveStart(range.lastOffset + 1);
    }
    await store.remove(id);
    await store.measure();
  }

  async function drop(partition: LogPartition, range: Range): Promise<void> {
    // A record for each of its own would have no end.
    if (!isGaps(partition)) await drops.add(range, partition.logStart);
    if (range.lastOffset >= (positions.lowestPinned(range.partition) ?? Infinity)) {
      freed.droppedUnsent.batches += range.batches;
      freed.droppedUnsent.bytes += range.bytes;
    }
    trace.limited('the budget is reached: the oldest records of a topic are dropped', {
      topic: partition.topic.name,
      partition: partition.index,
      upTo: range.lastOffset,
      bytes: range.bytes,
    });
  }

  return { freed, free };
}

/** What it tells is in the list of gaps, too, and a few records of it must not hold a whole segment. */
function isGaps({ topic }: LogPartition): boolean {
  return topic.name === GAPS_TOPIC;
}
