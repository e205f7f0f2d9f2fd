// Retention: what goes, and when. A topic's rules raise the log start of its partitions (a decision, made per segment's
// part of a partition); a segment whose every part lies below the log start is removed whole, and that is how space
// comes back. What a mirror has not sent yet is kept. When that is not enough, freeing.ts makes room.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import type { Times } from '../times/times.ts';
import { latestIn } from './batch-times.ts';
import { isDeleted } from './cleanup.ts';
import type { TopicSettings } from './log.ts';
import type { LogPartition } from './partition.ts';
import type { PositionsRoom } from './positions.ts';
import type { Room } from './room.ts';

export interface Retention {
  runSoon(): void;
  /** Makes room soon, if it has become short since the last call. */
  watchRoom(): void;
  /** Runs work while no segment is removed. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface RetentionNeeds {
  store: Store;
  positions: PositionsRoom;
  clock: Clock;
  times: Times;
  trace: Trace;
  partitions: ReadonlyMap<number, LogPartition>;
  room: Pick<Room, 'short' | 'refusal' | 'look'>;
  /** Makes room where it is short, when all that has expired is gone. */
  free: () => Promise<void>;
  intervalMs: number;
  afterRun: () => Promise<void>;
}

const WATCH_MS = 1000;
/** 2020: an earlier stamp comes from a clock that was never set, or is none. Of such records the age is not known. */
const CLOCK_SET_MS = 1_577_836_800_000;

export interface Moment {
  /** What time it is for records that are kept as long as these; undefined: nobody knows. */
  nowMs: number | undefined;
  /** The latest that a record of the part can have come in; Infinity: nobody knows. */
  latestMs: number;
}

/** True when a segment's part of a partition may go by the topic's own rules. `restBytes` is what would be left. */
export function isExpired({ nowMs, latestMs }: Moment, settings: TopicSettings, restBytes: number): boolean {
  if (!isDeleted(settings)) return false;
  const { retentionMs, retentionBytes } = settings;
  const isDated = latestMs >= CLOCK_SET_MS && nowMs !== undefined;
  if (isDated && retentionMs >= 0 && latestMs < nowMs - retentionMs) return true;
  return retentionBytes >= 0 && restBytes >= retentionBytes;
}

export function openRetention(needs: RetentionNeeds): Retention {
  const { store, positions, room, clock, times, trace, partitions } = needs;
  let running: Promise<void> | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  const timer = clock.every(needs.intervalMs, runSoon);
  const watching = clock.every(WATCH_MS, watchClosely);
  let wasShort = false;
  let seen = '';

  function runSoon(): void {
    begin(run);
  }

  function freeSoon(): void {
    begin(async () => {
      await needs.free();
      await needs.afterRun();
    });
  }

  function watchRoom(): void {
    const isShort = room.short() !== undefined;
    if (isShort && !wasShort) freeSoon();
    wasShort = isShort;
  }

  /** While room is short: something may go when a mirror has come further, or a segment was sealed. */
  function watchClosely(): void {
    if (room.refusal() !== undefined) void store.measure().then(room.look);
    watchRoom();
    if (!wasShort) return;
    const now = `${positions.moves()} ${store.sealed().at(-1)?.id}`;
    if (now !== seen) freeSoon();
    seen = now;
  }

  function begin(work: () => Promise<void>): void {
    if (isClosed) return;
    running ??= inTurn(work)
      .catch((error: unknown) => trace.error('retention stopped early', { reason: messageOf(error) }))
      .finally(() => {
        running = undefined;
      });
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  }

  async function run(): Promise<void> {
    for (const partition of partitions.values()) await expire(partition);
    for (const segment of store.sealed()) await removeIfDead(segment.id);
    await needs.free();
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
      const moment = { nowMs: times.nowFor(settings.retentionMs), latestMs: latestIn(range, times) };
      if (!isExpired(moment, settings, restBytes)) break;
      start = range.lastOffset + 1;
    }
    await partition.moveStart(start);
  }

  async function removeIfDead(id: number): Promise<void> {
    const ranges = await store.rangesIn(id);
    const isDead = ranges.every(
      ({ partition, lastOffset }) => lastOffset < (partitions.get(partition)?.keptStart ?? Infinity),
    );
    if (isDead) await store.remove(id);
  }

  return {
    runSoon,
    watchRoom,
    inTurn,
    async close() {
      isClosed = true;
      timer.cancel();
      watching.cancel();
      await running;
    },
  };
}
