// Retention: what goes, and when. A topic's rules raise the log start of its partitions (a decision, made per segment's
// part of a partition); a segment whose every part lies below the log start is removed whole, and that is how space
// comes back. What a mirror has not sent yet is kept, unless the folder's budget is reached: then the oldest segment
// without unsent records goes, and when each has some, the oldest of all; what was unsent in it is counted and said. Before either go folders that were set aside, the oldest first.

import assert from 'node:assert';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Range, Store } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import { isDeleted } from './cleanup.ts';
import type { TopicSettings } from './log.ts';
import type { LogPartition } from './partition.ts';
import type { PositionsRoom } from './positions.ts';
import { openRetentionClock } from './retention-clock.ts';

export interface Retention {
  readonly droppedUnsent: { batches: number; bytes: number };
  runSoon(): void;
  close(): Promise<void>;
}

export interface RetentionNeeds {
  store: Store;
  positions: PositionsRoom;
  clock: Clock;
  trace: Trace;
  partitions: ReadonlyMap<number, LogPartition>;
  budgetBytes: number;
  intervalMs: number;
  afterRun: () => Promise<void>;
}

/** 2020: an earlier stamp comes from a clock that was never set, or is none. Of such records the age is not known. */
const CLOCK_SET_MS = 1_577_836_800_000;

/** True when a segment's part of a partition may go by the topic's own rules. `restBytes` is what would be left. */
export function isExpired(range: Range, settings: TopicSettings, nowMs: number, restBytes: number): boolean {
  if (!isDeleted(settings)) return false;
  const { retentionMs, retentionBytes } = settings;
  const isDated = range.maxTimestampMs >= CLOCK_SET_MS;
  if (isDated && retentionMs >= 0 && range.maxTimestampMs < nowMs - retentionMs) return true;
  return retentionBytes >= 0 && restBytes >= retentionBytes;
}

export function openRetention(needs: RetentionNeeds): Retention {
  const { store, positions, clock, trace, partitions, budgetBytes } = needs;
  const droppedUnsent = { batches: 0, bytes: 0 };
  const age = openRetentionClock(clock);
  let running: Promise<void> | undefined;
  let isClosed = false;
  const timer = clock.every(needs.intervalMs, runSoon);

  function runSoon(): void {
    if (isClosed) return;
    running ??= run()
      .catch((error: unknown) => trace.error('retention stopped early', { reason: messageOf(error) }))
      .finally(() => {
        running = undefined;
      });
  }

  async function run(): Promise<void> {
    age.look();
    for (const partition of partitions.values()) await expire(partition);
    for (const segment of store.sealed()) await removeIfDead(segment.id);
    while (store.diskBytes() > budgetBytes && (await store.removeQuarantined()));
    while (store.diskBytes() > budgetBytes && store.sealed().length > 0) {
      // One that is about to be sealed may have nothing unsent.
      if (!(await isAnyToSpare())) await store.whenSealed();
      await removeOldest();
    }
    await needs.afterRun();
  }

  async function expire(partition: LogPartition): Promise<void> {
    const { settings } = partition.topic;
    const pinned = settings.pin === 'none' ? Infinity : (positions.lowestPinned(partition.number) ?? Infinity);
    let start = partition.logStart;
    let restBytes = partition.bytes;
    while (start < partition.highWatermark) {
      const range = await store.rangeAt(partition.number, start);
      if (range === undefined || range.lastOffset >= pinned) break;
      restBytes -= partition.countedBytes(range);
      if (!isExpired(range, settings, age.nowFor(settings.retentionMs), restBytes)) break;
      start = range.lastOffset + 1;
    }
    await partition.moveStart(start);
  }

  async function removeIfDead(id: number): Promise<void> {
    const ranges = await store.rangesIn(id);
    const isDead = ranges.every(
      ({ partition, lastOffset }) => lastOffset < (partitions.get(partition)?.logStart ?? Infinity),
    );
    if (isDead) await store.remove(id);
  }

  async function isAnyToSpare(): Promise<boolean> {
    return !(await oldestToSpare()).ranges.some(isUnsent);
  }

  /** For the budget's sake. */
  async function removeOldest(): Promise<void> {
    const { id, ranges } = await oldestToSpare();
    for (const range of ranges) {
      const partition = partitions.get(range.partition);
      if (partition === undefined) continue;
      countUnsent(partition, range);
      await partition.moveStart(range.lastOffset + 1);
    }
    await store.remove(id);
  }

  async function oldestToSpare(): Promise<{ id: number; ranges: Range[] }> {
    let oldest: { id: number; ranges: Range[] } | undefined;
    for (const { id } of store.sealed()) {
      const found = { id, ranges: await store.rangesIn(id) };
      if (!found.ranges.some(isUnsent)) return found;
      oldest ??= found;
    }
    assert(oldest !== undefined, 'retention alone removes segments');
    return oldest;
  }

  function isUnsent({ partition, lastOffset }: Range): boolean {
    const logStart = partitions.get(partition)?.logStart ?? Infinity;
    return lastOffset >= logStart && lastOffset >= (positions.lowestPinned(partition) ?? Infinity);
  }

  function countUnsent(partition: LogPartition, range: Range): void {
    if (!isUnsent(range)) return;
    droppedUnsent.batches += range.batches;
    droppedUnsent.bytes += range.bytes;
    trace.limited('the budget is reached: records are removed that a mirror has not sent', {
      topic: partition.topic.name,
      partition: partition.index,
      upTo: range.lastOffset,
      bytes: range.bytes,
    });
  }

  return {
    droppedUnsent,
    runSoon,
    async close() {
      isClosed = true;
      timer.cancel();
      await running;
    },
  };
}
