// Given for the tests of cleaning: a folder before and after three of its segments were cleaned into one, and all that a
// crash can leave in between.

import { cp, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { numberOf } from '../../src/log/partition.ts';
import type { Cleaned, Sieve } from '../../src/store/store.ts';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from '../log/open-log.ts';

export const COUNT = 300;

/** The folder before and after the segments `ids` were cleaned into the last of them. */
export let before: string;
export let after: string;
export let ids: number[];
export let cleaned: Cleaned;
export let opened: OpenLogFolder;

export const asItIs = (): Sieve => ({ take: (batch) => [batch], end: () => [] });

export function clean(run: number[], sieve: Sieve = asItIs()): Promise<Cleaned | undefined> {
  const kept = numberOf(opened.log.topic('kept')!.partitions[0]!);
  return opened.store.clean({
    ids: run,
    sieveOf: (partition) => (partition === kept ? sieve : undefined),
    pace: () => Promise.resolve(),
    replace: (steps) => steps(),
  });
}

/** Two topics in turn; then one of them is deleted. */
beforeAll(async () => {
  opened = await openLogFolder({ retentionIntervalMs: 1e9 }, 16 * 1024);
  const kept = (await opened.log.createTopic('kept', { retentionMs: -1 })).partitions[0]!;
  const gone = (await opened.log.createTopic('gone')).partitions[0]!;
  for (let first = 0; first < COUNT; first += 10) {
    const batches = upTo(10).map((index) => batchOf(first + index, 1, { bytes: 700 }));
    await Promise.all(batches.flatMap((batch) => [kept.append(batch), gone.append(Buffer.from(batch))]));
  }
  await opened.store.whenSealed();
  await opened.log.deleteTopic('gone');
  await kept.append(batchOf(COUNT, 1));
  ids = opened.store
    .sealed()
    .map(({ id }) => id)
    .slice(0, 3);
  before = await mkdtemp(join(tmpdir(), 'headwater-before-'));
  after = await mkdtemp(join(tmpdir(), 'headwater-after-'));
  await opened.reopenAfter(() => cp(opened.folder, before, { recursive: true }));
  cleaned = (await clean(ids))!;
  await opened.reopenAfter(() => cp(opened.folder, after, { recursive: true }));
  await opened.remove();
});
afterAll(async () => {
  await rm(before, { recursive: true });
  await rm(after, { recursive: true });
});

beforeEach(async () => {
  opened = await openLogFolder({ retentionIntervalMs: 1e9 }, 16 * 1024);
});
afterEach(() => opened.remove());

export async function startFrom(
  template: string,
  change: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await opened.reopenAfter(async () => {
    await rm(opened.folder, { recursive: true });
    await cp(template, opened.folder, { recursive: true });
    await change();
  });
}

/** Every record is there once, nothing is told as lost, and nothing half-made lies about. */
export async function isWhole(): Promise<void> {
  const [partition] = opened.log.topic('kept')!.partitions;
  expect(numbersOf(await readAll(partition!))).toEqual(upTo(COUNT + 1));
  expect(opened.store.gaps()).toEqual([]);
  const names = await readdir(join(opened.folder, 'segments'));
  expect(names.filter((name) => !/^[0-9a-f]{8}$/.test(name))).toEqual([]);
  let bytes = 0;
  for await (const range of opened.store.allRanges()) {
    if (range.partition === numberOf(partition!)) bytes += range.bytes;
  }
  expect(partition!.bytes).toBe(bytes);
}

export function segment(id: number, ending = ''): string {
  return join(opened.folder, 'segments', id.toString(16).padStart(8, '0') + ending);
}

export function whole(): string {
  return segment(ids[0]!, `-${ids[2]!.toString(16).padStart(8, '0')}.cleaned`);
}

export function newOne(to: string): Promise<void> {
  return cp(join(after, 'segments', ids[2]!.toString(16).padStart(8, '0')), to, { recursive: true });
}

export async function newTables(): Promise<void> {
  await rm(join(opened.folder, 'tables'), { recursive: true });
  await cp(join(after, 'tables'), join(opened.folder, 'tables'), { recursive: true });
}

export async function setAside(count: number): Promise<void> {
  for (const id of ids.slice(0, count)) await rename(segment(id), segment(id, '.removed'));
}

/** What a crash leaves between each two steps. */
export const CRASHES: [string, () => Promise<void>][] = [
  [
    'while the new segment is made',
    async () => {
      await newOne(segment(ids[2]!, '.cleaning'));
      await rm(join(segment(ids[2]!, '.cleaning'), 'CURRENT'));
    },
  ],
  ['when it is whole', () => newOne(whole())],
  [
    'when the catalogue has it',
    async () => {
      await newOne(whole());
      await newTables();
    },
  ],
  [
    'when one of the old ones is set aside',
    async () => {
      await newOne(whole());
      await newTables();
      await setAside(1);
    },
  ],
  [
    'when all of them are',
    async () => {
      await newOne(whole());
      await newTables();
      await setAside(3);
    },
  ],
  [
    'when it has its name',
    async () => {
      await newTables();
      await setAside(3);
      await newOne(segment(ids[2]!));
    },
  ],
  [
    'when the old ones are gone',
    async () => {
      await newTables();
      for (const id of ids) await rm(segment(id), { recursive: true });
      await newOne(segment(ids[2]!));
    },
  ],
];
