// The room that the folder takes, and the room that is left under it. Sealed segments do not change: their sizes are known.
// All else is measured, each second while something is written, and what was written since is added. The ballast is held
// here: it is given back when the disk is full, and LevelDB is not opened again before there is room for that, because it
// can still be read as it is, and to open it writes what was in memory into a table file.

import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import { BALLAST_FILE, openBallast } from './ballast.ts';
import { bytesIn } from './usage.ts';

/** What lies in the folder, and what may. Bytes. */
export interface Space {
  /** All files of the folder, the ballast among them. */
  usedBytes: number;
  /** Left on the disk for this process; undefined when it does not say. */
  freeBytes: number | undefined;
  ballastBytes: number;
  ballastTargetBytes: number;
  /** What the store's own work may take beyond that for a while: tables that are written before their log goes. */
  workBytes: number;
}

export interface DiskRoom {
  /** Who knows of the sealed segments, as soon as somebody does. */
  sealedBy(known: SealedBytes): void;
  space(): Space;
  /** So many bytes were written since the last look. */
  note(bytes: number): void;
  /** Looks at all of it, as it is at the call or later. */
  measure(): Promise<void>;
  /** After the disk was found full: gives the ballast back; resolves when the disk has `bytes` to spare, or `signal` aborts. */
  whenRoom(bytes: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface DiskRoomNeeds {
  folder: string;
  clock: Clock;
  trace: Trace;
  writeBufferBytes: number;
  /** 0: none is kept, as in a folder that is only looked at. */
  ballastBytes: number;
}

/** What of the folder is known without a look: sealed segments. */
export interface SealedBytes {
  has(id: number): boolean;
  diskBytes(): number;
}

const LOOK_MS = 1000;
/** Looks between two when nothing is written: others may write. */
const IDLE_LOOKS = 10;
/** Two segments may have a table written at a time, and marks go on when records do not. */
const MEMTABLES_AT_WORK = 2.5;

/** Where the disk has less than `bytes` left, the ballast is given back before anything is opened. */
export async function openDiskRoom(needs: DiskRoomNeeds, bytes: number): Promise<DiskRoom> {
  const { folder, clock, trace } = needs;
  const ballast = await openBallast(folder, needs.ballastBytes, clock, trace);
  let sealed: SealedBytes = { has: () => false, diskBytes: () => 0 };
  /** Segments that were not sealed at the last look. */
  let segments = new Map<number, number>();
  let freeBytes = await freeUnder(folder);
  let measured = 0;
  let noted = 0;
  let looks = 0;
  let looking: Promise<void> | undefined;
  let isClosed = false;
  if (freeBytes !== undefined && freeBytes < bytes) await ballast.release();
  const timer = clock.every(LOOK_MS, () => {
    looks += 1;
    if (noted > 0 || looks % IDLE_LOOKS === 0 || ballast.bytes() < ballast.targetBytes) void look();
  });

  function look(): Promise<void> {
    if (isClosed) return Promise.resolve();
    looking ??= lookNow()
      .catch((error: unknown) => trace.limited('the data folder could not be measured', { reason: messageOf(error) }))
      .finally(() => (looking = undefined));
    return looking;
  }

  async function lookNow(): Promise<void> {
    await measure();
    if (isClosed || freeBytes === undefined) return;
    await ballast.grow(freeBytes);
  }

  async function measure(): Promise<void> {
    const before = noted;
    const found = new Map<number, number>();
    const bytes = await bytesIn(folder, (path) => {
      if (path === BALLAST_FILE) return true;
      const id = segmentOf(path);
      if (id !== undefined && !sealed.has(id)) found.set(id, 0);
      return id !== undefined;
    });
    for (const id of found.keys()) found.set(id, await bytesIn(join(folder, segmentPath(id)), () => false));
    freeBytes = await freeUnder(folder);
    segments = found;
    measured = bytes;
    noted -= before;
  }

  function usedBytes(): number {
    let used = sealed.diskBytes() + measured + noted + ballast.bytes();
    for (const [id, bytes] of segments) if (!sealed.has(id)) used += bytes;
    return used;
  }

  return {
    sealedBy: (known) => void (sealed = known),
    space: () => ({
      usedBytes: usedBytes(),
      freeBytes: freeBytes === undefined ? undefined : Math.max(0, freeBytes - noted),
      ballastBytes: ballast.bytes(),
      ballastTargetBytes: ballast.targetBytes,
      workBytes: MEMTABLES_AT_WORK * needs.writeBufferBytes,
    }),
    note: (count) => void (noted += count),
    async measure() {
      // One that has begun may have seen what is gone meanwhile.
      await looking;
      await look();
    },
    async whenRoom(wanted, signal) {
      await ballast.release();
      while (!signal.aborted) {
        freeBytes = await freeUnder(folder);
        // A card that can't even be asked has no room.
        if (freeBytes !== undefined && freeBytes >= wanted) return;
        await clock.sleep(LOOK_MS, signal);
      }
    },
    async close() {
      isClosed = true;
      timer.cancel();
      await looking;
    },
  };
}

/** The number of a segment's folder; undefined for one that is made or removed just then. */
function segmentOf(path: string): number | undefined {
  const hex = /^segments\/([0-9a-f]{8})$/.exec(path)?.[1];
  return hex === undefined ? undefined : parseInt(hex, 16);
}

function segmentPath(id: number): string {
  return join('segments', id.toString(16).padStart(8, '0'));
}

async function freeUnder(folder: string): Promise<number | undefined> {
  const found = await statfs(folder).catch(() => undefined);
  return found === undefined ? undefined : found.bavail * found.bsize;
}
