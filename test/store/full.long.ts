// A disk that fills up while a segment is sealed: LevelDB does not say that it could not move its memory into a table.
// What it has not moved must stay readable, and get there when there is room. Needs root, for a tmpfs of its own.

import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { createTrace } from '../../src/trace.ts';
import { until } from '../parts/until.ts';

const lines: string[] = [];
const trace = createTrace({ write: (line) => lines.push(line) });
const BUFFER_BYTES = 256 * 1024;
const VALUE_BYTES = 4096;
const LAST = 10;
const hooks = {
  describe: (value: Buffer) => ({
    firstOffset: value.readDoubleBE(0),
    lastOffset: value.readDoubleBE(0),
    maxTimestampMs: 1,
  }),
  visit: () => undefined,
  onGaps: () => Promise.resolve(),
  onTailLost: () => undefined,
  carry: () => [],
};
let card: string;
let store: Store;

beforeEach(async () => {
  card = await mkdtemp(join(tmpdir(), 'headwater-card-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', card]);
  await open();
});
afterEach(async () => {
  await store.close();
  execFileSync('umount', [card]);
  await rm(card, { recursive: true });
});

async function open(): Promise<void> {
  store = await openStore({ folder: join(card, 'data'), clock: systemClock, trace, writeBufferBytes: BUFFER_BYTES });
  await store.recover(hooks);
}

function write(offset: number): Promise<void> {
  const value = Buffer.alloc(VALUE_BYTES, offset);
  value.writeDoubleBE(offset, 0);
  return store.write([{ partition: 1, firstOffset: offset, lastOffset: offset, maxTimestampMs: 1, value }], []);
}

/** Reads from the first offset on, and gives the offsets that were there. */
async function readAll(end: number): Promise<number[]> {
  const offsets: number[] = [];
  for (let next = 0; next < end; next = offsets.at(-1)! + 1) {
    const batches = await store.read(1, next, 64 * 1024);
    if (batches.length === 0) break;
    offsets.push(...batches.map((batch) => batch.readDoubleBE(0)));
  }
  return offsets;
}

async function fill(leaveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(card);
  await appendFile(join(card, 'other'), Buffer.alloc(bavail * bsize - leaveBytes));
}

test('what could not be moved into a table is read as before, and is sealed when there is room', async () => {
  const all = Array.from({ length: Math.ceil((BUFFER_BYTES * 4.5) / VALUE_BYTES) + 1 }, (_, offset) => offset);
  for (const offset of all.slice(0, -LAST)) await write(offset);
  const files = (): Promise<string[]> => readdir(join(card, 'data/segments/00000001'));
  const logs = async (): Promise<number> => (await files()).filter((name) => name.endsWith('.log')).length;
  await until('LevelDB has removed what it needs no more', async () => (await logs()) === 1);
  // Room for the last ones, with which the next segment begins, and not for half a memtable.
  await fill((LAST + 14) * VALUE_BYTES);
  // LevelDB's attempt takes what is left for a moment: a write may have to wait for room, too.
  const lastWrites = (async () => {
    for (const offset of all.slice(-LAST)) await write(offset);
  })();
  await until('the sealing was tried', () => lines.some((line) => line.includes('sealing a segment failed')));
  expect(store.sealed()).toEqual([]);
  const first = all.slice(0, -LAST);
  expect((await readAll(all.length)).slice(0, first.length)).toEqual(first);
  await rm(join(card, 'other'));
  await lastWrites;
  await store.whenSealed();
  expect(store.sealed()).toHaveLength(1);
  expect(await readAll(all.length)).toEqual(all);
  expect([store.gaps(), store.quarantine()]).toEqual([[], []]);
});

test('a store opens on a full disk by what its ballast gives, and not without; it makes it again when there is room', async () => {
  for (const offset of [0, 1, 2]) await write(offset);
  const ballast = (): number => store.space().ballastBytes;
  await until('the ballast is whole', () => ballast() === store.space().ballastTargetBytes);
  const { blocks, size } = await stat(join(card, 'data/ballast'));
  expect(blocks * 512).toBeGreaterThanOrEqual(size);
  await store.close();
  await fill(0);

  await open();
  expect([ballast(), await readAll(3)]).toEqual([0, [0, 1, 2]]);
  await write(3);
  await store.close();
  await fill(0);
  await expect(open()).rejects.toThrow('the disk is full');

  await rm(join(card, 'other'));
  await open();
  expect(await readAll(4)).toEqual([0, 1, 2, 3]);
  await until('the ballast is whole again', () => ballast() === store.space().ballastTargetBytes);
});
