// What the node is started with, so that its syncs and its clock can go wrong while it runs: two libraries in LD_PRELOAD, each
// ruled by a file. Neither is there in a run that does not want it.

import { execFile } from 'node:child_process';
import { readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, 'late_sync.c');

export interface Preload {
  /** For the node's environment. */
  readonly env: Record<string, string>;
  /** `slow MS`, `fail`, or `` for syncs as they are. */
  setSync(what: string): Promise<void>;
  /** In the words of libfaketime: `+10y`, `-1h`, `@1970-01-01 00:00:10`, or `+0` for the true time. */
  setClock(what: string): Promise<void>;
}

/** Why syncs can't be made to fail here; undefined where they can. */
export async function whyNoSync(): Promise<string | undefined> {
  return run('gcc', ['--version']).then(
    () => undefined,
    () => 'no compiler: install gcc and libc6-dev',
  );
}

/** Why the clock can't be moved here; undefined where it can. */
export async function whyNoClock(): Promise<string | undefined> {
  return (await faketime()) === undefined ? 'no libfaketime: install faketime' : undefined;
}

/** Its files lie in `folder`. Throws with the compiler's words. */
export async function openPreload(folder: string, wants: { sync: boolean; clock: boolean }): Promise<Preload> {
  const [syncFile, clockFile] = [join(folder, 'sync'), join(folder, 'clock')];
  const libraries: string[] = [];
  const env: Record<string, string> = {};
  if (wants.sync) {
    const library = join(folder, 'late_sync.so');
    await run('gcc', ['-O1', '-Wall', '-Werror', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl']);
    libraries.push(library);
    env['TORTURE_SYNC'] = syncFile;
  }
  if (wants.clock) {
    libraries.push((await faketime())!);
    Object.assign(env, {
      FAKETIME_TIMESTAMP_FILE: clockFile,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    });
  }
  if (libraries.length > 0) env['LD_PRELOAD'] = libraries.join(':');
  const preload: Preload = {
    env,
    setSync: (what) => replace(syncFile, what),
    setClock: (what) => replace(clockFile, what),
  };
  await preload.setSync('');
  await preload.setClock('+0');
  return preload;
}

/** At once: a reader sees the one or the other. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

async function faketime(): Promise<string | undefined> {
  for (const folder of await readdir('/usr/lib')) {
    const path = join('/usr/lib', folder, 'faketime');
    const files: string[] = await readdir(path).catch(() => []);
    if (files.includes('libfaketime.so.1')) return join(path, 'libfaketime.so.1');
  }
  return undefined;
}
