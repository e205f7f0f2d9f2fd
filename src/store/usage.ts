// How many bytes lie in a folder, by what its files say.

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes of all files below `folder`, without those that `isKnown` names by their path below it. 0 for one that is not there. */
export async function bytesIn(folder: string, isKnown: (path: string) => boolean, below = ''): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    const path = join(below, entry.name);
    if (isKnown(path)) continue;
    const full = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await bytesIn(full, isKnown, path);
    // A compaction may remove a file between the two calls.
    else bytes += (await stat(full).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
