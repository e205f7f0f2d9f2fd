// Waiting for room on a full disk. Meanwhile LevelDB stays open as it is, because it can still be read, and to open it
// again takes room itself: it writes what was in memory into a table file.

import { statfs } from 'node:fs/promises';
import type { Clock } from '../clock.ts';

const LOOK_MS = 1000;

/** Resolves when the disk under `folder` has `bytes` to spare, or `signal` aborts. */
export async function whenDiskHasRoom(folder: string, bytes: number, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // A card that can't even be asked has no room.
    const found = await statfs(folder).catch(() => undefined);
    if (found !== undefined && found.bavail * found.bsize >= bytes) return;
    await clock.sleep(LOOK_MS, signal);
  }
}
