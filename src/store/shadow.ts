// A closed data folder that is read without touching it: LevelDB has no way to open a folder for reading only, it writes
// at least a new MANIFEST. So a folder beside is made in which it may write: tables that the MANIFEST names, which LevelDB
// never changes, are links to the originals, and the few other files are copied. Works on a card that is mounted for
// reading only, and leaves a damaged one as it is.
//
// A table that the MANIFEST does not name, as a crash or a close in the middle of its making leaves it, must be a copy:
// LevelDB gives its number to the next table, and would write that through the link.

import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { HeadwaterError } from '../errors.ts';
import { BALLAST_FILE } from './ballast.ts';
import { readLiveFiles } from './files/manifest.ts';

export interface Shadow {
  readonly folder: string;
  /** Removes it; the original is not touched. */
  remove(): Promise<void>;
}

const TABLE = /^(\d+)\.(?:ldb|sst)$/;
/** Whose owner and diagnostics these are is of no use to another process. */
const LEFT_OUT = new Set(['owner', 'LOCK', 'LOG', 'LOG.old', BALLAST_FILE]);
/** LevelDB's own logs stay well below. */
const COPIED_BYTES_MAX = 64 * 1024 * 1024;

/** Throws USAGE where there is no log, STORE_LOCKED where a node has it open, and what the file system throws. */
export async function makeShadow(folder: string): Promise<Shadow> {
  await checkClosed(folder);
  const made = await mkdtemp(join(tmpdir(), 'headwater-shadow-'));
  const remove = (): Promise<void> => rm(made, { recursive: true, force: true });
  try {
    await shadow(resolve(folder), made);
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder: made, remove };
}

async function shadow(from: string, to: string): Promise<void> {
  const named = await namedTables(from);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      await mkdir(target);
      await shadow(source, target);
    } else if (entry.isFile() && !LEFT_OUT.has(entry.name)) {
      const number = TABLE.exec(entry.name)?.[1];
      if (number !== undefined && named.has(Number(number))) await symlink(source, target);
      else if ((await stat(source)).size <= COPIED_BYTES_MAX) await copyFile(source, target);
    }
  }
}

/** Numbers of the tables that are sure to stay as they are; none where there is no LevelDB, or a damaged one. */
async function namedTables(folder: string): Promise<ReadonlySet<number>> {
  try {
    return new Set((await readLiveFiles(folder)).tables.keys());
  } catch {
    // Whoever opens the shadow finds out what is wrong, and says so.
    return new Set();
  }
}

/** Throws USAGE where there is no log, STORE_LOCKED where a process has it open. */
export async function checkClosed(folder: string): Promise<void> {
  // Either can be made anew from the other.
  const parts = await Promise.all(
    ['tables', 'segments'].map((name) => stat(join(folder, name)).catch(() => undefined)),
  );
  if (!parts.some((part) => part?.isDirectory() === true)) {
    throw new HeadwaterError('USAGE', `${folder} holds no log of headwater: name the folder that data.dir was`);
  }
  const lock = await stat(join(folder, 'tables', 'LOCK')).catch(() => undefined);
  const owner =
    lock === undefined ? undefined : ownerOf(lock.ino, await readFile('/proc/locks', 'utf8').catch(() => ''));
  if (owner === undefined) return;
  const text = `${folder} is in use by process ${owner}: ask the node itself, without --data, or stop it first`;
  throw new HeadwaterError('STORE_LOCKED', text);
}

/** `1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`, see proc_locks(5): the process that holds a file of that number. */
function ownerOf(inode: number, locks: string): string | undefined {
  for (const line of locks.split('\n')) {
    const fields = line.trim().split(/\s+/);
    const at = fields.indexOf('WRITE');
    if (at !== -1 && fields[at + 2]?.split(':')[2] === String(inode)) return fields[at + 1];
  }
  return undefined;
}
