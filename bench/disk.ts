// A disk of our own: ext4 on a loop device, so that every byte that reaches it, the journal's too, is there because of the
// program that is measured. Root only; elsewhere the caller has to do with what /proc tells of the process.

import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { deviceBytesOf } from './measure.ts';
import type { Stand } from './stand.ts';

export interface Disk {
  readonly folder: string;
  /** Bytes written to the disk so far, after all that waits in memory was written. */
  writtenBytes(): number;
  remove(): void;
}

/** Undefined where this user may not mount, or the kernel has no loop devices. */
export function makeDisk(stand: Pick<Stand, 'makeFolder' | 'defer'>, name: string, mib: number): Disk | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const image = join(stand.makeFolder('images'), name);
  const folder = stand.makeFolder(`mounted-${name}`);
  const fd = openSync(image, 'w');
  ftruncateSync(fd, mib * 2 ** 20);
  closeSync(fd);
  try {
    // Without lazy initialisation: it would write for minutes after the mount.
    execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image]);
    execFileSync('mount', ['-o', 'loop', image, folder], { stdio: 'pipe' });
  } catch {
    rmSync(image);
    return undefined;
  }
  let isMounted = true;
  const remove = (): void => {
    if (!isMounted) return;
    isMounted = false;
    execFileSync('umount', ['--lazy', folder]);
    rmSync(image);
  };
  stand.defer(remove);
  return {
    folder,
    writtenBytes() {
      execFileSync('sync', ['--file-system', folder]);
      return deviceBytesOf(folder);
    },
    remove,
  };
}
