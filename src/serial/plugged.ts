// What is plugged in, who uses it, and what to write into the configuration for it. Nothing is opened: that alone would
// reset many boards.

import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { listTtys, wordsOf, type Tty } from './usb.ts';
import type { Roots } from './whereabouts.ts';

export interface PluggedPort extends Tty {
  path: string;
  /** The name that stays the same, where udev has made one. */
  byId?: string;
  /** Processes that have it open, as far as this user may see them. */
  users: { pid: number; command: string }[];
  /** How a port of the configuration names it. */
  config: Record<string, unknown>;
}

export interface PluggedRoots extends Roots {
  proc: string;
}

export const PLUGGED_ROOTS: PluggedRoots = { sys: '/sys', dev: '/dev', proc: '/proc' };

/** All serial devices. Never throws: what cannot be read is left out. */
export async function listPlugged(roots: PluggedRoots = PLUGGED_ROOTS): Promise<PluggedPort[]> {
  const [ttys, byIds, users] = await Promise.all([listTtys(roots.sys), byIdNames(roots.dev), usersOf(roots.proc)]);
  return Promise.all(
    ttys.map(async (tty) => {
      const path = join(roots.dev, tty.name);
      const target = await realpath(path).catch(() => path);
      const byId = byIds.get(target);
      const config = configOf(tty, path, byId, ttys);
      return { ...tty, path, ...(byId !== undefined && { byId }), users: users.get(target) ?? [], config };
    }),
  );
}

/** Best by udev's name; without one by what it is, if no other device here looks the same; else by its path. */
function configOf(tty: Tty, path: string, byId: string | undefined, all: readonly Tty[]): Record<string, unknown> {
  if (byId !== undefined) return { path: byId };
  const { usb } = tty;
  if (usb === undefined) return { path };
  const { vid, pid, serial } = usb;
  const match = { vid, pid, ...(serial !== undefined && { serial }) };
  const alike = all.filter(
    (other) => other.usb !== undefined && wordsOf({ ...other.usb, ...noFace }) === wordsOf({ ...usb, ...noFace }),
  );
  if (alike.length === 1) return { usb: match };
  const faces = new Set(alike.map((other) => other.usb?.interface));
  return faces.size === alike.length ? { usb: { ...match, interface: usb.interface ?? 0 } } : { path };
}

/** Leaves the interface out of a comparison. */
const noFace = { interface: 0 };

async function byIdNames(dev: string): Promise<Map<string, string>> {
  const folder = join(dev, 'serial/by-id');
  const names = await readdir(folder).catch(() => []);
  const pairs = await Promise.all(
    names.map(async (name): Promise<[string, string]> => {
      const path = join(folder, name);
      return [await realpath(path).catch(() => ''), path];
    }),
  );
  return new Map(pairs);
}

/** By the file that they have open. */
async function usersOf(proc: string): Promise<Map<string, PluggedPort['users']>> {
  const users = new Map<string, PluggedPort['users']>();
  const pids = (await readdir(proc).catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const open = await readdir(join(proc, pid, 'fd')).catch(() => []);
    const targets = await Promise.all(open.map((fd) => readlink(join(proc, pid, 'fd', fd)).catch(() => '')));
    for (const target of new Set(targets)) {
      if (!target.startsWith('/')) continue;
      const command = (await readFile(join(proc, pid, 'comm'), 'utf8').catch(() => '?')).trim();
      users.set(target, [...(users.get(target) ?? []), { pid: Number(pid), command }]);
    }
  }
  return users;
}
