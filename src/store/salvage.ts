// Everything in a LevelDB folder that can still be read, whatever its CURRENT and MANIFEST say: each table and each
// write-ahead log by itself, block by block. What is damaged costs the blocks it lies in, and of those only the entries
// that the caller does not recognise as whole.

import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isHeadwaterError } from '../errors.ts';
import { readLogRecords, readWriteBatch, type Entry, type LogFaults } from './files/log-file.ts';
import {
  entriesOf,
  findBlocks,
  readBlock,
  readDamagedBlock,
  readTableIndex,
  type BlockHandle,
} from './files/table-file.ts';
import { dataFilesIn, withFile } from './inspection.ts';

/** `isSure` is false for entries of a block whose checksum is wrong. Views: keep copies. */
export type Found = Entry & { isSure: boolean };

/** Hands every entry that is found to `take`, file by file, old ones and deletes among them. */
export async function salvage(folder: string, take: (found: Found) => Promise<void> | void): Promise<void> {
  for (const { name, kind } of await dataFilesIn(folder)) {
    const entries = kind === 'log' ? entriesOfLog : entriesOfTable;
    await withFile(join(folder, name), async (file) => {
      for await (const found of entries(file)) await take(found);
    });
  }
}

async function* entriesOfLog(file: FileHandle): AsyncGenerator<Found, void, void> {
  const faults: LogFaults = {};
  for await (const { bytes, isSure } of readLogRecords(file, faults)) {
    try {
      for (const entry of readWriteBatch(bytes)) yield { ...entry, isSure };
    } catch (error) {
      if (!isHeadwaterError(error)) throw error;
    }
  }
}

async function* entriesOfTable(file: FileHandle): AsyncGenerator<Found, void, void> {
  let before: Buffer | undefined;
  for (const handle of await handlesOf(file)) {
    const block = await unlessDamaged(readBlock(file, handle));
    if (block === undefined) {
      for await (const entry of readDamagedBlock(file, handle, before)) yield { ...entry, isSure: false };
    } else {
      for (const entry of entriesOf(block)) yield { ...entry, isSure: true };
    }
    before = handle.lastKey;
  }
}

/** The table's blocks by its index; without one, as far as they can be told one after the other. */
async function handlesOf(file: FileHandle): Promise<BlockHandle[]> {
  return (await unlessDamaged(readTableIndex(file))) ?? findBlocks(file);
}

async function unlessDamaged<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isHeadwaterError(error)) return undefined;
    throw error;
  }
}
