// The tables' folder before LevelDB opens it: what is damaged is read row by row into a new folder, as for a segment.
//
//   tables + tables.rebuilding   the new folder is not whole: begin again
//   (tables +) tables.rebuilt    it is: the old one is set aside, the new one takes its name

import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { Trace } from '../trace.ts';
import { dataFilesIn, faultIn } from './inspection.ts';
import { openLevel, syncFolder, type LevelOperation } from './level.ts';
import type { Quarantine } from './quarantine.ts';
import { salvage } from './salvage.ts';

const WRITE_BUFFER_BYTES = 1024 * 1024;

/** What was wrong with the tables, undefined if nothing was. On return LevelDB may open the folder, if there is one. */
export async function rescueTables(
  dataFolder: string,
  quarantine: Quarantine,
  clock: Clock,
  trace: Trace,
): Promise<string | undefined> {
  const folder = join(dataFolder, 'tables');
  const rebuilt = `${folder}.rebuilt`;
  let fault: string | undefined;
  if (await isThere(rebuilt)) {
    fault = 'found damaged before the last stop';
  } else {
    fault = (await isEmpty(folder)) ? await missingBeside(dataFolder) : (await faultIn(folder, 'whole')).fault;
    if (fault === undefined) return undefined;
    trace.error('the tables are damaged: what is left of them is saved', { reason: fault });
    await rebuild(folder, `${folder}.rebuilding`);
    await rename(`${folder}.rebuilding`, rebuilt);
  }
  await quarantine.setAside(folder, { reason: fault, atMs: clock.wallMs() });
  await rename(rebuilt, folder);
  await syncFolder(dataFolder);
  return fault;
}

/** No tables beside segments were removed. */
async function missingBeside(dataFolder: string): Promise<string | undefined> {
  const segments = await readdir(join(dataFolder, 'segments')).catch(() => []);
  return segments.length > 0 ? 'the tables are missing' : undefined;
}

async function rebuild(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  const rows = new Map<string, { value: Buffer | undefined; sequence: number }>();
  if (await isThere(from)) {
    await salvage(from, ({ key, value, sequence, isSure }) => {
      const name = key.toString('utf8');
      // Nothing in a row says whether it is whole.
      if (!isSure || (rows.get(name)?.sequence ?? -1) > sequence) return;
      rows.set(name, { value: value && Buffer.from(value), sequence });
    });
  }
  const level = await openLevel(to, { createIfMissing: true, writeBufferBytes: WRITE_BUFFER_BYTES });
  const operations: LevelOperation[] = [];
  for (const [name, { value }] of rows) {
    if (value !== undefined) operations.push({ type: 'put', key: Buffer.from(name, 'utf8'), value });
  }
  await level.batch(operations, { sync: true });
  await level.close();
  await syncFolder(to);
}

async function isEmpty(folder: string): Promise<boolean> {
  if (!(await isThere(folder))) return true;
  if ((await dataFilesIn(folder)).length > 0) return false;
  // As a crash leaves it that came while it was made, or somebody who removed what it had.
  return !(await readdir(folder)).some((name) => name.startsWith('MANIFEST') || name === 'CURRENT');
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
