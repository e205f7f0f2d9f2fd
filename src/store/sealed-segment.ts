// Reading a sealed segment, without LevelDB: its table files never change, and plain reads with every checksum looked at
// can't end the process, as LevelDB's assertions and a mapped page that can't be read do. Nothing is written by it and
// nothing stays mapped; what an open segment takes of memory is the index of its tables.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadwaterError } from '../errors.ts';
import { corrupt, type Allocate } from '../formats/bytes.ts';
import { Merge, type Table } from './files/merge.ts';
import { readTableIndex } from './files/table-file.ts';
import { dataFilesIn, faultIn, type Depth } from './inspection.ts';
import { batchKey, COMMIT_KEY, decodeMarkKey, MARKS_END, MARKS_START } from './keys.ts';

/** First key after the one of the commit. */
const AFTER_COMMIT = Buffer.concat([COMMIT_KEY, Buffer.of(0)]);
const RUN_BYTES_MAX = 256 * 1024;
/** Where the reader lends the memory: fewer reads, each of which waits for a thread. */
const LENT_RUN_BYTES_MAX = 1000 * 1024;

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
        const table: Table = { file, blocks: [], smallest: live.tables.get(number)!.smallest };
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
  async read(partition: number, offset: number, bytesMax: number, allocate?: Allocate): Promise<Buffer[]> {
    const batches: Buffer[] = [];
    let bytes = 0;
    const merge = this.#merge(batchKey(partition, offset), batchKey(partition + 1, 0), bytesMax, allocate);
    while (bytes < bytesMax || batches.length === 0) {
      const entry = merge.next() ?? (await merge.load(bytesMax - bytes));
      if (entry === undefined) break;
      const { value } = entry;
      if (value === undefined) throw corrupt('a batch that is deleted');
      if (batches.length > 0 && bytes + value.length > bytesMax) break;
      batches.push(value);
      bytes += value.length;
    }
    return batches;
  }

  async marks(): Promise<Map<string, Buffer>> {
    const marks = new Map<string, Buffer>();
    const merge = this.#merge(MARKS_START, MARKS_END, RUN_BYTES_MAX);
    for (let entry; (entry = merge.next() ?? (await merge.load())) !== undefined;) {
      if (entry.value !== undefined) marks.set(decodeMarkKey(entry.key), entry.value);
    }
    return marks;
  }

  /** Number of the last commit; undefined when it is not known. */
  async lastCommit(): Promise<number | undefined> {
    const value = (await this.#merge(COMMIT_KEY, AFTER_COMMIT, 1).load())?.value;
    return value === undefined ? undefined : Number(value.readBigUInt64BE(0));
  }

  async close(): Promise<void> {
    for (const { file } of this.#tables) await file.close();
  }

  #merge(from: Buffer, to: Buffer, bytesHint: number, allocate?: Allocate): Merge {
    const runBytesMax = allocate === undefined ? RUN_BYTES_MAX : LENT_RUN_BYTES_MAX;
    return new Merge(this.#tables, from, to, Math.min(runBytesMax, bytesHint), allocate);
  }
}
