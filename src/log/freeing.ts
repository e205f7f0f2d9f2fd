// What goes when room is short, in this order, and only as much as is needed:
//
//   1  what has expired, which retention takes in any case
//   2  folders that were set aside, the oldest first
//   3  segments of which every mirror has sent all, the oldest first
//   4  at the budget: the oldest segments of topics with `whenFull: drop-oldest`, which is told as a gap
//
// Space comes back by whole segments: one goes when each of its records may, and one of which half may go is left to the
// cleaner. When nothing is left that may go, publishers are held back, see room.ts. A disk that others have filled costs no record that is not upstream.

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
  /** Segments have become worth to be cleaned. */
  onLetGo: () => void;
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

const SEALING_MS_MAX = 10_000;

const FREE: readonly Fate[] = ['dead', 'mirrored', 'dropped'];
const FATES: readonly Fate[] = [...FREE, 'kept'];

export function createFreeing(needs: FreeingNeeds): Freeing {
  const { store, positions, partitions, room, drops, clock, trace } = needs;
  const freed: Freed = { droppedUnsent: { batches: 0, bytes: 0 }, mirroredBytes: 0 };

  async function free(): Promise<void> {
    if (room.short() === undefined) return;
    await store.measure();
    while (room.short() !== undefined && (await store.removeQuarantined())) await store.measure();
    await freeSegments(['dead', 'mirrored']);
    if (room.short() !== 'budget') return;
    // One that is about to be sealed may be upstream already; where others fill the disk meanwhile, sealing waits for what
    // is freed here.
    await Promise.race([store.whenSealed(), clock.sleep(SEALING_MS_MAX)]);
    await freeSegments(['dead', 'mirrored']);
    await letGo(['dead', 'mirrored']);
    await freeSegments(FREE);
    if (room.short() === 'budget') await letGo(FREE);
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
    if (partition === undefined || lastOffset < partition.keptStart) return 'dead';
    // Its start is on the way to the card: until it is there, offsets would be given twice after a crash.
    if (lastOffset < partition.logStart) return 'kept';
    const { settings } = partition.topic;
    // Of a topic that keeps the latest record of each key a mirrored record is not one that is done with.
    if (isDeleted(settings) && lastOffset < (positions.lowestPinned(number) ?? -Infinity)) return 'mirrored';
    const isDroppable = settings.whenFull === 'drop-oldest' || isGaps(partition);
    return isDroppable && room.short() === 'budget' ? 'dropped' : 'kept';
  }

  async function remove(id: number, ranges: readonly Range[]): Promise<void> {
    for (const range of ranges) {
      // While the one before was passed there may have come room, or a mirror.
      if (fateOf(range) === 'kept') return;
      await pass(range);
    }
    await store.remove(id);
    await store.measure();
  }

  /**
   * Where each segment holds something that has to stay, what may go is let go all the same, if the cleaner can write the
   * rest anew in the room there is, and no more than that brings back what is missing.
   */
  async function letGo(fates: readonly Fate[]): Promise<void> {
    let comingBytes = 0;
    for (const { id } of store.sealed()) {
      const ranges = await store.rangesIn(id);
      const sum = (of: readonly Fate[]): number =>
        ranges.reduce((bytes, range) => bytes + (of.includes(fateOf(range)) ? range.bytes : 0), 0);
      const [going, all] = [sum(fates), sum(FATES)];
      if (going < all - going || all - going > room.spareBytes() / 2) continue;
      if (comingBytes >= room.missingBytes()) break;
      comingBytes += going - (all - going);
      for (const range of ranges) if (fates.includes(fateOf(range))) await pass(range);
    }
    if (comingBytes > 0) needs.onLetGo();
  }

  /** The log start of a partition passes its part of a segment, and with it all that lies before. */
  async function pass(range: Range): Promise<void> {
    const fate = fateOf(range);
    const partition = partitions.get(range.partition);
    if (partition === undefined || fate === 'dead') return;
    if (fate === 'mirrored') freed.mirroredBytes += range.bytes;
    else await drop(partition, range.lastOffset);
    await partition.moveStart(range.lastOffset + 1);
  }

  async function drop(partition: LogPartition, lastOffset: number): Promise<void> {
    const { number, logStart } = partition;
    const pinned = positions.lowestPinned(number) ?? Infinity;
    let [batches, bytes] = [0, 0];
    // Older ones may lie in segments that have to stay.
    for (let offset = logStart; offset <= lastOffset;) {
      const range = await store.rangeAt(number, offset);
      if (range === undefined || range.firstOffset > lastOffset) break;
      batches += range.batches;
      bytes += range.bytes;
      offset = range.lastOffset + 1;
      if (range.lastOffset < pinned) continue;
      freed.droppedUnsent.batches += range.batches;
      freed.droppedUnsent.bytes += range.bytes;
    }
    // A record for each of its own would have no end.
    if (!isGaps(partition)) await drops.add({ partition: number, firstOffset: logStart, lastOffset, batches, bytes });
    trace.limited('the budget is reached: the oldest records of a topic are dropped', {
      topic: partition.topic.name,
      partition: partition.index,
      upTo: lastOffset,
      bytes,
    });
  }

  return { freed, free };
}

/** What it tells is in the list of gaps, too, and a few records of it must not hold a whole segment. */
function isGaps({ topic }: LogPartition): boolean {
  return topic.name === GAPS_TOPIC;
}
