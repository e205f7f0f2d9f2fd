// A segment that is written, or that is full and not sealed yet, with what is in it: the part of the catalogue that is
// still in memory. After a crash it is rebuilt from the segment's batches.

import { isHeadwaterError } from '../errors.ts';
import type { Describe, Described, Range, Segment, UnsureTime } from './segment.ts';
import type { BatchWrite, RecoverHooks } from './contract.ts';

const BATCH_OVERHEAD_BYTES = 56;

export interface OpenSegment {
  segment: Segment;
  ranges: Map<number, Range>;
  /** Value bytes plus 56 for each batch: what LevelDB's memtable has taken. */
  fillBytes: number;
  batches: number;
  bytes: number;
  /** Written without any batch since the last batch. */
  markBytes: number;
  /** It takes no more, though it has room: marks have filled it, or it was ended early. */
  isFull: boolean;
  hasMarks: boolean;
}

export function emptyOpen(segment: Segment): OpenSegment {
  return {
    segment,
    ranges: new Map(),
    fillBytes: 0,
    batches: 0,
    bytes: 0,
    markBytes: 0,
    isFull: false,
    hasMarks: false,
  };
}

export interface Scanned {
  open: OpenSegment;
  commit: number;
  /** What should lie between the batches of a partition, and does not. */
  holes: { partition: number; firstOffset: number; lastOffset: number }[];
}

/**
 * Rebuilds what was known of a segment from its batches, those that contradict themselves left out; undefined (and closed)
 * when nothing was ever written to it.
 */
export async function scanSegment(
  segment: Segment,
  { describe, visit }: Pick<RecoverHooks, 'describe' | 'visit'>,
): Promise<Scanned | undefined> {
  const commit = await segment.lastCommit();
  if (commit === undefined) {
    await segment.close();
    return undefined;
  }
  const open = emptyOpen(segment);
  const holes: Scanned['holes'] = [];
  await segment.scan((partition, lastOffset, value) => {
    const described = describedAs(lastOffset, value, describe);
    if (described === undefined) return;
    const { firstOffset } = described;
    const before = open.ranges.get(partition)?.lastOffset ?? firstOffset - 1;
    if (firstOffset <= before) return;
    if (firstOffset > before + 1) holes.push({ partition, firstOffset: before + 1, lastOffset: firstOffset - 1 });
    account(open, [{ partition, value, ...described }]);
    visit(partition, value);
  });
  open.hasMarks = true;
  open.isFull = await segment.isFull();
  return { open, commit, holes };
}

/** Undefined when the batch is not what its key says. */
function describedAs(lastOffset: number, value: Buffer, describe: Describe): Described | undefined {
  try {
    const described = describe(value);
    return described.lastOffset === lastOffset ? described : undefined;
  } catch (error) {
    if (isHeadwaterError(error)) return undefined;
    throw error;
  }
}

export function account(open: OpenSegment, batches: BatchWrite[]): void {
  open.hasMarks = true;
  if (batches.length > 0) open.markBytes = 0;
  for (const { partition, firstOffset, lastOffset, maxTimestampMs, unsure, value } of batches) {
    const bytes = value.length;
    open.fillBytes += bytes + BATCH_OVERHEAD_BYTES;
    open.bytes += bytes;
    open.batches += 1;
    const range = open.ranges.get(partition);
    if (range === undefined) {
      const times = unsure === undefined ? { maxTimestampMs } : { maxTimestampMs, unsure };
      open.ranges.set(partition, { partition, firstOffset, lastOffset, bytes, batches: 1, ...times });
      continue;
    }
    range.lastOffset = lastOffset;
    range.bytes += bytes;
    range.batches += 1;
    range.maxTimestampMs = Math.max(range.maxTimestampMs, maxTimestampMs);
    if (unsure !== undefined) range.unsure = laterOf(range.unsure, unsure);
  }
}

/** Boots follow one another: what a later one stamped came later, whatever its time says. */
function laterOf(known: UnsureTime | undefined, added: UnsureTime): UnsureTime {
  if (known === undefined || added.boot > known.boot) return added;
  return added.boot === known.boot && added.maxTimestampMs > known.maxTimestampMs ? added : known;
}
