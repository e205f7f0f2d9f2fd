// What one partition has read of the log and not yet settled upstream: a few batches, within the mirror's budget. Cuts
// the next piece to send out of them: one batch as it is stored, a part of it, or several small ones as one, because the
// protocol takes one batch a partition and a round trip, and a batch has to be worth its round trip. What goes upstream is
// committed: it ends where the oldest open transaction begins, and leaves out markers and what was aborted. Where compaction
// has taken records out, a piece has a record for each of its own offsets all the same: a broker takes no other.

import assert from 'node:assert';
import { isHeadwaterError } from '../errors.ts';
import {
  BatchBuilder,
  decodeRecords,
  encodeBatch,
  isDense,
  nextOffsetOf,
  readBatchHeader,
  sliceRecords,
} from '../formats/batch.ts';
import type { BatchHeader } from '../formats/batch.ts';
import type { Partition } from '../log/log.ts';
import type { Budget } from './budget.ts';

export interface Piece {
  /** Not stamped yet; may be the log's own buffer: never change it. */
  batch: Buffer;
  firstOffset: number;
  /** Where the next piece begins: behind the last record, and what compaction has left of others. */
  nextOffset: number;
  count: number;
  /** Stored bytes of the log's batches that it was cut from. */
  sourceBytes: number;
}

export interface CutLimits {
  /** Batches are put together up to about this size. */
  mergeBytes: number;
  recordsMax: number;
}

export interface Feed {
  /**
   * Makes sure that something is held from `offset` on, and says whether it is: false at the end of the log or after
   * `signal` aborted. Throws OFFSET_OUT_OF_RANGE when the log has removed it. What is held may begin behind `offset`, see
   * `firstOffset`: then the card has lost what was in between.
   */
  fill(offset: number, signal: AbortSignal): Promise<boolean>;
  firstOffset(): number | undefined;
  first(): BatchHeader | undefined;
  /** Cuts the piece that begins at `offset`. A number: nothing to send before that offset. Something must be held. */
  cut(offset: number, limits: CutLimits): Piece | number;
  /** Lets go of what lies before `offset`. */
  settle(offset: number): void;
  drop(): void;
  /** Time of the oldest record held. */
  oldestMs(): number | undefined;
}

interface Held {
  batch: Buffer;
  header: BatchHeader;
}

const READ_BYTES = 256 * 1024;
const MERGE_SIZE_HINT = 16 * 1024;

