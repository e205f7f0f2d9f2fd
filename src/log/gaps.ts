// What the card has lost, in the words of topics: for the status, for whoever asks, and as records of the topic
// `headwater.gaps`, which a mirror takes upstream whatever else it takes. Each gap becomes one record at least (two after a
// crash at the wrong moment): key `topic/partition`, value
//
//   {"topic", "partition", "firstOffset", "lastOffset", "records", "reason", "at": time in ISO 8601}

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { encodeBatch } from '../formats/batch.ts';
import type { Gap, SetAside, Store } from '../store/store.ts';
import type { Trace } from '../trace.ts';
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
}

/** What is known of damage. */
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

export function openGaps({ store, partitions, ensureTopic, clock, trace, tellsGaps }: GapsNeeds): GapsRoom {
  let telling: Promise<void> | undefined;
  let isClosed = false;

  function inWords({ partition: number, firstOffset, lastOffset, reason, atMs }: Gap): LogGap | undefined {
    const partition = partitions.get(number);
    if (partition === undefined) return undefined;
    const records = lastOffset - firstOffset + 1;
    return { topic: partition.topic.name, partition: partition.index, firstOffset, lastOffset, records, reason, atMs };
  }

  async function tell(): Promise<void> {
    for (let untold; !isClosed && (untold = store.gaps().filter(({ isTold }) => isTold !== true)).length > 0;) {
      const records = untold.map(inWords).filter((each) => each !== undefined);
      if (records.length > 0) await ensureTopic(GAPS_TOPIC).partitions[0]!.append(encodeBatch(records.map(recordOf)));
      await store.gapsTold(untold);
    }
  }

  function recordOf({ atMs, ...gap }: LogGap): { timestampMs: number; key: Buffer; value: Buffer } {
    const key = Buffer.from(`${gap.topic}/${gap.partition}`);
    const value = Buffer.from(JSON.stringify({ ...gap, at: new Date(atMs).toISOString() }));
    return { timestampMs: clock.wallMs(), key, value };
  }

  return {
    losses() {
      const gaps = store.gaps().map(inWords);
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
    prune: () => store.pruneGaps((number) => partitions.get(number)?.logStart),
    async close() {
      isClosed = true;
      await telling;
    },
  };
}
