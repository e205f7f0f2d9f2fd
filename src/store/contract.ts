// What the store takes and gives, in types: batches and small rows, what it must be told about them, and the store itself.

import type { Allocate } from '../formats/bytes.ts';
import type { Clock } from '../clock.ts';
import type { Trace } from '../trace.ts';
import type { LocatedRange, SealedRow } from './catalogue.ts';
import type { Space } from './disk-room.ts';
import type { Cleaned, CleaningRun } from './cleaning.ts';
import type { Gap } from './gaps.ts';
import type { SetAside } from './quarantine.ts';
import type { ScrubStatus } from './scrub.ts';
import type { Describe, Range, UnsureTime } from './segment.ts';

/** One encoded batch on its way to the card. `value` belongs to the store until `write` settles. */
export interface BatchWrite {
  /** The store's number of the partition: unique for ever, below 0xff000000. */
  partition: number;
  firstOffset: number;
  lastOffset: number;
  /** Largest record timestamp in the batch, ms; -1 where it is in `unsure`. */
  maxTimestampMs: number;
  unsure?: UnsureTime;
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

export interface Store {
  readonly tables: Tables;
  /** Reads what was not sealed before the last stop and makes the store writable. Called once, before anything else. */
  recover(hooks: RecoverHooks): Promise<void>;
  /**
   * One atomic write, on the card when it resolves; one at a time. Rejects (STORE_UNAVAILABLE) only after `giveUp`: then
   * it is there wholly or not at all.
   */
  write(batches: BatchWrite[], marks: Change[]): Promise<void>;
  /**
   * Batches from the one that holds `offset` (or the next one there is), up to about `bytesMax`, at least one. What is
   * damaged becomes a gap, and is not among them. They may lie in memory that `allocate` has given: as long as that is
   * the caller's they are as they were. Throws STORE_CORRUPT, STORE_UNAVAILABLE.
   */
  read(partition: number, offset: number, bytesMax: number, allocate?: Allocate): Promise<Buffer[]>;
  /** The segment's part of a partition that holds `offset`, or else the next one; undefined behind the end. */
  rangeAt(partition: number, offset: number): Promise<LocatedRange | undefined>;
  /** What the store holds of all partitions: first what is not sealed, then the sealed ranges of a partition in order. */
  allRanges(): AsyncIterable<LocatedRange>;
  marks(prefix: string): Iterable<[key: string, value: Buffer]>;
  /** Sealed segments, oldest first. */
  sealed(): SealedRow[];
  rangesIn(id: number): Promise<Range[]>;
  /** Resolves when all segments that were full at the call are sealed, or the store closes; at once if there is none. */
  whenSealed(): Promise<void>;
  /** Removes a sealed segment; its space is free on return. */
  remove(id: number): Promise<void>;
  /** Writes what is still needed of some sealed segments into a new one; see cleaning.ts. */
  clean(run: CleaningRun): Promise<Cleaned | undefined>;
  /** The next write is the last one into its segment, however full that is. */
  rollSoon(): void;
  /** What is in the segment that is written. */
  written(): Range[];
  /** A segment holds so many bytes of batches at most. */
  readonly segmentBytesMax: number;
  /** What the card has lost: ranges of offsets, by partition. At most 1000. */
  gaps(): Gap[];
  /** How many were forgotten since the start, for there were too many. */
  gapsForgotten(): number;
  /** Records say so of these. */
  gapsTold(gaps: readonly Gap[]): Promise<void>;
  /** Adds ranges that the caller knows to be lost, those parts that are not known yet. Durable on return. */
  addGaps(found: Pick<Gap, 'partition' | 'firstOffset' | 'lastOffset'>[], reason: string): Promise<void>;
  /** The gap of a tail that was lost is durable: the next start does not tell it again. */
  settleTail(): Promise<void>;
  /** Forgets gaps below what can be read, and what the operator has removed of the quarantine; `logStart` is undefined for a partition that is gone. */
  pruneGaps(logStart: (partition: number) => number | undefined): Promise<void>;
  /** Folders that were set aside, oldest first. */
  quarantine(): SetAside[];
  /** Removes the folder that was set aside first; false when there is none. */
  removeQuarantined(): Promise<boolean>;
  /** What was read through since the start to find damage. */
  scrubbed(): ScrubStatus;
  /** What lies in the folder, and the room left under it. */
  space(): Space;
  /** Measures it. */
  measure(): Promise<void>;
  /** Why the card refuses writes at present. */
  failure(): string | undefined;
  /** Resolves when the card answers a read of what lies on it. Rejects with what the file system says. */
  proveReadable(): Promise<void>;
  /** Before closing: from here on a write that fails is not repeated until it is there, it rejects, and so do all after it. */
  giveUp(): void;
  close(): Promise<void>;
}

export interface StoreNeeds {
  folder: string;
  clock: Clock;
  trace: Trace;
  /** LevelDB's memtable; a segment is sealed at 4.5 times this. Default 8 MiB; tests use less. */
  writeBufferBytes?: number;
  /** Size of the ballast, see ballast.ts; 0: none. Default four memtables. */
  ballastBytes?: number;
}
