// Which records of a compacted partition are superseded: those with a later record of the same key, and tombstones that have
// had their time. Only looked at, nothing is written. The memory is bounded: when there are more keys than the map holds,
// they are taken in classes, by their hash, and the partition is read once more for each; the answer is a bit a record.
//
// What supersedes lies below the last stable offset and is older than `compactionLagMinMs`; what was aborted supersedes
// nothing. What goes lies in sealed segments and below what a mirror still owes.

import { deleteHorizonOf, nextOffsetOf, readBatchHeader, type BatchHeader } from '../formats/batch.ts';
import { visitKeys } from '../formats/thinning.ts';
import type { Store } from '../store/store.ts';
import { classOf, digestOf, type KeyMap } from './key-map.ts';
import type { LogPartition } from './partition.ts';

export interface Superseded {
  /** Records were counted from here on. */
  readonly startOffset: number;
  /** Nothing goes from here on. */
  readonly endOffset: number;
  /** By the count of records from `startOffset` on. */
  isDead(ordinal: number): boolean;
  /** What the segments held, when they were looked at; undefined for another segment. */
  in(segment: number): Part | undefined;
}

export interface Part {
  /** Count of the records before it, and with it. */
  firstOrdinal: number;
  endOrdinal: number;
  /** Estimated by the share of the records of each batch. */
  deadBytes: number;
}

export interface LookNeeds {
  store: Pick<Store, 'read' | 'rangeAt'>;
  partition: Pick<LogPartition, 'number' | 'keptStart' | 'lastStableOffset' | 'isData'>;
  map: KeyMap;
  /** Nothing from here on may go: a mirror has not sent it. */
  pinnedOffset: number;
  /** What is younger supersedes nothing, and stays; Infinity: nothing is. */
  oldUntilMs: number;
  /** The latest time that the records of a batch can have. */
  latestOf: (header: BatchHeader) => number;
  /** Tombstones whose horizon lies before may go. */
  nowMs: number;
  /** Awaited between reads; throws to give up. */
  pace: (bytesRead: number) => Promise<void>;
}

const READ_BYTES = 256 * 1024;
/** 4 MiB of bits. Records beyond are not looked at before some of these are gone. */
const RECORDS_MAX = 2 ** 25;
const CLASSES_MAX = 1024;

type Visit = (batch: Buffer, header: BatchHeader) => boolean;

/** Throws what `pace` throws, STORE_CORRUPT and STORE_UNAVAILABLE. */
export async function lookForSuperseded(needs: LookNeeds): Promise<Superseded> {
  const { partition, map } = needs;
  const startOffset = partition.keptStart;
  const stableOffset = await firstYoung(needs, startOffset, partition.lastStableOffset);
  const endOffset = Math.min(stableOffset, needs.pinnedOffset);
  const marks = new Marks(startOffset, endOffset);
  for (let classes = 1; ;) {
    marks.clear();
    const done = await lookByClasses(needs, marks, stableOffset, classes);
    map.clear();
    if (done) return marks;
    classes *= 2;
    if (classes > CLASSES_MAX) throw new Error('more keys than can be looked at');
  }
}

/** False when a class has more keys than the map takes. */
async function lookByClasses(needs: LookNeeds, marks: Marks, stableOffset: number, classes: number): Promise<boolean> {
  for (let each = 0; each < classes; each += 1) {
    needs.map.clear();
    const isIn = (digest: Buffer): boolean => classOf(digest, classes) === each;
    if (!(await mapLatest(needs, marks.startOffset, stableOffset, isIn))) return false;
    await markDead(needs, marks, isIn, each === 0);
  }
  return true;
}

/** Where the first batch begins that is too young. */
async function firstYoung(needs: LookNeeds, from: number, to: number): Promise<number> {
  if (needs.oldUntilMs === Infinity) return to;
  let found = to;
  await walk(needs, from, to, (_, header) => {
    if (needs.latestOf(header) <= needs.oldUntilMs) return true;
    found = Math.max(from, header.baseOffset);
    return false;
  });
  return found;
}

async function mapLatest(
  needs: LookNeeds,
  from: number,
  to: number,
  isIn: (digest: Buffer) => boolean,
): Promise<boolean> {
  let hasRoom = true;
  await walk(needs, from, to, (batch, header) => {
    if (!needs.partition.isData(header)) return true;
    visitKeys(batch, ({ key, offset }) => {
      if (key === null || offset < from || offset >= to) return;
      const digest = digestOf(key);
      if (isIn(digest)) hasRoom &&= needs.map.put(digest, offset);
    });
    return hasRoom;
  });
  return hasRoom;
}

