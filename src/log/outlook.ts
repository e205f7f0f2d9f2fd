// How long the room lasts, and how long a mirror needs for what it owes, at the pace of the last ten minutes. What may go
// when room is short does not count: it is full when what may not go fills all the room there is for records.

import type { Clock, Timer } from '../clock.ts';
import { isDeleted } from './cleanup.ts';
import type { LogPartition } from './partition.ts';
import type { Room } from './room.ts';

export interface Outlook {
  /** Bytes of records that may not go, whatever the need; and of those that a mirror has not sent. */
  keptBytes: number;
  owedBytes: number;
  /** Until publishers are held back; not there while what is kept does not grow. */
  fullSeconds?: number;
  /** Until mirrors have sent all; not there while what they owe does not shrink. */
  drainSeconds?: number;
}

export interface OutlookRoom {
  status(): Outlook;
  close(): void;
}

export interface OutlookNeeds {
  clock: Clock;
  partitions: ReadonlyMap<number, LogPartition>;
  lowestPinned: (partition: number) => number | undefined;
  room: Pick<Room, 'leftBytes' | 'recordBytesMax'>;
  usedBytes: () => number;
}

interface Sample {
  atMs: number;
  keptBytes: number;
  owedBytes: number;
}

const SAMPLE_MS = 10_000;
const SAMPLES_MAX = 61;
/** A pace of less time is chance. */
const SPAN_MS_MIN = 2 * SAMPLE_MS;

export function openOutlook(needs: OutlookNeeds): OutlookRoom {
  const { clock, partitions, room } = needs;
  const samples: Sample[] = [];
  const timer: Timer = clock.every(SAMPLE_MS, take);
  take();

  function take(): void {
    samples.push(look());
    if (samples.length > SAMPLES_MAX) samples.shift();
  }

  function look(): Sample {
    let keptBytes = 0;
    let owedBytes = 0;
    for (const partition of partitions.values()) {
      const { settings } = partition.topic;
      const unsent = unsentBytes(partition, needs.lowestPinned(partition.number));
      owedBytes += unsent ?? 0;
      if (settings.whenFull === 'drop-oldest') continue;
      keptBytes += unsent === undefined || !isDeleted(settings) ? partition.bytes : unsent;
    }
    return { atMs: clock.monotonicMs(), keptBytes, owedBytes };
  }

  return {
    status() {
      const now = look();
      const { keptBytes, owedBytes } = now;
      const first = samples[0]!;
      const seconds = (now.atMs - first.atMs) / 1000;
      if (seconds * 1000 < SPAN_MS_MIN) return { keptBytes, owedBytes };
      const growth = (keptBytes - first.keptBytes) / seconds;
      const drain = (first.owedBytes - owedBytes) / seconds;
      // The disk may have less for records than the budget.
      const bytesMax = Math.min(room.recordBytesMax(), needs.usedBytes() + room.leftBytes());
      return {
        keptBytes,
        owedBytes,
        ...(growth > 0 && { fullSeconds: Math.round(Math.max(0, bytesMax - keptBytes) / growth) }),
        ...(drain > 0 && owedBytes > 0 && { drainSeconds: Math.round(owedBytes / drain) }),
      };
    },
    close: () => timer.cancel(),
  };
}

/** By the share of its offsets, which is what is known without a look at the card; undefined where nobody mirrors it. */
function unsentBytes({ logStart, highWatermark, bytes }: LogPartition, pinned: number | undefined): number | undefined {
  if (pinned === undefined) return undefined;
  const offsets = highWatermark - logStart;
  return offsets === 0 ? 0 : (bytes * (highWatermark - Math.min(highWatermark, Math.max(pinned, logStart)))) / offsets;
}
