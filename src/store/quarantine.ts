// What was set aside: damaged folders, kept for whoever wants to look into them, until the operator removes them or the
// budget needs their room. What could be read of them lies in a new folder in their place.
//
//   quarantine/0000002a.1/           the folder as it was, with why.json: {"reason", "atMs"}

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { syncFolder } from './level.ts';
import { folderBytes } from './segment.ts';

export interface SetAside {
  name: string;
  bytes: number;
  reason: string;
  atMs: number;
}

export interface Quarantine {
  /** Moves a folder here; nothing happens when it is not there. */
  setAside(path: string, why: { reason: string; atMs: number }): Promise<void>;
  /** Oldest first. */
  list(): SetAside[];
  bytes(): number;
  /** Looks what the operator has removed meanwhile. */
  refresh(): Promise<void>;
  /** Removes the oldest; false when there is none. */
  removeOldest(): Promise<boolean>;
}

export async function openQuarantine(dataFolder: string): Promise<Quarantine> {
  const folder = join(dataFolder, 'quarantine');
  let held: SetAside[] = [];

  async function refresh(): Promise<void> {
    const names = await readdir(folder).catch(() => []);
    const found = await Promise.all(names.map((name) => describe(join(folder, name))));
    held = found.toSorted((a, b) => a.atMs - b.atMs || (a.name < b.name ? -1 : 1));
  }

  async function freeName(name: string): Promise<string> {
    const taken = new Set(await readdir(folder));
    for (let count = 1; ; count += 1) if (!taken.has(`${name}.${count}`)) return `${name}.${count}`;
  }

  await refresh();
  return {
    async setAside(path, why) {
      if ((await stat(path).catch(() => undefined)) === undefined) return;
      await mkdir(folder, { recursive: true });
      const target = join(folder, await freeName(basename(path)));
      await rename(path, target);
      await writeFile(join(target, 'why.json'), `${JSON.stringify(why)}\n`).catch(() => undefined);
      await syncFolder(folder);
      await refresh();
    },
    list: () => held,
    bytes: () => held.reduce((sum, { bytes }) => sum + bytes, 0),
    refresh,
    async removeOldest() {
      const [oldest] = held;
      if (oldest === undefined) return false;
      await rm(join(folder, oldest.name), { recursive: true, force: true });
      await refresh();
      return true;
    },
  };
}

async function describe(path: string): Promise<SetAside> {
  const text = await readFile(join(path, 'why.json'), 'utf8').catch(() => '');
  const bytes = await folderBytes(path).catch(() => 0);
  return { name: basename(path), bytes, ...parse(text) };
}

function parse(text: string): { reason: string; atMs: number } {
  try {
    const { reason, atMs } = JSON.parse(text) as { reason: unknown; atMs: unknown };
    if (typeof reason === 'string' && typeof atMs === 'number') return { reason, atMs };
  } catch {
    // A card that damages folders may damage this, too.
  }
  return { reason: 'unknown', atMs: 0 };
}
