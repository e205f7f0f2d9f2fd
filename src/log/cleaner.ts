// The cleaner: in the background it looks which sealed segments are mostly dead, and has the store write what is left of them
// anew. Dead is what lies below the log start, what is of a deleted topic, and in compacted topics what is superseded. So
// short-lived records do not hold the disk of long-lived ones beside them, and compaction is the same work.
//
// It costs nothing on the way of a commit. It reads and writes slowly, yields after each piece, and gives up at once when the
// log closes. To have something to clean early enough it ends the segment that is written when compacted topics fill it.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Cleaned, Range, SealedRow, Sieve, Store } from '../store/store.ts';
import type { Times } from '../times/times.ts';
import type { Trace } from '../trace.ts';
import { latestIn, timesOf } from './batch-times.ts';
import { isCompacted } from './cleanup.ts';
import { chooseRun, type Candidate, type ChoiceLimits } from './cleaning-choice.ts';
import { KeyMap } from './key-map.ts';
import type { LogPartition } from './partition.ts';
import type { PositionsRoom } from './positions.ts';
import { compactedSieve, plainSieve } from './sieve.ts';
import { lookForSuperseded, type Superseded } from './superseded.ts';

/** Since the start. */
export interface CleaningStatus {
  /** Segments that were cleaned, and those that were made of them. */
  segments: number;
  made: number;
  /** Bytes of folders that came free, and bytes of batches that were written again. */
  freedBytes: number;
  writtenBytes: number;
}

export interface CleanerNeeds {
  store: Store;
  positions: PositionsRoom;
  clock: Clock;
  trace: Trace;
  partitions: ReadonlyMap<number, LogPartition>;
  times: Times;
  /** Runs work while retention removes no segment. */
  inTurn: (work: () => Promise<void>) => Promise<void>;
  /** Bytes that may be taken for a while, besides what the disk has. */
  spareBytes: () => number;
  /** How often it looks. */
  intervalMs: number;
}

export interface Cleaner {
  status(): CleaningStatus;
  /** At the next tick it looks at everything. */
  lookSoon(): void;
  close(): Promise<void>;
}

/** What is known of a compacted partition since it was looked through. */
interface Known {
  endOffset: number;
  /** What of its bytes was looked at, without what was cleaned since. */
  cleanBytes: number;
  atMs: number;
  /** It ended at records that are too young. */
  isCut: boolean;
  deadBytes: Map<number, number>;
}

/** One look at everything: what was found is used up by cleaning, and then forgotten. */
interface Round {
  looks: Map<number, Superseded>;
  map: KeyMap | undefined;
  /** Segments that were made in it: they bear numbers that the looks know by what was there before. */
  made: Set<number>;
}

const READ_BYTES_PER_SECOND = 16 * 1024 * 1024;
const WRITE_BYTES_PER_SECOND = 4 * 1024 * 1024;
const PAUSE_MS_MIN = 50;
/** Without new records in compacted topics, what retention has left is looked at once in so many ticks. */
const SURVEY_TICKS = 12;
/** And no sooner than after so many times what it took: there may be thousands of segments and partitions. */
const SURVEY_REST = 20;
const RUN_SEGMENTS_MAX = 64;
const MIRRORS_OPEN_MS = 60_000;
const EMPTY_BYTES = 61;
const DIRTY_SHARE_MIN = 1 / 8;

class Stopped extends Error {}

