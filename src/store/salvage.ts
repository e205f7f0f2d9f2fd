// Everything in a LevelDB folder that can still be read, whatever its CURRENT and MANIFEST say: each table and each
// write-ahead log by itself, block by block. What is damaged costs the blocks it lies in, and of those only the entries
// that the caller does not recognise as whole.

import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isHeadwaterError } from '../errors.ts';
import { readLogRecords, readWriteBatch, type Entry, type LogFaults } from './files/log-file.ts';
import { guessLiveFiles, type LiveFiles } from './files/manifest.ts';
import { entriesOf, findBlocks, readBlock, readDamagedBlock, readTableIndex } from './files/table-file.ts';
import { dataFilesIn, withFile, type DataFile } from './inspection.ts';

/** Of a folder that was just made. */
const FIRST_LOG = 3;

/** `isSure` is false for entries of a block whose checksum is wrong. Views: keep copies. */
export type Found = Entry & { isSure: boolean };

/**
 * Hands every entry that is found to `take`, file by file, old ones and deletes among them. True when there may have been
 * others of which not even the key is left.
 */
export async function salvage(folder: string, take: (found: Found) => Promise<void> | void): Promise<boolean> {
  const files = await dataFilesIn(folder);
  const live = await guessLiveFiles(folder);
  let isBlind = isAnyMissing(files, live);
  const onBlind = (): void => void (isBlind = true);
  for (const { name, kind, number } of files) {
    const tableBytes = live?.tables.get(number)?.bytes;
    await withFile(join(folder, name), async (file) => {
      const entries = kind === 'log' ? entriesOfLog(file, onBlind) : entriesOfTable(file, tableBytes, onBlind);
      for await (const found of entries) await take(found);
    });
  }
  return isBlind;
}

function isAnyMissing(files: DataFile[], live: LiveFiles | undefined): boolean {
  const tables = new Set(files.filter(({ kind }) => kind === 'table').map(({ number }) => number));
  const logs = files.filter(({ kind }) => kind === 'log').map(({ number }) => number);
  const [log] = logs;
  if (log === undefined) return true;
  if (live !== undefined) return [...live.tables.keys()].some((number) => !tables.has(number));
  // Numbers are given one after the other: to the new log and then to the table of the one before, or the other way round.
  return logs.length === 1 && log > FIRST_LOG && !tables.has(log - 1) && !tables.has(log + 1);
}

async function* entriesOfLog(file: FileHandle, onBlind: () => void): AsyncGenerator<Found, void, void> {
  const faults: LogFaults = {};
  for await (const { bytes, isSure } of readLogRecords(file, faults)) {
    try {
      for (const entry of readWriteBatch(bytes)) yield { ...entry, isSure };
    } catch (error) {
      if (!isHeadwaterError(error)) throw error;
      onBlind();
    }
  }
  if (faults.isBlind === true) onBlind();
}

async function* entriesOfTable(
  file: FileHandle,
  tableBytes: number | undefined,
  onBlind: () => void,
): AsyncGenerator<Found, void, void> {
  let before: Buffer | undefined;
  // By the table's index; without one, as far as the blocks can be told one after the other.
  for (const handle of (await unlessDamaged(readTableIndex(file))) ?? (await findBlocks(file, tableBytes, onBlind))) {
    const block = await unlessDamaged(readBlock(file, handle));
    if (block === undefined) {
      for await (const entry of readDamagedBlock(file, handle, before, onBlind)) yield { ...entry, isSure: false };
    } else {
      for (const entry of entriesOf(block)) yield { ...entry, isSure: true };
    }
    before = handle.lastKey;
  }
}

async function unlessDamaged<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isHeadwaterError(error)) return undefined;
    throw error;
  }
}
