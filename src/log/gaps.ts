// What the card has lost and what the budget has dropped, in the words of topics: for the status, for whoever asks, and as records of the topic
// `headwater.gaps`, which a mirror takes upstream whatever else it takes. Each gap becomes one record at least (two after a
// crash at the wrong moment): key `topic/partition`, value
//
//   {"topic", "partition", "firstOffset", "lastOffset", "records", "reason", "at": time in ISO 8601}

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { encodeBatch, type NewRecord } from '../formats/batch.ts';
import { clockHeader } from '../formats/clock-header.ts';
import type { Gap, SetAside, Store } from '../store/store.ts';
import type { Trace } from '../trace.ts';
import { DROP_REASON, type Drop, type Drops } from './drops.ts';
import type { Topic } from './log.ts';
import type { LogPartition } from './partition.ts';

export const GAPS_TOPIC = 'headwater.gaps';

export interface LogGap {
  topic: string;
  partition: number;
  firstOffset: number;
  lastOffset: number;
  /** Offsets in it: no fewer records than were lost. */
  records: number;
  reason: string;
  /** When it was found, by the wall clock. */
  atMs: number;
  /** The card has lost it, or the budget has dropped it. */
  cause: 'card' | 'budget';
}

/** What is known of damage, and of what was dropped. */
export interface Losses {
  /** By topic, partition and offset; 1000 at most. */
  gaps: LogGap[];
  /** Gaps that are not in the list, for there were too many. */
  forgotten: number;
  /** Damaged folders that were set aside, oldest first. */
  quarantine: SetAside[];
}

export interface GapsNeeds {
  store: Store;
  drops: Drops;
  partitions: ReadonlyMap<number, LogPartition>;
  ensureTopic: (name: string) => Topic;
  clock: Clock;
  trace: Trace;
  /** False: nothing is told. */
  tellsGaps: boolean;
}

export interface GapsRoom {
  losses(): Losses;
  /** Appends a record for each gap that has none, soon. */
  tellSoon(): void;
  /** Forgets what lies below the log start, and looks what was removed of the quarantine. */
  prune(): Promise<void>;
  close(): Promise<void>;
}

export function openGaps({ store, drops, partitions, ensureTopic, clock, trace, tellsGaps }: GapsNeeds): GapsRoom {
  let telling: Promise<void> | undefined;
  let isClosed = false;

  function inWords({ partition: number, firstOffset, lastOffset, reason, atMs }: Gap): LogGap | undefined {
    const partition = partitions.get(number);
    if (partition === undefined) return undefined;
    const records = lastOffset - firstOffset + 1;
    const { topic, index } = partition;
    return { topic: topic.name, partition: index, firstOffset, lastOffset, records, reason, atMs, cause: 'card' };
  }

  /** From an offset on: all that was dropped, or what was not told yet. */
  function dropInWords(drop: Drop, firstOffset: number): LogGap | undefined {
    const gap = inWords({ ...drop, firstOffset, reason: DROP_REASON });
    return gap === undefined ? undefined : { ...gap, cause: 'budget' };
  }

  async function tell(): Promise<void> {
    await tellLost();
    for (let untold; !isClosed && (untold = drops.list().filter(isUntold)).length > 0;) {
      await append(untold.map((drop) => dropInWords(drop, drop.toldTo)));
      await drops.told(untold);
    }
  }

  async function tellLost(): Promise<void> {
    for (let untold; !isClosed && (untold = store.gaps().filter(({ isTold }) => isTold !== true)).length > 0;) {
      await append(untold.map(inWords));
      await store.gapsTold(untold);
    }
  }

  async function append(found: (LogGap | undefined)[]): Promise<void> {
    const gaps = found.filter((each) => each !== undefined);
    if (gaps.length === 0) return;
    const batch = encodeBatch(gaps.map(recordOf));
    await ensureTopic(GAPS_TOPIC).partitions[0]!.append(batch, false, clock.doubt?.boot);
  }

  function recordOf(gap: LogGap): NewRecord {
    const { topic, partition, firstOffset, lastOffset, records, reason, atMs } = gap;
    const key = Buffer.from(`${topic}/${partition}`);
    const at = new Date(atMs).toISOString();
    const value = Buffer.from(JSON.stringify({ topic, partition, firstOffset, lastOffset, records, reason, at }));
    const timestampMs = clock.wallMs();
    const headers = clock.doubt === undefined ? [] : [clockHeader(clock.doubt, timestampMs)];
    return { timestampMs, key, value, headers };
  }

  return {
    losses() {
      const dropped = drops.list().map((drop) => dropInWords(drop, drop.firstOffset));
      const gaps = [...store.gaps().map(inWords), ...dropped];
      return {
        gaps: gaps.filter((each) => each !== undefined),
        forgotten: store.gapsForgotten(),
        quarantine: store.quarantine(),
      };
    },
    tellSoon() {
      if (isClosed || !tellsGaps) return;
      telling ??= tell()
        .catch((error: unknown) => trace.limited('gaps are not told yet', { reason: messageOf(error) }))
        .finally(() => {
          telling = undefined;
        });
    },
    async prune() {
      await store.pruneGaps((number) => partitions.get(number)?.keptStart);
      await drops.prune((number) => partitions.has(number));
    },
    async close() {
      isClosed = true;
      await telling;
    },
  };
}

function isUntold({ toldTo, lastOffset }: Drop): boolean {
  return toldTo <= lastOffset;
}
