// What the store takes and gives, in types: batches and small rows, and what it must be told about them.

import type { Gap } from './gaps.ts';
import type { Describe } from './segment.ts';

/** One encoded batch on its way to the card. `value` belongs to the store until `write` settles. */
export interface BatchWrite {
  /** The store's number of the partition: unique for ever, below 0xff000000. */
  partition: number;
  firstOffset: number;
  lastOffset: number;
  /** Largest record timestamp in the batch, ms. */
  maxTimestampMs: number;
  value: Buffer;
}

/** A change of a mark or of a table's row; `null` removes it. */
export type Change = [key: string, value: Buffer | null];

/**
 * Small rows beside the log: topic definitions, MQTT sessions and retained messages, positions. Keys are strings; the
 * part before the first `/` names the table. Every write is synced, and writes that wait together share one sync.
 */
export interface Tables {
  get(key: string): Promise<Buffer | undefined>;
  /** All rows whose key starts with `prefix`, in key order, from the key `from` on. */
  entries(prefix: string, from?: string): AsyncIterable<[key: string, value: Buffer]>;
  /** Resolves when all the changes are on the card (all of them or, after a crash, none). */
  write(changes: Change[]): Promise<void>;
}

/** What the store must be told about the batches that it keeps. */
export interface RecoverHooks {
  describe: Describe;
  /** Sees each batch of the segments that were not sealed, oldest first. */
  visit: (partition: number, batch: Buffer) => void;
  /** Gaps that were not known before, durable already; also later than at the start. */
  onGaps: (gaps: Gap[]) => Promise<void>;
  /** What was written last is lost, and nobody knows how much it was: called once, at the end of the recovery. */
  onTailLost: (reason: string) => void;
  /** Marks to set afresh at each roll: a snapshot of what the reader of a segment's batches must know before them. */
  carry: () => Change[];
}
