// The data folder as files: who owns it, and what a crash may have left in it.

import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../clock.ts';
import { HeadwaterError, messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import type { Catalogue } from './catalogue.ts';
import { isCorrupt, isDiskFull, isLocked, syncFolder } from './level.ts';
import type { Range } from './segment.ts';
import { openTables } from './tables.ts';

/** Makes this process the owner of the folder: LevelDB's lock on the tables is the lock of all of it. */
export async function takeFolder(folder: string, clock: Clock, trace: Trace): ReturnType<typeof openTables> {
  try {
    await makeFolder(folder);
    const tables = await openTables(join(folder, 'tables'), clock, trace);
    await writeFile(join(folder, 'owner'), `${process.pid}\n`);
    return tables;
  } catch (error) {
    if (isLocked(error)) {
      const owner = await readFile(join(folder, 'owner'), 'utf8').catch(() => 'unknown');
      const message = `the data folder ${folder} is in use by process ${owner.trim()}: stop it, or set data.dir to another folder`;
      throw new HeadwaterError('STORE_LOCKED', message, { cause: error });
    }
    throw unavailable(folder, error);
  }
}

/** What a read that failed means to the rest of the house. */
export function unreadable(what: string, cause: unknown): HeadwaterError {
  const code = isCorrupt(cause) ? 'STORE_CORRUPT' : 'STORE_UNAVAILABLE';
  return new HeadwaterError(code, `reading ${what} failed: ${deepestMessage(cause)}`, { cause });
}

/**
 * Makes a folder and what is missing above it. Not by mkdir's own `recursive`: where a file system answers ENOENT although
 * the folder above is there, as /proc does, that tries for ever.
 */
async function makeFolder(folder: string, isParentThere = false): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || isParentThere) throw error;
    await makeFolder(dirname(folder));
    await makeFolder(folder, true);
  }
}

export function unavailable(folder: string, cause: unknown): HeadwaterError {
  const reason = isDiskFull(cause) ? 'the disk is full: free some space' : deepestMessage(cause);
  return new HeadwaterError('STORE_UNAVAILABLE', `the data folder ${folder} can't be written: ${reason}`, { cause });
}

function deepestMessage(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? deepestMessage(error.cause) : messageOf(error);
}

/** Folders that are not in the catalogue, in the order they were written; what a crash left half-made is removed. */
export async function findUnsealed(
  segmentsFolder: string,
  catalogue: Catalogue,
  trace: Trace,
  onLost: (ranges: Range[]) => Promise<void>,
): Promise<number[]> {
  const unsealed: number[] = [];
  const present = new Set<number>();
  const removed = new Set<number>();
  for (const name of await readdir(segmentsFolder)) {
    const path = join(segmentsFolder, name);
    const id = parseInt(name, 16);
    const isWhole = catalogue.has(id) || (await isFile(join(path, 'CURRENT')));
    if (!/^[0-9a-f]{8}$/.test(name) || !isWhole) {
      removed.add(id);
      await rm(path, { recursive: true, force: true });
      continue;
    }
    present.add(id);
    if (!catalogue.has(id)) unsealed.push(id);
  }
  for (const { id } of catalogue.sealed()) {
    if (present.has(id)) continue;
    if (!removed.has(id)) {
      trace.error('a segment of the catalogue is missing; its records are gone', { segment: id });
      await onLost(await catalogue.rangesIn(id));
    }
    await catalogue.remove(id);
  }
  await syncFolder(segmentsFolder);
  return unsealed.toSorted((a, b) => a - b);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
