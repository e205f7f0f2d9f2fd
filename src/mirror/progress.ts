// How far one partition has come, and what an answer of the upstream means for it: pure, no I/O, no time.
//
// Records are numbered by count. Under one producer id, the n-th record that was ever sent has sequence n (mod 2^31),
// whatever batches it travelled in; `origin` is a point where offset and sequence are known to belong together, and from
// there both grow by one with each record. Offsets without a record (a transaction's marker, what compaction has taken away)
// are passed over, and the origin is behind them then. The upstream remembers (producer id, last sequence), which is therefore an
// exact answer to "how many of my records do you hold".
//
//   settled    offset, sequence   every record before them lies upstream, on all replicas that must have it
//   in doubt   the next `count` records at most may lie there too: sent without an answer, or by a process that ended
//
// Only an acknowledgement or a read-back moves the settled point. One batch is in flight at a time, so that the records
// in doubt always begin there.

import assert from 'node:assert';

const SEQUENCE_COUNT = 2 ** 31;

export interface Point {
  offset: number;
  sequence: number;
}

export interface Doubt {
  /** At most so many records after the settled point. */
  count: number;
  /** True when they went out as one batch that this process can send again unchanged. */
  isWhole: boolean;
  /** True while a copy may still be on its way: no answer came to some attempt. */
  isStray: boolean;
}

export interface Progress {
  /** -1: none yet, the next batch needs one. */
  producerId: number;
  producerEpoch: number;
  /** True for an id taken over from the process before: it serves to settle what was in doubt, then goes. */
  isInherited: boolean;
  offset: number;
  sequence: number;
  origin: Point;
  /** No record at or after `offset` lies before this upstream offset. */
  upstreamOffset: number;
  doubt: Doubt | undefined;
}

/** What the upstream remembers of a producer. */
export interface Remembered {
  producerEpoch: number;
  lastSequence: number;
}

/**
 * What to do after the upstream was asked about records in doubt.
 *   resend   send the records in doubt again; for a whole batch that also holds when it is there already, since the
 *            repeated acknowledgement proves that it is safe
 *   ahead    it holds so many records beyond the settled point, not yet proven safe
 *   behind   it lost so many records that it had acknowledged
 *   absent   it remembers nothing: read back what it holds
 *   foreign  it holds what this node never sent under this id
 */
export type Verdict =
  | { kind: 'resend' }
  | { kind: 'ahead'; count: number }
  | { kind: 'behind'; count: number }
  | { kind: 'absent' }
  | { kind: 'foreign' };

/** A partition that was never mirrored, or whose past is settled: nothing in doubt, no producer id. */
export function startAt(offset: number): Progress {
  return {
    producerId: -1,
    producerEpoch: -1,
    isInherited: false,
    offset,
    sequence: 0,
    origin: { offset, sequence: 0 },
    upstreamOffset: 0,
    doubt: undefined,
  };
}

/** Takes a fresh producer id from the settled point on. `upstreamEnd` is the upstream's end before its first batch. */
export function adopt(progress: Progress, producerId: number, producerEpoch: number, upstreamEnd: number): void {
  assert(progress.doubt === undefined, 'what is in doubt is settled under the id it was sent with');
  progress.producerId = producerId;
  progress.producerEpoch = producerEpoch;
  progress.isInherited = false;
  progress.sequence = 0;
  progress.origin = { offset: progress.offset, sequence: 0 };
  progress.upstreamOffset = upstreamEnd;
}

/** Lets the producer id go, and with it all doubt: from here on nothing is known of what it may have left upstream. */
export function abandon(progress: Progress): void {
  progress.producerId = -1;
  progress.producerEpoch = -1;
  progress.isInherited = false;
  progress.doubt = undefined;
}

/** A batch of the next `count` records goes out, again or for the first time. */
export function onSend(progress: Progress, count: number): void {
  const before = progress.doubt;
  progress.doubt = {
    // What went out in another cut before may still arrive instead.
    count: Math.max(count, before?.count ?? 0),
    isWhole: before === undefined || (before.isWhole && before.count === count),
    isStray: true,
  };
}

