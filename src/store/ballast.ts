// The ballast: a file that holds nothing and takes room, so that a full disk has some to give: to open LevelDB again after
// an error, to roll, to close, to write down how far a mirror has come. Given back when the disk is full, made again a piece
// at a time when there is room for it. Its blocks must be there: Node has no fallocate, a file that is only made long has
// none, and a file system may leave out zeros or compress what repeats, so it is written with chance. Once: 32 MiB of wear.

import { randomFillSync } from 'node:crypto';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import { syncFolder } from './level.ts';

export const BALLAST_FILE = 'ballast';

export interface Ballast {
  readonly targetBytes: number;
  /** What it takes at present. */
  bytes(): number;
  /** Gives its room back; on return it is there. */
  release(): Promise<void>;
  /** Adds one piece, if it is not whole, was not given back lately, and `freeBytes` leave room for all of it. */
  grow(freeBytes: number): Promise<void>;
}

/** Written and synced at once: what a slow card takes in half a second. */
const PIECE_BYTES = 4 * 1024 * 1024;
const BLOCK_BYTES = 512;
/** So long after it was given back, or could not be written, it stays as it is. */
const REST_MS = 60_000;

/** What is there of it is taken over; one without its blocks, as a copy of the folder may have, is made anew. */
export async function openBallast(folder: string, targetBytes: number, clock: Clock, trace: Trace): Promise<Ballast> {
  const path = join(folder, BALLAST_FILE);
  let bytes = await allocated(path, targetBytes);
  let restUntilMs = -Infinity;
  let piece: Buffer | undefined;

  async function release(): Promise<void> {
    restUntilMs = clock.monotonicMs() + REST_MS;
    if (bytes === 0) return;
    await rm(path, { force: true });
    await syncFolder(folder).catch(() => undefined);
    trace.warn('the disk is full: the ballast is given back', { bytes });
    bytes = 0;
  }

  async function add(count: number): Promise<void> {
    piece ??= randomFillSync(Buffer.allocUnsafe(Math.min(PIECE_BYTES, targetBytes)));
    const file = await open(path, bytes === 0 ? 'w' : 'r+', 0o600);
    try {
      await file.write(piece, 0, count, bytes);
      await file.datasync();
    } finally {
      await file.close();
    }
    bytes += count;
    if (bytes < targetBytes) return;
    piece = undefined;
    await syncFolder(folder);
  }

  return {
    targetBytes,
    bytes: () => bytes,
    release,
    async grow(freeBytes) {
      const missing = targetBytes - bytes;
      // Twice: what others write meanwhile must not find the disk full for its sake.
      if (missing === 0 || clock.monotonicMs() < restUntilMs || freeBytes < 2 * missing) return;
      try {
        await add(Math.min(PIECE_BYTES, missing));
      } catch (error) {
        trace.limited('the ballast could not be written', { reason: messageOf(error) });
        await release();
      }
    },
  };
}

/** How much of it is there; what is not as it should be is removed. */
async function allocated(path: string, targetBytes: number): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return 0;
  if (found.size <= targetBytes && found.blocks * BLOCK_BYTES >= found.size) return found.size;
  await rm(path, { force: true });
  return 0;
}
