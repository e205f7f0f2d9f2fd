// Reading a sealed segment, without LevelDB: its table files never change, and plain reads with every checksum looked at
// can't end the process, as LevelDB's assertions and a mapped page that can't be read do. Nothing is written by it and
// nothing stays mapped; what an open segment takes of memory is the index of its tables.

import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadwaterError } from '../errors.ts';
import { corrupt } from '../formats/bytes.ts';
import type { Entry } from './files/log-file.ts';
import { entriesOf, readBlocks, readTableIndex, type BlockHandle } from './files/table-file.ts';
import { dataFilesIn, faultIn, type Depth } from './inspection.ts';
import { batchKey, COMMIT_KEY, decodeMarkKey, MARKS_END, MARKS_START } from './keys.ts';

const RUN_BYTES_MAX = 256 * 1024;

interface Table {
  file: FileHandle;
  blocks: BlockHandle[];
}

export class SealedSegment {
  readonly id: number;
  readonly #tables: Table[];

  private constructor(id: number, tables: Table[]) {
    this.id = id;
    this.#tables = tables;
  }

  /** Throws STORE_CORRUPT when the folder is not what it was, as far as `depth` looks. */
  static async open(id: number, folder: string, depth: Depth): Promise<SealedSegment> {
    const { fault, live } = await faultIn(folder, depth);
    if (fault !== undefined) throw new HeadwaterError('STORE_CORRUPT', fault);
    const tables: Table[] = [];
    try {
      for (const { name, number, kind } of await dataFilesIn(folder)) {
        // One that is not live is what a crash has left of a compaction.
        if (kind !== 'table' || live?.tables.has(number) !== true) continue;
        const file = await open(join(folder, name), 'r');
        const table: Table = { file, blocks: [] };
        tables.push(table);
        table.blocks = await readTableIndex(file);
      }
    } catch (error) {
      for (const { file } of tables) await file.close();
      throw error;
    }
    return new SealedSegment(id, tables);
  }

  /** Batches of one partition in order, from the one that holds `offset`, up to about `bytesMax`, at least one. */
  async read(partition: number, offset: number, bytesMax: number): Promise<Buffer[]> {
    const batches: Buffer[] = [];
    let bytes = 0;
    for await (const { value } of this.#entries(batchKey(partition, offset), batchKey(partition + 1, 0), bytesMax)) {
      if (value === undefined) throw corrupt('a batch that is deleted');
      if (batches.length > 0 && bytes + value.length > bytesMax) break;
      batches.push(value);
      bytes += value.length;
      if (bytes >= bytesMax) break;
    }
    return batches;
  }

  async marks(): Promise<Map<string, Buffer>> {
    const marks = new Map<string, Buffer>();
    for await (const { key, value } of this.#entries(MARKS_START, MARKS_END, RUN_BYTES_MAX)) {
      if (value !== undefined) marks.set(decodeMarkKey(key), value);
    }
    return marks;
  }

  /** Number of the last commit; undefined when it is not known. */
  async lastCommit(): Promise<number | undefined> {
    for await (const { key, value } of this.#entries(COMMIT_KEY, undefined, 1)) {
      return key.equals(COMMIT_KEY) && value !== undefined ? Number(value.readBigUInt64BE(0)) : undefined;
    }
    return undefined;
  }

  async close(): Promise<void> {
    for (const { file } of this.#tables) await file.close();
  }

  /** The latest entry of each key from `from` up to, not including, `to`, in order; deletes among them. */
  async *#entries(from: Buffer, to: Buffer | undefined, bytesHint: number): AsyncGenerator<Entry, void, void> {
    const cursors: Cursor[] = [];
    for (const table of this.#tables) {
      const cursor = new Cursor(table, from, to, Math.min(RUN_BYTES_MAX, bytesHint));
      if (await cursor.advance()) cursors.push(cursor);
    }
    let last: Buffer | undefined;
    while (cursors.length > 0) {
      const first = cursors.reduce((a, b) => (isBefore(b.entry!, a.entry!) ? b : a));
      const entry = first.entry!;
      if (last === undefined || !entry.key.equals(last)) yield entry;
      last = entry.key;
      if (!(await first.advance())) cursors.splice(cursors.indexOf(first), 1);
    }
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  const order = a.key.compare(b.key);
  return order < 0 || (order === 0 && a.sequence > b.sequence);
}

/** Walks the entries of one table within bounds, several blocks a read. */
class Cursor {
  entry: Entry | undefined;
  readonly #table: Table;
  readonly #from: Buffer;
  readonly #to: Buffer | undefined;
  readonly #runBytes: number;
  #block: number;
  #run: Buffer[] = [];
  #entries: Iterator<Entry> | undefined;

  constructor(table: Table, from: Buffer, to: Buffer | undefined, runBytes: number) {
    this.#table = table;
    this.#from = from;
    this.#to = to;
    this.#runBytes = runBytes;
    this.#block = firstBlockUpTo(table.blocks, from);
  }

  /** Moves to the next entry; false behind the last. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
  async advance(): Promise<boolean> {
    for (;;) {
      const next = this.#entries?.next();
      if (next?.done === false) {
        const entry = next.value;
        if (entry.key.compare(this.#from) < 0) continue;
        if (this.#to !== undefined && entry.key.compare(this.#to) >= 0) return false;
        this.entry = entry;
        return true;
      }
      if (this.#run.length === 0 && !(await this.#load())) return false;
      this.#entries = entriesOf(this.#run.shift()!);
    }
  }

  async #load(): Promise<boolean> {
    const { blocks, file } = this.#table;
    const first = blocks[this.#block];
    const before = blocks[this.#block - 1];
    if (first === undefined) return false;
    // All keys of the next block are above the last one of the block before.
    if (this.#to !== undefined && before !== undefined && before.lastKey.compare(this.#to) >= 0) return false;
    let end = this.#block + 1;
    while (end < blocks.length && blocks[end]!.offset + blocks[end]!.size - first.offset <= this.#runBytes) {
      if (this.#to !== undefined && blocks[end - 1]!.lastKey.compare(this.#to) >= 0) break;
      end += 1;
    }
    this.#run = await readBlocks(file, blocks.slice(this.#block, end));
    this.#block = end;
    return true;
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
