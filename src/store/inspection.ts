// Is a LevelDB folder what it was when it was written? Asked before LevelDB opens it, because that opens a folder without
// its MANIFEST as an empty one, removes what it does not know, and may abort on what is damaged.

import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isHeadwaterError, messageOf } from '../errors.ts';
import { readLogRecords, type LogFaults } from './files/log-file.ts';
import { readLiveFiles, type LiveFiles } from './files/manifest.ts';
import { readBlocks, readTableIndex, type BlockHandle } from './files/table-file.ts';

/** `structure` reads some KB: what there must be is there. `whole` reads all and checks every checksum. */
export type Depth = 'structure' | 'whole';

/** What is read at once: many small reads would cost more than their checksums. */
const RUN_BYTES = 128 * 1024;

export interface DataFile {
  name: string;
  number: number;
  kind: 'table' | 'log';
}

/** Tables and write-ahead logs of a LevelDB folder, in the order in which they were begun. */
export async function dataFilesIn(folder: string): Promise<DataFile[]> {
  const files: DataFile[] = [];
  for (const name of await readdir(folder)) {
    const [, number, ending] = /^(\d{6,15})\.(ldb|sst|log)$/.exec(name) ?? [];
    if (number !== undefined) files.push({ name, number: Number(number), kind: ending === 'log' ? 'log' : 'table' });
  }
  return files.toSorted((a, b) => a.number - b.number);
}

/**
 * What is wrong with the folder, undefined if nothing is, and the files that it has by its own account. `pause` is awaited between blocks, for a reader that shall not be
 * in anybody's way.
 */
export async function faultIn(
  folder: string,
  depth: Depth,
  pause?: (bytes: number) => Promise<void>,
): Promise<{ fault?: string; live?: LiveFiles }> {
  try {
    const live = await readLiveFiles(folder);
    const fault = await faultAmong(live, folder, depth, pause);
    return fault === undefined ? { live } : { fault };
  } catch (error) {
    if (isFault(error)) return { fault: messageOf(error) };
    throw error;
  }
}

async function faultAmong(
  live: LiveFiles,
  folder: string,
  depth: Depth,
  pause?: (bytes: number) => Promise<void>,
): Promise<string | undefined> {
  const files = await dataFilesIn(folder);
  if (!files.some(({ kind, number }) => kind === 'log' && number >= live.log)) return 'its write-ahead log is missing';
  for (const [number, { bytes }] of live.tables) {
    const found = files.find((each) => each.kind === 'table' && each.number === number);
    if (found === undefined) return `table ${number} is missing`;
    const fault = await withFile(join(folder, found.name), (file) => faultInTable(file, bytes, depth, pause));
    if (fault !== undefined) return `${found.name}: ${fault}`;
  }
  for (const { name, kind } of depth === 'whole' ? files : []) {
    const fault = kind === 'log' ? await withFile(join(folder, name), faultInLog) : undefined;
    if (fault !== undefined) return `${name}: ${fault}`;
  }
  return undefined;
}

/** True for what a damaged file throws, other than a machine that is out of something. */
export function isFault(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return isHeadwaterError(error) || ['ENOENT', 'EIO', 'EISDIR', 'ENOTDIR'].includes(code ?? '');
}

async function faultInTable(
  file: FileHandle,
  bytes: number,
  depth: Depth,
  pause: ((bytes: number) => Promise<void>) | undefined,
): Promise<string | undefined> {
  const { size } = await file.stat();
  if (size !== bytes) return `${size} bytes where ${bytes} were written`;
  try {
    const blocks = await readTableIndex(file);
    for (const run of depth === 'whole' ? runsOf(blocks) : []) {
      await readBlocks(file, run);
      await pause?.(run.reduce((sum, { size }) => sum + size, 0));
    }
    return undefined;
  } catch (error) {
    if (isHeadwaterError(error)) return error.message;
    throw error;
  }
}

/** Blocks that are read together. */
function* runsOf(blocks: BlockHandle[]): Generator<BlockHandle[], void, void> {
  let run: BlockHandle[] = [];
  let bytes = 0;
  for (const block of blocks) {
    run.push(block);
    bytes += block.size;
    if (bytes < RUN_BYTES) continue;
    yield run;
    run = [];
    bytes = 0;
  }
  if (run.length > 0) yield run;
}

async function faultInLog(file: FileHandle): Promise<string | undefined> {
  const faults: LogFaults = {};
  for await (const record of readLogRecords(file, faults)) void record;
  return faults.damage;
}

export async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, 'r');
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