/** `isHeldBack`: batches that are not to be sent yet. What comes behind one is not held either. */
export function createFeed(
  partition: Partition,
  budget: Budget,
  isHeldBack: (header: BatchHeader) => boolean = () => false,
): Feed {
  let held: Held[] = [];

  /** Where data goes on behind those at the front that are none. */
  function endOfSkipped(batches: readonly Held[]): number {
    const skipped = batches.findIndex(({ header }) => partition.isData(header));
    return nextOffsetOf(batches.at(skipped < 0 ? -1 : skipped - 1)!.header);
  }

  /** The first batches held, as many as go together: without a gap, as offsets upstream are counted by records. */
  function adjacent(limits: CutLimits): Held[] {
    const together = [held[0]!];
    let bytes = held[0]!.batch.length;
    let count = held[0]!.header.recordCount;
    for (const next of held.slice(1)) {
      bytes += next.batch.length;
      count += next.header.recordCount;
      if (bytes > limits.mergeBytes || count > limits.recordsMax || !partition.isData(next.header)) break;
      if (next.header.baseOffset !== nextOffsetOf(together.at(-1)!.header)) break;
      together.push(next);
    }
    return together;
  }

  function settle(offset: number): void {
    let passed = 0;
    let bytes = 0;
    for (const { batch, header } of held) {
      if (nextOffsetOf(header) > offset) break;
      passed += 1;
      bytes += batch.length;
    }
    if (passed === 0) return;
    held.splice(0, passed);
    budget.adjust(-bytes);
  }

  return {
    settle,
    async fill(offset, signal) {
      settle(offset);
      if (held.length > 0 && held[0]!.header.baseOffset <= offset && offset >= partition.logStart) return true;
      // The position went back: what is held comes later.
      settle(Infinity);
      if (partition.lastStableOffset <= offset || !(await budget.take(READ_BYTES, signal))) return false;
      let bytes = 0;
      try {
        const batches = await partition.readStable(offset, READ_BYTES);
        held = batches.map((batch) => ({ batch, header: readBatchHeader(batch) }));
        // The first one is the caller's to wait for: once it may go it is read again, as its times may be known by then.
        const stop = held.findIndex(({ header }, index) => index > 0 && isHeldBack(header));
        if (stop !== -1) held = held.slice(0, stop);
        bytes = held.reduce((sum, { batch }) => sum + batch.length, 0);
      } finally {
        budget.adjust(bytes - READ_BYTES);
      }
      return held.length > 0;
    },
    firstOffset: () => held[0]?.header.baseOffset,
    first: () => held[0]?.header,
    cut(offset, limits) {
      const [first] = held;
      assert(
        first !== undefined && first.header.baseOffset <= offset && offset < nextOffsetOf(first.header),
        'it is held',
      );
      if (!partition.isData(first.header)) return endOfSkipped(held);
      if (first.header.baseOffset === offset && first.header.recordCount <= limits.recordsMax) {
        return merge(adjacent(limits));
      }
      return isDense(first.header) ? slice(first, offset, limits) : pick(first, offset, limits);
    },
    drop() {
      settle(Infinity);
    },
    oldestMs: () => held[0]?.header.baseTimestampMs,
  };
}

function slice({ batch, header }: Held, offset: number, { recordsMax }: CutLimits): Piece {
  const end = Math.min(nextOffsetOf(header), offset + recordsMax);
  const part = sliceRecords(batch, offset, end);
  return { batch: part, firstOffset: offset, nextOffset: end, count: end - offset, sourceBytes: batch.length };
}

/** A part of a batch that has lost records. */
function pick({ batch, header }: Held, offset: number, { recordsMax }: CutLimits): Piece | number {
  const left = decodeRecords(batch).filter((record) => record.offset >= offset);
  if (left.length === 0) return nextOffsetOf(header);
  const taken = left.slice(0, recordsMax);
  const next = taken.length === left.length ? nextOffsetOf(header) : taken.at(-1)!.offset + 1;
  return {
    batch: encodeBatch(taken, { compression: 'auto' }),
    firstOffset: offset,
    nextOffset: next,
    count: taken.length,
    sourceBytes: batch.length,
  };
}

function merge(together: readonly Held[]): Piece {
  const isOne = together.length === 1 && isDense(together[0]!.header);
  const merged = isOne ? undefined : mergedBatch(together);
  const parts = merged === undefined ? together.slice(0, 1) : together;
  return {
    batch: merged ?? parts[0]!.batch,
    firstOffset: parts[0]!.header.baseOffset,
    nextOffset: nextOffsetOf(parts.at(-1)!.header),
    count: parts.reduce((sum, { header }) => sum + header.recordCount, 0),
    sourceBytes: parts.reduce((sum, { batch }) => sum + batch.length, 0),
  };
}

/** Undefined when one of them can't be decoded: a client wrote it so, and the upstream may say what it thinks of it. */
function mergedBatch(together: readonly Held[]): Buffer | undefined {
  const builder = new BatchBuilder(MERGE_SIZE_HINT);
  try {
    for (const { batch } of together) {
      for (const { timestampMs, key, value, headers } of decodeRecords(batch)) {
        builder.add(timestampMs, key, value, headers);
      }
    }
  } catch (error) {
    if (isHeadwaterError(error)) return undefined;
    throw error;
  }
  return builder.build({ compression: 'auto' });
}
