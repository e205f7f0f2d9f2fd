// What the log says of itself.

import type { Store } from '../store/store.ts';
import type { Cleaner, CleaningStatus } from './cleaner.ts';
import type { Commits } from './commits.ts';
import type { Drops } from './drops.ts';
import type { Freeing } from './freeing.ts';
import type { GapsRoom, Losses } from './gaps.ts';
import type { Outlook, OutlookRoom } from './outlook.ts';
import type { Bound, Room } from './room.ts';
import { countIn } from './stability.ts';
import type { TopicSet } from './topic-set.ts';

export interface LogStatus {
  topics: number;
  partitions: number;
  /** Stored bytes of all batches, and of the data folder as far as the store knows. */
  bytes: number;
  diskBytes: number;
  budgetBytes: number;
  segments: number;
  appended: { records: number; bytes: number; batches: number };
  read: { bytes: number };
  commits: { count: number; bytes: number; seconds: number; lastMs: number; worstMs: number };
  /** Commits that may start at once, see commit.burst. */
  credits: number;
  waitingBytes: number;
  /**
   * `ok`, or why appends are refused at present: `full` is the budget, `read-only` a disk that others have filled, `failing` a
   * card that answers writes with errors.
   */
  state: 'ok' | 'full' | 'read-only' | 'failing';
  reason?: string;
  room: Outlook & {
    /** Bytes that records may still take before publishers are held back, and may take in all by the budget. */
    leftBytes: number;
    recordBytesMax: number;
    /** Of the disk under the folder. */
    freeBytes?: number;
    /** What is kept back on the disk, and what is to be. */
    ballastBytes: number;
    ballastTargetBytes: number;
  };
  /** What the budget has dropped of topics with `whenFull: drop-oldest`, over restarts. */
  dropped: { records: number; batches: number; bytes: number };
  /** The part of that which a mirror had not sent, since the start. */
  droppedUnsent: { batches: number; bytes: number };
  /** What the card has lost, and what is set aside for that. */
  losses: { gaps: number; records: number; forgotten: number; quarantineBytes: number };
  /** Open, and aborted ones that readers still meet; each counted in every partition where it is. */
  transactions: { open: number; aborted: number };
  /** Read through slowly since the start, to find damage. */
  scrubbed: { segments: number; bytes: number; damaged: number };
  /** What was cleaned since the start, see cleaner.ts. */
  cleaned: CleaningStatus;
}

export interface LogStatusNeeds {
  topics: TopicSet;
  commits: Commits;
  store: Store;
  room: Room;
  outlook: OutlookRoom;
  freeing: Freeing;
  drops: Drops;
  gaps: GapsRoom | undefined;
  cleaner: Cleaner;
  budgetBytes: number;
  appended: LogStatus['appended'];
  read: LogStatus['read'];
}

export function logStatusOf(needs: LogStatusNeeds): LogStatus {
  const { topics, commits, store, room, outlook, freeing, drops, gaps, budgetBytes, appended, read } = needs;
  const { count, bytes: commitBytes, seconds, lastMs, worstMs } = commits.counters;
  const { usedBytes, freeBytes, ballastBytes, ballastTargetBytes } = store.space();
  let bytes = 0;
  for (const partition of topics.partitions.values()) bytes += partition.bytes;
  return {
    topics: topics.count(),
    partitions: topics.partitions.size,
    bytes,
    diskBytes: usedBytes,
    budgetBytes,
    segments: store.sealed().length + 1,
    appended: { ...appended },
    read: { ...read },
    commits: { count, bytes: commitBytes, seconds, lastMs, worstMs },
    credits: Math.min(commits.credits(), Number.MAX_SAFE_INTEGER),
    waitingBytes: commits.waitingBytes(),
    ...stateOf(store.failure(), room.refusal()),
    room: {
      leftBytes: room.leftBytes(),
      recordBytesMax: room.recordBytesMax(),
      ...(freeBytes !== undefined && { freeBytes }),
      ballastBytes,
      ballastTargetBytes,
      ...outlook.status(),
    },
    dropped: droppedBy(drops),
    droppedUnsent: { ...freeing.freed.droppedUnsent },
    losses: summaryOf(gaps?.losses() ?? { gaps: [], forgotten: 0, quarantine: [] }),
    transactions: countIn(topics.partitions.values()),
    scrubbed: store.scrubbed(),
    cleaned: needs.cleaner.status(),
  };
}

function stateOf(
  failure: string | undefined,
  refusal: { bound: Bound; reason: string } | undefined,
): Pick<LogStatus, 'state' | 'reason'> {
  if (refusal !== undefined) return { state: refusal.bound === 'disk' ? 'read-only' : 'full', reason: refusal.reason };
  return failure === undefined ? { state: 'ok' } : { state: 'failing', reason: failure };
}

function droppedBy(drops: Drops): LogStatus['dropped'] {
  const all = drops.list();
  const sum = (of: (drop: (typeof all)[number]) => number): number => all.reduce((total, each) => total + of(each), 0);
  return {
    records: sum(({ firstOffset, lastOffset }) => lastOffset - firstOffset + 1),
    batches: sum(({ batches }) => batches),
    bytes: sum(({ bytes }) => bytes),
  };
}

function summaryOf({ gaps, forgotten, quarantine }: Losses): LogStatus['losses'] {
  const lost = gaps.filter(({ cause }) => cause === 'card');
  return {
    gaps: lost.length,
    records: lost.reduce((sum, { records }) => sum + records, 0),
    forgotten,
    quarantineBytes: quarantine.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
