// What a LevelDB's CURRENT and MANIFEST say that there is, read without LevelDB: one that misses them opens empty, and
// removes the tables it does not know of. The MANIFEST is a log file of edits (db/version_edit.cc of LevelDB 1.20):
//
//   1 comparator: bytes      3 next file number       5 compact pointer: level, bytes        9 previous log's number
//   2 log's number           4 last sequence          6 deleted file: level, number
//   7 new file: level, number, size, smallest key, largest key
//
// with all numbers as varints of up to 64 bits.

import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isHeadwaterError } from '../../errors.ts';
import { ByteReader, corrupt } from '../../formats/bytes.ts';
import { readBytes, readLogRecords, userKey, type LogFaults } from './log-file.ts';

export interface LiveFiles {
  /** Size and lowest key of each table, by its number. */
  tables: Map<number, { bytes: number; smallest: Buffer }>;
  /** The write-ahead log; those before it are in the tables. */
  log: number;
}

/** The same without CURRENT, as far as the newest MANIFEST can be read; undefined where none can. */
export async function guessLiveFiles(folder: string): Promise<LiveFiles | undefined> {
  const newest = (await readdir(folder))
    .filter((name) => name.startsWith('MANIFEST-'))
    .toSorted()
    .at(-1);
  if (newest === undefined) return undefined;
  try {
    return await readManifest(folder, newest);
  } catch (error) {
    if (isHeadwaterError(error) || (error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
}

/** Throws FORMAT_TRUNCATED, FORMAT_CORRUPT, and what the file system throws where CURRENT or MANIFEST are missing. */
export async function readLiveFiles(folder: string): Promise<LiveFiles> {
  const current = await readFile(join(folder, 'CURRENT'), 'latin1');
  const name = /^(MANIFEST-\d{1,15})\n$/.exec(current)?.[1];
  if (name === undefined) throw corrupt('CURRENT names no MANIFEST');
  return readManifest(folder, name);
}

async function readManifest(folder: string, name: string): Promise<LiveFiles> {
  const file = await open(join(folder, name), 'r');
  try {
    const live: LiveFiles = { tables: new Map(), log: -1 };
    const faults: LogFaults = {};
    for await (const { bytes } of readLogRecords(file, faults)) applyEdit(live, bytes);
    // It is synced before CURRENT names it, and after each edit before what that says is relied on. A power cut may leave
    // the last edit cut; if it was synced, what it names would be removed as unknown.
    const fault = faults.damage ?? faults.tail;
    if (fault !== undefined) throw corrupt(`${name}: ${fault}`);
    if (live.log < 0) throw corrupt(`${name} names no log`);
    return live;
  } finally {
    await file.close();
  }
}

function applyEdit(live: LiveFiles, record: Buffer): void {
  const reader = new ByteReader(record);
  while (reader.remaining > 0) {
    const tag = reader.unsignedVarint();
    switch (tag) {
      case 1:
        readBytes(reader);
        break;
      case 2:
        live.log = readNumber(reader);
        break;
      case 3:
      case 4:
      case 9:
        readNumber(reader);
        break;
      case 5:
        reader.unsignedVarint();
        readBytes(reader);
        break;
      case 6:
        reader.unsignedVarint();
        live.tables.delete(readNumber(reader));
        break;
      case 7:
        readNewFile(live, reader);
        break;
      default:
        throw corrupt(`an edit with tag ${tag}`);
    }
  }
}

function readNewFile({ tables }: LiveFiles, reader: ByteReader): void {
  reader.unsignedVarint();
  const number = readNumber(reader);
  const bytes = readNumber(reader);
  const smallest = readBytes(reader);
  readBytes(reader);
  tables.set(number, { bytes, smallest: userKey(smallest) });
}

function readNumber(reader: ByteReader): number {
  let value = 0;
  for (let factor = 1; factor < 2 ** 63; factor *= 128) {
    const byte = reader.uint8();
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
  }
  throw corrupt('a number of more than 64 bits');
}
