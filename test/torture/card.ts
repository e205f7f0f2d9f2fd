// The card that the log lies on. Where it can be mounted it is an ext4 of its own in a file: then its power can be cut, and
// another program can fill it. Otherwise it is a plain folder.
//
// With commit=600 the kernel keeps to itself what nobody synced. The file, copied while that is so, is the card as it would
// be without power; the copy is then the card.

import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, statfs, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../parts/until.ts';

const run = promisify(execFile);
const CARD_BYTES = 768 * 1024 * 1024;
const SPARE_BYTES = 64 * 1024;
const OPTIONS = 'loop,commit=600,noatime';

export interface Card {
  /** Where the log's folder is made. */
  readonly folder: string;
  /** False: it is a plain folder, with neither power nor an end of its own. */
  readonly isOwn: boolean;
  /** Power off and on. Nobody may have a file open on it. */
  cutPower(): Promise<void>;
  /** Another program takes all but so many bytes. */
  fill(leaveBytes: number): Promise<void>;
  /** That program's file is removed. */
  free(): Promise<void>;
  /** Copies what is on it into a folder. */
  keep(folder: string): Promise<void>;
  remove(): Promise<void>;
}

// A run that is interrupted leaves neither a mount nor a file.
const mounted = new Set<string>();
const places = new Set<string>();
process.once('exit', () => {
  for (const folder of mounted) execFileSync('umount', ['-l', folder], { stdio: 'ignore' });
  for (const place of places) rmSync(place, { recursive: true, force: true });
});

/** Why no card of its own can be made in `dir`; undefined where it can. */
export async function whyNoCard(dir: string): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root can mount a file system';
  try {
    const card = await openCard(dir, true);
    await card.remove();
    return undefined;
  } catch (error) {
    return `no ext4 on a loop device can be mounted: ${(error as Error).message.trim().split('\n').at(-1)}`;
  }
}

/** A new and empty one, in a folder of its own in `dir`. */
export async function openCard(dir: string, isOwn: boolean): Promise<Card> {
  const place = await mkdtemp(join(dir, 'headwater-card-'));
  const folder = join(place, 'card');
  const [image, copy, ballast] = [join(place, 'image'), join(place, 'copy'), join(folder, 'another-program')];
  await mkdir(folder);
  places.add(place);

  async function mount(): Promise<void> {
    await run('mount', ['-o', OPTIONS, image, folder]);
    mounted.add(folder);
  }

  async function umount(): Promise<void> {
    if (!mounted.has(folder)) return;
    let said = '';
    const isDone = (): Promise<boolean> =>
      run('umount', [folder]).then(
        () => true,
        (error: Error) => {
          said = error.message;
          return false;
        },
      );
    await until('the card can be unmounted', isDone, 30_000, () => said);
    mounted.delete(folder);
  }

  async function remove(): Promise<void> {
    await umount();
    await rm(place, { recursive: true, force: true });
    places.delete(place);
  }

  if (isOwn) {
    try {
      await run('truncate', ['-s', String(CARD_BYTES), image]);
      await run('mkfs.ext4', ['-q', '-m', '0', '-E', 'lazy_itable_init=1', image]);
      await mount();
    } catch (error) {
      await remove();
      throw error;
    }
  }

  return {
    folder,
    isOwn,
    async cutPower() {
      await run('cp', ['--sparse=always', image, copy]);
      await umount();
      await rename(copy, image);
      await mount();
    },
    async fill(leaveBytes) {
      // The log grows meanwhile, and the file needs blocks for its map.
      for (let spare = 0; ; spare += SPARE_BYTES) {
        const { bavail, bsize } = await statfs(folder);
        const bytes = bavail * bsize - leaveBytes - spare;
        if (bytes <= 0) return;
        const isDone = await run('fallocate', ['-l', String(bytes), ballast]).then(
          () => true,
          () => false,
        );
        if (isDone) return;
        await rm(ballast, { force: true });
      }
    },
    async free() {
      // Its blocks are free when it is empty; a removal may find no room for the journal.
      await truncate(ballast, 0).catch(() => undefined);
      await rm(ballast, { force: true });
    },
    keep: (to) => cp(folder, to, { recursive: true, filter: (name) => name !== ballast }),
    remove,
  };
}

/** Writes lines to a file that is kept. */
export async function writeLines(path: string, lines: Iterable<string>): Promise<void> {
  const stream = createWriteStream(path);
  for (const line of lines) stream.write(`${line}\n`);
  stream.end();
  await once(stream, 'finish');
}
