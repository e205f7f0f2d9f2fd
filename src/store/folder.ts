// The data folder as files: who owns it, and what a crash may have left in it.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HeadwaterError, messageOf } from '../errors.ts';
import type { Catalogue } from './catalogue.ts';
import { checkUnlocked, isCorrupt, isDiskFull, isLocked, syncFolder } from './level.ts';
import { openDiskRoom, type DiskRoom, type DiskRoomNeeds } from './disk-room.ts';
import { openQuarantine, type Quarantine } from './quarantine.ts';
import { rescueTables } from './tables-rescue.ts';
import { openTables, type TablesRoom } from './tables.ts';

export interface Taken {
  room: DiskRoom;
  tables: TablesRoom;
  quarantine: Quarantine;
  /** What was wrong with the tables: rows are missing. */
  fault: string | undefined;
}

/** Makes this process the owner of the folder: LevelDB's lock on the tables is the lock of all of it. */
export async function takeFolder(needs: DiskRoomNeeds, roomForOpening: number): Promise<Taken> {
  const { folder, clock, trace } = needs;
  let room: DiskRoom | undefined;
  try {
    await makeFolder(folder);
    await checkUnlocked(join(folder, 'tables'));
    room = await openDiskRoom(needs, roomForOpening);
    const quarantine = await openQuarantine(folder);
    const fault = await rescueTables(folder, quarantine, clock, trace);
    const tables = await openTables(join(folder, 'tables'), room, clock, trace);
    await writeFile(join(folder, 'owner'), `${process.pid}\n`);
    return { room, tables, quarantine, fault };
  } catch (error) {
    await room?.close();
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

export interface Survey {
  /** Folders that are not in the catalogue, in the order they were written. */
  unsealed: number[];
  /** Segments of which a new folder waits to take the old one's place. */
  rebuilt: number[];
  /** In the catalogue, and without a folder. */
  missing: number[];
  /** The same, as retention was about to remove them. */
  removed: number[];
}

/** Which segments there are; what a crash left half-made or half-removed is removed. */
export async function surveySegments(segmentsFolder: string, catalogue: Catalogue): Promise<Survey> {
  const present = new Set<number>();
  const rebuilt = new Set<number>();
  const half = new Set<number>();
  for (const name of await readdir(segmentsFolder)) {
    const [, hex, ending] = /^([0-9a-f]{8})(|\.rebuilt|\.rebuilding|\.cleaning|\.removed)$/.exec(name) ?? [];
    // Not ours.
    if (hex === undefined) continue;
    const id = parseInt(hex, 16);
    if (ending === '') present.add(id);
    else if (ending === '.rebuilt') rebuilt.add(id);
    else {
      if (ending === '.removed') half.add(id);
      await rm(join(segmentsFolder, name), { recursive: true, force: true });
    }
  }
  await syncFolder(segmentsFolder);
  const gone = catalogue.sealed().filter(({ id }) => !present.has(id) && !rebuilt.has(id));
  return {
    unsealed: [...present].filter((id) => !catalogue.has(id) && !rebuilt.has(id)).toSorted((a, b) => a - b),
    rebuilt: [...rebuilt].toSorted((a, b) => a - b),
    missing: gone.map(({ id }) => id).filter((id) => !half.has(id)),
    removed: gone.map(({ id }) => id).filter((id) => half.has(id)),
  };
}