export function openCleaner(needs: CleanerNeeds): Cleaner {
  const { store, positions, clock, trace, partitions } = needs;
  // 2, 4 and 1 MiB of a segment of 36 MiB.
  const rollBytesMin = store.segmentBytesMax / 18;
  const partBytesMin = store.segmentBytesMax / 9;
  const limits: ChoiceLimits = {
    liveBytesMax: store.segmentBytesMax,
    freedBytesMin: store.segmentBytesMax / 36,
    smallBytes: store.segmentBytesMax / 36,
    countMax: RUN_SEGMENTS_MAX,
  };
  const status: CleaningStatus = { segments: 0, made: 0, freedBytes: 0, writtenBytes: 0 };
  const known = new Map<number, Known>();
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  const openedMs = clock.monotonicMs();
  const surveyMs = SURVEY_TICKS * needs.intervalMs;
  let surveyedMs = -Infinity;
  let tookMs = 0;
  let owedMs = 0;
  const timer = clock.every(needs.intervalMs, () => {
    rollEarly();
    running ??= tick()
      .catch((error: unknown) => {
        if (!(error instanceof Stopped)) trace.limited('cleaning stopped early', { reason: messageOf(error) });
      })
      .finally(() => {
        running = undefined;
      });
  });

  async function tick(): Promise<void> {
    const nowMs = clock.monotonicMs();
    const toLookAt = await wanting();
    if (toLookAt.length === 0 && nowMs - surveyedMs < Math.max(surveyMs, tookMs * SURVEY_REST)) return;
    surveyedMs = nowMs;
    for (const number of known.keys()) if (!partitions.has(number)) known.delete(number);
    await clean(toLookAt);
  }

  function compacted(): LogPartition[] {
    return [...partitions.values()].filter(({ topic }) => isCompacted(topic.settings));
  }

  /** What is in the segment that is written can't be cleaned: it is ended when it is much beside what is needed. */
  function rollEarly(): void {
    const written = store.written().filter(({ partition }) => {
      const found = partitions.get(partition);
      return found !== undefined && isCompacted(found.topic.settings);
    });
    if (written.some((range) => isOverdueAt(partitions.get(range.partition)!, latestIn(range, needs.times))))
      store.rollSoon();
    const bytes = written.reduce((sum, range) => sum + range.bytes, 0);
    if (bytes < rollBytesMin) return;
    const allBytes = compacted().reduce((sum, partition) => sum + partition.bytes - deadBytesOf(partition), 0);
    if (bytes >= (allBytes - bytes) / 4) store.rollSoon();
  }

  function deadBytesOf({ number }: LogPartition): number {
    let bytes = 0;
    for (const each of known.get(number)?.deadBytes.values() ?? []) bytes += each;
    return bytes;
  }

  /** Those of which there is enough that was not looked at, or whose time has come. */
  async function wanting(): Promise<LogPartition[]> {
    const dirty: LogPartition[] = [];
    let bytes = 0;
    let isDue = false;
    for (const partition of compacted()) {
      const { dirtyRatioMin, compactionLagMinMs, compactionLagMaxMs } = partition.topic.settings;
      const found = known.get(partition.number) ?? { endOffset: 0, cleanBytes: 0, atMs: openedMs, isCut: false };
      const sinceMs = clock.monotonicMs() - found.atMs;
      // What was too young then is not yet old.
      if (found.isCut && sinceMs < Math.max(surveyMs, compactionLagMinMs / 4)) continue;
      const dirtyBytes = await sealedBytes(partition, found.endOffset);
      const isLate = compactionLagMaxMs >= 0 && sinceMs >= compactionLagMaxMs / 2;
      const allBytes = dirtyBytes + found.cleanBytes;
      // What comes new supersedes as much at most. Each look reads all of it, so it is not taken for little.
      const deadBytes = dirtyBytes + deadBytesOf(partition);
      const isEnough = deadBytes >= dirtyRatioMin * allBytes && dirtyBytes >= allBytes * DIRTY_SHARE_MIN;
      if (dirtyBytes === 0 || (!isLate && !isEnough)) continue;
      dirty.push(partition);
      bytes += dirtyBytes;
      isDue ||= isLate;
    }
    return isDue || bytes >= limits.freedBytesMin ? dirty : [];
  }

  /** Bytes from `offset` on that can be cleaned: sealed, decided, and sent by all mirrors. */
  async function sealedBytes(partition: LogPartition, offset: number): Promise<number> {
    const end = reachOf(partition);
    let bytes = 0;
    for (let next = Math.max(offset, partition.keptStart); next < end;) {
      const range = await store.rangeAt(partition.number, next);
      if (range === undefined || !range.isSealed || range.lastOffset >= end) break;
      bytes += range.bytes;
      next = range.lastOffset + 1;
    }
    return bytes;
  }

  function reachOf({ number, lastStableOffset }: LogPartition): number {
    return Math.min(lastStableOffset, pinnedIn(number));
  }

  /** Nothing from here on may go. Soon after the start a mirror may not be there yet that has a position. */
  function pinnedIn(partition: number): number {
    const isYoung = clock.monotonicMs() - openedMs < MIRRORS_OPEN_MS;
    const kept = isYoung ? positions.lowestKept(partition) : undefined;
    return Math.min(kept ?? Infinity, positions.lowestPinned(partition) ?? Infinity);
  }

  /** Records of so long ago have waited for half of the time that they may. */
  function isOverdueAt({ topic }: LogPartition, timestampMs: number): boolean {
    const lagMs = topic.settings.compactionLagMaxMs;
    const nowMs = lagMs < 0 ? undefined : needs.times.nowFor(lagMs);
    return nowMs !== undefined && timestampMs < nowMs - lagMs / 2;
  }

  async function clean(toLookAt: readonly LogPartition[]): Promise<void> {
    const round: Round = { looks: new Map(), map: undefined, made: new Set() };
    for (const partition of toLookAt) await look(round, partition);
    for (let rounds = 0; rounds < RUN_SEGMENTS_MAX; rounds += 1) {
      const run = await choose(round);
      if (run === undefined) return;
      // What is dead of compacted topics must be known record by record.
      let isNew = false;
      for (const partition of await compactedIn(run)) {
        if (round.looks.has(partition.number)) continue;
        await look(round, partition);
        isNew = true;
      }
      // What can't be cleaned must not keep the others from it.
      if (!isNew && !(await cleanRun(round, run))) for (const id of run) round.made.add(id);
    }
  }

  async function choose(round: Round): Promise<number[] | undefined> {
    const candidates: Candidate[] = [];
    const startMs = clock.monotonicMs();
    for (const row of store.sealed()) candidates.push(await candidateOf(round, row));
    tookMs = clock.monotonicMs() - startMs;
    // What is written lies in a log and in a table for a while, beside the old segments: of little it is a part at a time.
    const { freeBytes = Infinity, workBytes } = store.space();
    const spareBytes = Math.min(freeBytes - workBytes, needs.spareBytes());
    const allBytes = candidates.reduce(
      (sum, each) => sum + (each.liveBytes < Infinity ? each.liveBytes : each.bytes),
      0,
    );
    const liveBytesMax = Math.min(limits.liveBytesMax, Math.max(partBytesMin, allBytes / 4), spareBytes / 2);
    // One alone is taken whatever its size: not where there is no room for it.
    const fitting = candidates.map((each) =>
      each.liveBytes > spareBytes / 2 ? { ...each, liveBytes: Infinity } : each,
    );
    return chooseRun(fitting, { ...limits, liveBytesMax });
  }

  async function candidateOf(round: Round, { id, bytes }: SealedRow): Promise<Candidate> {
    let [liveBytes, isOverdue] = [0, false];
    await pace(0, 0);
    if (round.made.has(id)) return { id, bytes, liveBytes: Infinity, isOverdue };
    for (const range of await store.rangesIn(id)) {
      const partition = partitions.get(range.partition);
      if (partition === undefined || range.lastOffset < partition.keptStart) continue;
      const share = liveShare(range, partition.keptStart);
      const deadBytes = isCompacted(partition.topic.settings) ? deadBytesIn(round, partition, id) : 0;
      // Where all is superseded an empty batch stays.
      liveBytes += Math.max(EMPTY_BYTES, range.bytes * share - deadBytes);
      isOverdue ||=
        deadBytes > 0 && round.looks.has(range.partition) && isOverdueAt(partition, latestIn(range, needs.times));
    }
    return { id, bytes, liveBytes, isOverdue };
  }

  function deadBytesIn(round: Round, { number }: LogPartition, segment: number): number {
    const look = round.looks.get(number);
    // Where the look did not reach, nothing can be cleaned by it.
    return look === undefined ? (known.get(number)?.deadBytes.get(segment) ?? 0) : (look.in(segment)?.deadBytes ?? 0);
  }

  async function compactedIn(run: readonly number[]): Promise<LogPartition[]> {
    const found = new Set<LogPartition>();
    for (const id of run) {
      for (const { partition, lastOffset } of await store.rangesIn(id)) {
        const each = partitions.get(partition);
        if (each !== undefined && isCompacted(each.topic.settings) && lastOffset >= each.keptStart) found.add(each);
      }
    }
    return [...found];
  }

  async function look(round: Round, partition: LogPartition): Promise<void> {
    const { number, keptStart } = partition;
    const { compactionLagMinMs } = partition.topic.settings;
    const reach = reachOf(partition);
    const pinnedOffset = pinnedIn(number);
    // A crash must not take a position back to before what goes: upstream records are counted from there.
    if (pinnedOffset < Infinity) await positions.keep();
    round.map ??= new KeyMap();
    const found = await lookForSuperseded({
      store,
      partition,
      map: round.map,
      pinnedOffset,
      oldUntilMs:
        compactionLagMinMs === 0
          ? Infinity
          : (needs.times.nowFor(compactionLagMinMs) ?? -Infinity) - compactionLagMinMs,
      latestOf: (header) => latestIn(timesOf(header), needs.times),
      nowMs: needs.times.nowFor(0) ?? -Infinity,
      pace: (bytesRead) => pace(bytesRead, 0),
    });
    round.looks.set(number, found);
    const deadBytes = new Map<number, number>();
    for (const { id } of store.sealed()) {
      const dead = found.in(id)?.deadBytes ?? 0;
      if (dead > 0) deadBytes.set(id, dead);
    }
    const endOffset = Math.min(found.endOffset, reach);
    const cleanBytes = (await sealedBytes(partition, keptStart)) - (await sealedBytes(partition, endOffset));
    known.set(number, { endOffset, cleanBytes, atMs: clock.monotonicMs(), isCut: endOffset < reach, deadBytes });
  }

  async function cleanRun(round: Round, ids: readonly number[]): Promise<boolean> {
    const cleaned = await store.clean({
      ids,
      sieveOf: (partition) => sieveOf(round, partition, ids),
      pace,
      replace: needs.inTurn,
    });
    if (cleaned === undefined) return false;
    settle(round, ids, cleaned);
    status.segments += ids.length;
    status.made += 1;
    status.freedBytes += cleaned.freedBytes;
    status.writtenBytes += cleaned.writtenBytes;
    trace.debug('segments were cleaned', {
      segments: ids.length,
      freed: cleaned.freedBytes,
      written: cleaned.writtenBytes,
    });
    return true;
  }

  function sieveOf(round: Round, number: number, ids: readonly number[]): Sieve | undefined {
    const partition = partitions.get(number);
    if (partition === undefined) return undefined;
    const look = round.looks.get(number);
    const parts = ids.map((id) => look?.in(id)).filter((part) => part !== undefined);
    const [first] = parts;
    if (look === undefined || first === undefined) return plainSieve(partition.keptStart);
    let ordinal = first.firstOrdinal;
    const end = parts.at(-1)!.endOrdinal;
    const isAll = parts.length === ids.length;
    const sieve = compactedSieve({
      logStart: look.startOffset,
      endOffset: look.endOffset,
      isDead: () => look.isDead(ordinal++),
      skip: (records) => void (ordinal += records),
      isData: (header) => partition.isData(header),
      isFirst: first.firstOrdinal === 0,
      horizonMs: (needs.times.nowFor(0) ?? NaN) + partition.topic.settings.deleteRetentionMs,
    });
    return {
      startOffset: look.startOffset,
      take: sieve.take,
      end() {
        // Behind the last of them may lie what the look did not reach; fewer there are where one was mended since.
        if (isAll ? ordinal !== end : ordinal < end) throw new Error(`${ordinal} records where ${end} were counted`);
        return sieve.end();
      },
    };
  }

  /** What partitions count of their bytes, and what is known of the segments. */
  function settle(round: Round, ids: readonly number[], { before, after }: Cleaned): void {
    round.made.add(ids.at(-1)!);
    for (const [number, old] of Map.groupBy(before, ({ partition }) => partition)) {
      const partition = partitions.get(number);
      if (partition === undefined) continue;
      const freedBytes = partition.recount(
        old,
        after.find((each) => each.partition === number),
      );
      const found = known.get(number);
      if (found === undefined) continue;
      found.cleanBytes = Math.max(0, found.cleanBytes - freedBytes);
      for (const id of ids) found.deadBytes.delete(id);
    }
  }

  async function pace(bytesRead: number, bytesWritten: number): Promise<void> {
    if (closing.signal.aborted) throw new Stopped();
    owedMs += (bytesRead / READ_BYTES_PER_SECOND + bytesWritten / WRITE_BYTES_PER_SECOND) * 1000;
    if (owedMs >= PAUSE_MS_MIN) {
      await clock.sleep(owedMs, closing.signal);
      owedMs = 0;
    } else {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (closing.signal.aborted) throw new Stopped();
  }

  return {
    status: () => ({ ...status }),
    lookSoon: () => void (surveyedMs = -Infinity),
    async close() {
      closing.abort();
      timer.cancel();
      await running;
    },
  };
}

/** How much of a part of a partition lies above the log start, by its offsets. */
function liveShare({ firstOffset, lastOffset }: Range, logStart: number): number {
  return (lastOffset - Math.max(firstOffset, logStart) + 1) / (lastOffset - firstOffset + 1);
}
