// The entries of several tables as one sequence in order of keys, each key once, with its latest value. A table is only
// read when what it may hold is next: the one block that tells by itself, which is remembered, and then several blocks a read.

import type { FileHandle } from 'node:fs/promises';
import { allocateAlone, type Allocate } from '../../formats/bytes.ts';
import type { Entry } from './log-file.ts';
import { entriesOf, readBlocks, type BlockHandle } from './table-file.ts';

export interface Table {
  file: FileHandle;
  blocks: BlockHandle[];
  /** No key is below it. */
  smallest: Buffer;
}

export class Merge {
  readonly #cursors: Cursor[];
  readonly #runBytes: number;
  readonly #allocate: Allocate | undefined;
  #last: Buffer | undefined;

  /** Keys from `from` up to, not including, `to`; about `runBytes` are read at once, into what `allocate` gives. */
  constructor(tables: readonly Table[], from: Buffer, to: Buffer, runBytes: number, allocate?: Allocate) {
    this.#cursors = tables.map((table) => new Cursor(table, from, to)).filter((each) => !each.isDone);
    this.#runBytes = runBytes;
    this.#allocate = allocate;
  }

  /** The next entry, deletes among them; undefined when something has to be loaded first, or nothing is left. */
  next(): Entry | undefined {
    for (;;) {
      const first = this.#first();
      const entry = first?.entry;
      if (first === undefined || entry === undefined) return undefined;
      this.#step(first);
      if (this.#last !== undefined && entry.key.equals(this.#last)) continue;
      this.#last = entry.key;
      return entry;
    }
  }

  /**
   * The next entry, with what must be read for it; undefined when nothing is left. Reads little more than `bytesWanted`
   * at once. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT.
   */
  async load(bytesWanted = Infinity): Promise<Entry | undefined> {
    for (;;) {
      const entry = this.next();
      if (entry !== undefined) return entry;
      const first = this.#first();
      if (first === undefined) return undefined;
      const isAlone = this.#cursors.every((each) => each === first || each.isBehind(first));
      await first.load(isAlone, Math.min(this.#runBytes, bytesWanted), this.#allocate);
      if (first.isDone) this.#drop(first);
    }
  }

  /** The cursor that has the lowest key, or may have it when it is loaded. */
  #first(): Cursor | undefined {
    let first = this.#cursors[0];
    for (const each of this.#cursors) if (each !== first && each.isBefore(first!)) first = each;
    return first;
  }

  #step(cursor: Cursor): void {
    cursor.step();
    if (cursor.isDone) this.#drop(cursor);
  }

  #drop(cursor: Cursor): void {
    this.#cursors.splice(this.#cursors.indexOf(cursor), 1);
  }
}

/** A place in one table. */
class Cursor {
  /** Undefined: the next block is to be loaded. */
  entry: Entry | undefined;
  isDone = false;
  readonly #table: Table;
  readonly #from: Buffer;
  readonly #to: Buffer;
  /** Without an entry: no key that comes is below it. */
  #bound: Buffer;
  #block: number;
  #run: Buffer[] = [];
  #entries: Iterator<Entry> | undefined;
  #wasLoaded = false;

  constructor(table: Table, from: Buffer, to: Buffer) {
    this.#table = table;
    this.#from = from;
    this.#to = to;
    this.#bound = table.smallest.compare(from) > 0 ? table.smallest : from;
    this.#block = firstBlockUpTo(table.blocks, from);
    const known = table.blocks[this.#block]?.first;
    if (known !== undefined && known.from.compare(from) <= 0 && known.key.compare(from) >= 0) this.#bound = known.key;
    this.isDone = this.#block === table.blocks.length || this.#bound.compare(to) >= 0;
  }

  /** All that comes from here is behind what comes from `other`, though neither is loaded. */
  isBehind(other: Cursor): boolean {
    return (this.entry?.key ?? this.#bound).compare(other.#bound) > 0;
  }

  isBefore(other: Cursor): boolean {
    const order = (this.entry?.key ?? this.#bound).compare(other.entry?.key ?? other.#bound);
    if (order !== 0) return order < 0;
    // What may be the same key has to be seen before either is given.
    if (this.entry === undefined || other.entry === undefined) return this.entry === undefined;
    return this.entry.sequence > other.entry.sequence;
  }

  /** Moves on within what is loaded. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
  step(): void {
    for (;;) {
      const next = this.#entries?.next();
      if (next?.done === false) {
        const { key } = next.value;
        if (key.compare(this.#from) < 0) continue;
        this.isDone = key.compare(this.#to) >= 0;
        this.entry = next.value;
        return;
      }
      const block = this.#run.shift();
      if (block === undefined) break;
      this.#entries = entriesOf(block);
    }
    this.entry = undefined;
    this.#entries = undefined;
    const { blocks } = this.#table;
    const before = blocks[this.#block - 1];
    if (before !== undefined && before.lastKey.compare(this.#bound) > 0) this.#bound = before.lastKey;
    this.isDone = this.#block >= blocks.length || this.#bound.compare(this.#to) >= 0;
  }

  /** Loads what comes next: a run of blocks when that is known to begin here (`isAlone`), else the one block that tells. */
  async load(isAlone: boolean, runBytes: number, allocate: Allocate | undefined): Promise<void> {
    const { blocks, file } = this.#table;
    const first = blocks[this.#block]!;
    const isRun = isAlone || this.#wasLoaded || this.#bound !== this.#from;
    let end = this.#block + 1;
    while (isRun && end < blocks.length && blocks[end]!.offset + blocks[end]!.size - first.offset <= runBytes) {
      if (blocks[end - 1]!.lastKey.compare(this.#to) >= 0) break;
      end += 1;
    }
    this.#run = await readBlocks(file, blocks.slice(this.#block, end), allocate);
    this.#block = end;
    this.step();
    if (!isRun && this.entry !== undefined) first.first = { from: alone(this.#from), key: alone(this.entry.key) };
    this.#wasLoaded = true;
  }
}

/** The first block that may hold `key` or one above it. */
function firstBlockUpTo(blocks: BlockHandle[], key: Buffer): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (blocks[middle]!.lastKey.compare(key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The key is a view of all that was read, and outlives it. */
function alone(key: Buffer): Buffer {
  const copy = allocateAlone(key.length);
  key.copy(copy);
  return copy;
}
