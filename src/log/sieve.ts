// What cleaning leaves of one partition, batch by batch: pure, no I/O. Offsets and order never change. Where records go, the
// batch before is told to reach further, or an empty batch stands in their place: so what is missing on the card is always
// damage.
//
//   before   [0 1 2 3] [4 5] [6 7] [8 9]        1, 4, 5, 6, 7 are superseded
//   after    [0 - 2 3 - - - -      ] [8 9]      the batch before reaches to 7
//            [0 - 2 3] [- - - -] [8 9]          it has a producer, whose sequences end with it: an empty batch

import {
  decodeRecords,
  isControl,
  isTransactional,
  nextOffsetOf,
  readBatchHeader,
  unsureBootOf,
  type BatchHeader,
} from '../formats/batch.ts';
import { emptyBatch, extendBatch, thinBatch, withoutTransaction, type KeyedRecord } from '../formats/thinning.ts';
import type { Sieve } from '../store/store.ts';

const DELTA_MAX = 2 ** 31 - 1;

/** What lies below the log start goes; `logStart` is on the card. */
export function plainSieve(logStart: number): Sieve {
  return {
    startOffset: logStart,
    take: (batch) => (nextOffsetOf(readBatchHeader(batch)) <= logStart ? [] : [batch]),
    end: () => [],
  };
}

export interface CompactedSieveNeeds {
  logStart: number;
  /** Batches from here on stay as they are. */
  endOffset: number;
  /** True for a record that goes. Asked for each record of the batches below `endOffset`, in order. */
  isDead: (record: KeyedRecord) => boolean;
  /** Skipped without being asked: their records are counted all the same. */
  skip: (records: number) => void;
  /** False for what a transaction that was aborted has left. */
  isData: (header: BatchHeader) => boolean;
  /**
   * Nothing of the partition lies before this: then no transaction that ended here has a batch elsewhere, and markers of
   * commits go. What was committed loses its mark with them: it is a record as any other.
   */
  isFirst: boolean;
  /** Until when tombstones that are seen for the first time stay, ms. */
  horizonMs: number;
}

interface Hole {
  firstOffset: number;
  lastOffset: number;
  maxTimestampMs: number;
}

export function compactedSieve(needs: CompactedSieveNeeds): Sieve {
  let held: Buffer | undefined;
  let hole: Hole | undefined;

  function take(batch: Buffer): Buffer[] {
    const header = readBatchHeader(batch);
    const next = nextOffsetOf(header);
    if (next <= needs.logStart) return [];
    const kept = keptOf(batch, header);
    const isApart = hole !== undefined && hole.lastOffset + 1 !== header.baseOffset;
    const out = kept !== undefined || isApart ? flush() : [];
    if (kept !== undefined) held = kept;
    else if (hole === undefined) hole = holeOf(header);
    else hole = { ...hole, lastOffset: next - 1, maxTimestampMs: Math.max(hole.maxTimestampMs, header.maxTimestampMs) };
    return out;
  }

  function keptOf(batch: Buffer, header: BatchHeader): Buffer | undefined {
    const isWhole = nextOffsetOf(header) > needs.endOffset;
    if (isWhole || isControl(header) || !needs.isData(header)) {
      needs.skip(header.recordCount);
      if (isWhole) return batch;
      return isControl(header) && !(needs.isFirst && isCommit(batch)) ? batch : undefined;
    }
    // Where nobody knew the time a horizon is left to another time.
    const horizonMs = unsureBootOf(header) === undefined ? needs.horizonMs : NaN;
    const thinned = thinBatch(batch, (record) => !needs.isDead(record), horizonMs);
    return needs.isFirst && isTransactional(header) && thinned !== undefined ? withoutTransaction(thinned) : thinned;
  }

  function flush(): Buffer[] {
    const out = held === undefined ? [] : [held];
    if (hole !== undefined) {
      const reaching = held === undefined ? undefined : reach(held, hole);
      if (reaching === undefined) out.push(...emptyBatches(hole));
      else out[0] = reaching;
    }
    held = undefined;
    hole = undefined;
    return out;
  }

  return { take, end: flush };
}

function isCommit(marker: Buffer): boolean {
  return decodeRecords(marker).every(({ control }) => control === 'commit');
}

/** Undefined when it may not, or cannot, or does not lie beside it. */
function reach(batch: Buffer, { firstOffset, lastOffset }: Hole): Buffer | undefined {
  const header = readBatchHeader(batch);
  const isBeside = nextOffsetOf(header) === firstOffset && lastOffset - header.baseOffset <= DELTA_MAX;
  return isBeside && header.producerId < 0 && !isControl(header) ? extendBatch(batch, lastOffset) : undefined;
}

function emptyBatches({ firstOffset, lastOffset, maxTimestampMs }: Hole): Buffer[] {
  const batches: Buffer[] = [];
  for (let next = firstOffset; next <= lastOffset; next += DELTA_MAX + 1) {
    batches.push(emptyBatch(next, Math.min(lastOffset, next + DELTA_MAX), maxTimestampMs));
  }
  return batches;
}

function holeOf(header: BatchHeader): Hole {
  return {
    firstOffset: header.baseOffset,
    lastOffset: nextOffsetOf(header) - 1,
    maxTimestampMs: header.maxTimestampMs,
  };
}