/** The batch in flight, `count` records up to `nextOffset`, was acknowledged; `upstreamNext` is the offset after it, -1 if not known. */
export function onAck(progress: Progress, count: number, nextOffset: number, upstreamNext: number): void {
  move(progress, count, nextOffset);
  progress.upstreamOffset = Math.max(progress.upstreamOffset, upstreamNext);
  progress.doubt = undefined;
  if (progress.isInherited) abandon(progress);
}

/** The broker answered that it did not append the batch: what was in doubt before it was sent is in doubt still. */
export function onNotAppended(progress: Progress, before: Doubt | undefined): void {
  progress.doubt = before;
}

/** The broker answered, but the batch may lie in its log. */
export function onAnsweredUnknown(progress: Progress, before: Doubt | undefined): void {
  if (progress.doubt !== undefined) progress.doubt.isStray = before?.isStray ?? false;
}

/**
 * The read-back found that the next `count` records, up to `nextOffset` here, are safe upstream, the last one before
 * `upstreamNext`.
 */
export function onProven(progress: Progress, count: number, nextOffset: number, upstreamNext: number): void {
  const rest = progress.doubt === undefined ? 0 : progress.doubt.count - count;
  move(progress, count, nextOffset);
  progress.upstreamOffset = Math.max(progress.upstreamOffset, upstreamNext);
  // After a restart a stray copy may hold what follows; a whole batch that arrived leaves nothing behind.
  progress.doubt = progress.isInherited && rest > 0 ? { count: rest, isWhole: false, isStray: true } : undefined;
  if (progress.isInherited && progress.doubt === undefined) abandon(progress);
}

/**
 * The log continues at `offset` because the records before it are gone here. What follows goes under a fresh id: under
 * the present one a stray copy of what is gone could be taken for what follows.
 */
export function onGap(progress: Progress, offset: number): void {
  abandon(progress);
  progress.offset = offset;
}

/**
 * The upstream lost the last `count` records it had acknowledged. Goes back so far, or as far as this node still has
 * them (from `logStart` on), and returns how many are lost for good. `upstreamEnd` is where the upstream ends.
 */
export function onLost(progress: Progress, count: number, logStart: number, upstreamEnd: number): number {
  const back = Math.max(0, Math.min(count, progress.offset - Math.max(logStart, progress.origin.offset)));
  progress.offset -= back;
  progress.sequence = advance(progress.sequence, -count);
  progress.origin = { offset: progress.offset, sequence: progress.sequence };
  progress.upstreamOffset = upstreamEnd;
  progress.doubt = undefined;
  return count - back;
}

/** Reads the upstream's memory of the producer, undefined if it has none, against what is in doubt. */
export function judge(progress: Progress, remembered: Remembered | undefined): Verdict {
  if (remembered === undefined) return { kind: 'absent' };
  if (remembered.producerEpoch !== progress.producerEpoch) return { kind: 'foreign' };
  const ahead = distance(progress.sequence, advance(remembered.lastSequence, 1));
  const { count, isWhole } = progress.doubt ?? { count: 0, isWhole: false };
  if (ahead < 0) return { kind: 'behind', count: -ahead };
  if (ahead > count) return { kind: 'foreign' };
  return ahead === 0 || (isWhole && ahead === count) ? { kind: 'resend' } : { kind: 'ahead', count: ahead };
}

/** Up to `offset` there is no record: nothing to send, and nothing that the sequence counts. */
export function onPassed(progress: Progress, offset: number): void {
  move(progress, 0, offset);
}

function move(progress: Progress, count: number, nextOffset: number): void {
  const isSparse = nextOffset - progress.offset !== count;
  progress.offset = nextOffset;
  progress.sequence = advance(progress.sequence, count);
  if (isSparse) progress.origin = { offset: progress.offset, sequence: progress.sequence };
}

/** `sequence` and `count` records more, or less: 0 comes after 2^31-1. */
export function advance(sequence: number, count: number): number {
  return (((sequence + count) % SEQUENCE_COUNT) + SEQUENCE_COUNT) % SEQUENCE_COUNT;
}

/** How far `to` lies behind `from`; negative when it lies before it. */
export function distance(from: number, to: number): number {
  const ahead = (((to - from) % SEQUENCE_COUNT) + SEQUENCE_COUNT) % SEQUENCE_COUNT;
  return ahead >= SEQUENCE_COUNT / 2 ? ahead - SEQUENCE_COUNT : ahead;
}
