// The last steps of a cleaning, in the process and again at the next start after a crash: a whole new folder takes the place of
// the segments that its name says. See cleaning.ts for what lies there in between.

import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Catalogue, SealedRow } from './catalogue.ts';
import { faultIn } from './inspection.ts';
import { syncFolder } from './level.ts';
import { scanSegment, type OpenSegment } from './open-segment.ts';
import { folderBytes, Segment, type Describe, type Range } from './segment.ts';

const SEGMENT = /^[0-9a-f]{8}$/;
const CLEANED = /^([0-9a-f]{8})-([0-9a-f]{8})\.cleaned$/;

export interface TakeOverNeeds {
  folderOf: (id: number) => string;
  catalogue: Catalogue;
  /** Closes whatever reads a segment. */
  close: (id: number) => Promise<void>;
}

/** Name of a whole folder that replaces all segments from `first` to `last`. */
export function cleanedName(first: number, last: number): string {
  return `${hex(first)}-${hex(last)}.cleaned`;
}

/**
 * The folder `whole` takes the place of the segments `ids`, in order; the last of them is `row.id`. May be repeated from any
 * point on. Nobody reads them before it resolves.
 */
export async function takeOver(
  { folderOf, catalogue, close }: TakeOverNeeds,
  ids: readonly number[],
  whole: string,
  row: SealedRow,
  ranges: Range[],
): Promise<void> {
  for (const id of ids) await close(id);
  // First, as without the old folders nothing else would say what the new one holds.
  await catalogue.replace(ids, row, ranges);
  const names = new Set(await readdir(dirname(whole)));
  if (names.has(basename(whole))) {
    for (const id of ids) if (names.has(basename(folderOf(id)))) await setAside(folderOf(id));
    await rename(whole, folderOf(row.id));
    await syncFolder(dirname(whole));
  }
  // One that was opened before the renames would be read on.
  for (const id of ids) await close(id);
  for (const id of ids) await rm(`${folderOf(id)}.removed`, { recursive: true, force: true });
}

async function setAside(folder: string): Promise<void> {
  await rm(`${folder}.removed`, { recursive: true, force: true });
  await rename(folder, `${folder}.removed`);
}

export interface FinishNeeds {
  segmentsFolder: string;
  folderOf: (id: number) => string;
  catalogue: Catalogue;
  writeBufferBytes: number;
  describe: Describe;
}

/** At the start: what a crash has interrupted is brought to its end, by the folders' names. */
export async function finishCleanings(needs: FinishNeeds): Promise<void> {
  const names = await readdir(needs.segmentsFolder).catch(() => []);
  const present = names.filter((name) => SEGMENT.test(name)).map((name) => parseInt(name, 16));
  for (const name of names) {
    const [, first, last] = CLEANED.exec(name) ?? [];
    if (first === undefined || last === undefined) continue;
    const isOld = (id: number): boolean => id >= parseInt(first, 16) && id <= parseInt(last, 16);
    await finish(join(needs.segmentsFolder, name), present.filter(isOld), isOld, parseInt(last, 16), needs);
  }
}

async function finish(
  whole: string,
  old: number[],
  isOld: (id: number) => boolean,
  last: number,
  needs: FinishNeeds,
): Promise<void> {
  const { folderOf, catalogue } = needs;
  const known = catalogue.sealed().filter(({ id }) => isOld(id));
  const ids = [...new Set([...old, ...known.map(({ id }) => id), last])].toSorted((a, b) => a - b);
  const { fault } = await faultIn(whole, 'whole');
  const found = fault === undefined ? await look(whole, last, needs) : undefined;
  if (found === undefined) {
    // It was damaged since. What is not in the catalogue is read through, and what is left of it is saved.
    for (const { id } of known) await catalogue.remove(id);
    // The old ones go only when the new one has its name: until then each is there, under one name or the other.
    const removed = await removedAmong(dirname(whole), isOld);
    for (const id of removed) if (!old.includes(id)) await rename(`${folderOf(id)}.removed`, folderOf(id));
    if (old.includes(last) || removed.includes(last)) await rm(whole, { recursive: true });
    else await rename(whole, folderOf(last));
    return;
  }
  const { bytes, batches, ranges } = found;
  const next = known.find(({ id }) => id === last)?.next;
  const row = { id: last, bytes, batches, diskBytes: await folderBytes(whole), ...(next !== undefined && { next }) };
  await takeOver({ folderOf, catalogue, close: () => Promise.resolve() }, ids, whole, row, [...ranges.values()]);
}

async function removedAmong(segmentsFolder: string, isOld: (id: number) => boolean): Promise<number[]> {
  const names = (await readdir(segmentsFolder)).filter((name) => /^[0-9a-f]{8}\.removed$/.test(name));
  return names.map((name) => parseInt(name, 16)).filter(isOld);
}

async function look(
  folder: string,
  id: number,
  { writeBufferBytes, describe }: FinishNeeds,
): Promise<OpenSegment | undefined> {
  const segment = await Segment.open(id, folder, writeBufferBytes);
  const found = await scanSegment(segment, { describe, visit: () => undefined });
  await found?.open.segment.close();
  return found?.open;
}

function hex(id: number): string {
  return id.toString(16).padStart(8, '0');
}
