// Retention: what goes, and when. A topic's rules raise the log start of its partitions (a decision, made per segment's
// part of a partition); a segment whose every part lies below the log start is removed whole, and that is how space
// comes back. What a mirror has not sent yet is kept, unless the folder's budget is reached: then the oldest segment
// goes whatever it holds, and what was unsent in it is counted and said.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Range, Store } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import type { TopicSettings } from './log.ts';
import type { LogPartition } from './partition.ts';
import type { PositionsRoom } from './positions.ts';

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
  afterRun: () => void;
}

/** True when a segment's part of a partition may go by the topic's own rules. `restBytes` is what would be left. */
export function isExpired(range: Range, settings: TopicSettings, nowMs: number, restBytes: number): boolean {
  const { retentionMs, retentionBytes } = settings;
  if (retentionMs >= 0 && range.maxTimestampMs < nowMs - retentionMs) return true;
  return retentionBytes >= 0 && restBytes >= retentionBytes;
}

export function openRetention(needs: RetentionNeeds): Retention {
  const { store, positions, clock, trace, partitions, budgetBytes } = needs;
  const droppedUnsent = { batches: 0, bytes: 0 };
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
    for (const partition of partitions.values()) await expire(partition);
    for (const segment of store.sealed()) await removeIfDead(segment.id);
    while (store.diskBytes() > budgetBytes) if (!(await removeOldest())) break;
    needs.afterRun();
  }

  async function expire(partition: LogPartition): Promise<void> {
    const { settings } = partition.topic;
    const pinned = positions.lowestPinned(partition.number) ?? Infinity;
    let start = partition.logStart;
    let restBytes = partition.bytes;
    while (start < partition.highWatermark) {
      const range = await store.rangeAt(partition.number, start);
      if (range === undefined || range.lastOffset >= pinned) break;
      restBytes -= range.bytes;
      if (!isExpired(range, settings, clock.wallMs(), restBytes)) break;
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

  /** For the budget's sake. False when there is no sealed segment left. */
  async function removeOldest(): Promise<boolean> {
    const [oldest] = store.sealed();
    if (oldest === undefined) return false;
    for (const range of await store.rangesIn(oldest.id)) {
      const partition = partitions.get(range.partition);
      if (partition === undefined) continue;
      countUnsent(partition, range);
      await partition.moveStart(range.lastOffset + 1);
    }
    await store.remove(oldest.id);
    return true;
  }

  function countUnsent(partition: LogPartition, range: Range): void {
    const pinned = positions.lowestPinned(range.partition) ?? Infinity;
    if (range.lastOffset < pinned || range.lastOffset < partition.logStart) return;
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