async function markDead(
  needs: LookNeeds,
  marks: Marks,
  isIn: (digest: Buffer) => boolean,
  isFirst: boolean,
): Promise<void> {
  const { store, partition } = needs;
  let ordinal = 0;
  for (let next = marks.startOffset; next < marks.endOffset;) {
    const range = await store.rangeAt(partition.number, next);
    if (range === undefined || !range.isSealed) return;
    const part = isFirst ? marks.begin(range.segment, ordinal) : marks.in(range.segment);
    if (!isFirst && part !== undefined) ordinal = part.firstOrdinal;
    const end = range.lastOffset + 1;
    await walk(needs, Math.max(next, range.firstOffset), end, (batch, header) => {
      const first = ordinal;
      ordinal += header.recordCount;
      if (ordinal > RECORDS_MAX) return false;
      if (part !== undefined && nextOffsetOf(header) <= marks.endOffset)
        markBatch(needs, marks, part, batch, header, first, isIn);
      return true;
    });
    if (ordinal > RECORDS_MAX) return marks.giveBack(range.segment);
    if (isFirst) part!.endOrdinal = ordinal;
    next = end;
  }
}

function markBatch(
  { map, partition, nowMs }: LookNeeds,
  marks: Marks,
  part: Part,
  batch: Buffer,
  header: BatchHeader,
  firstOrdinal: number,
  isIn: (digest: Buffer) => boolean,
): void {
  if (!partition.isData(header)) return;
  const horizonMs = deleteHorizonOf(header) ?? Infinity;
  const share = batch.length / Math.max(1, header.recordCount);
  let ordinal = firstOrdinal;
  visitKeys(batch, ({ key, offset, isTombstone }) => {
    const at = ordinal;
    ordinal += 1;
    if (key === null) return;
    const digest = digestOf(key);
    if (!isIn(digest)) return;
    const latest = map.get(digest);
    if (latest === undefined) return;
    // A tombstone goes when nothing is left that it speaks of.
    const isOver = isTombstone && horizonMs < nowMs && latest.offset === offset && !latest.isRepeated;
    if (latest.offset <= offset && !isOver) return;
    marks.set(at);
    part.deadBytes += share;
  });
}

/** Batches in order from the one that holds `from`, as long as `visit` says so, up to `to`. */
async function walk({ store, partition, pace }: LookNeeds, from: number, to: number, visit: Visit): Promise<void> {
  for (let next = from; next < to;) {
    const batches = await store.read(partition.number, next, READ_BYTES);
    if (batches.length === 0) return;
    let bytes = 0;
    for (const batch of batches) {
      const header = readBatchHeader(batch);
      if (header.baseOffset >= to) return;
      bytes += batch.length;
      if (!visit(batch, header)) return;
      next = nextOffsetOf(header);
    }
    await pace(bytes);
  }
}

class Marks implements Superseded {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly #parts = new Map<number, Part>();
  #bits = new Uint8Array(1024);

  constructor(startOffset: number, endOffset: number) {
    this.startOffset = startOffset;
    this.endOffset = endOffset;
  }

  begin(segment: number, firstOrdinal: number): Part {
    const part = { firstOrdinal, endOrdinal: firstOrdinal, deadBytes: 0 };
    this.#parts.set(segment, part);
    return part;
  }

  /** It has more records than can be counted. */
  giveBack(segment: number): void {
    this.#parts.delete(segment);
  }

  clear(): void {
    this.#parts.clear();
    this.#bits.fill(0);
  }

  set(ordinal: number): void {
    const at = ordinal >>> 3;
    if (at >= this.#bits.length) {
      const longer = new Uint8Array(Math.max(at + 1, this.#bits.length * 2));
      longer.set(this.#bits);
      this.#bits = longer;
    }
    this.#bits[at]! |= 1 << (ordinal & 7);
  }

  isDead(ordinal: number): boolean {
    return ((this.#bits[ordinal >>> 3] ?? 0) & (1 << (ordinal & 7))) !== 0;
  }

  in(segment: number): Part | undefined {
    return this.#parts.get(segment);
  }
}
