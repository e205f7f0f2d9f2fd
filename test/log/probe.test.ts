// The watchdog's proof: a commit, or a read where the card refuses writes. A card that answers neither way proves nothing.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createCommits, type Commits } from '../../src/log/commits.ts';
import { proveAlive } from '../../src/log/probe.ts';
import type { Store } from '../../src/store/store.ts';

let failure: string | undefined;
let isHung: boolean;
let reads: number;
let writes: number;
let commits: Commits;

const never = new Promise<never>(() => undefined);
const store = {
  failure: () => failure,
  async write() {
    writes += 1;
    // The store repeats a write that fails until it is there.
    if (failure !== undefined || isHung) await never;
  },
  async proveReadable() {
    if (isHung) await never;
    reads += 1;
  },
} as unknown as Store;

beforeEach(() => {
  failure = undefined;
  isHung = false;
  reads = writes = 0;
  commits = createCommits({ store, clock: systemClock, intervalMs: 0, burstMs: 0 });
});
afterEach(async () => {
  if (failure === undefined && !isHung) await commits.close();
});

function prove(withinMs = 0): Promise<void> {
  return proveAlive(withinMs, { commits, store, clock: systemClock });
}

function isOpenAfter(proof: Promise<void>, ms: number): Promise<boolean> {
  return Promise.race([proof.then(() => false), systemClock.sleep(ms).then(() => true)]);
}

test('a commit is made, unless there was one lately', async () => {
  await prove();
  expect([writes, reads]).toEqual([1, 0]);
  await prove(60_000);
  expect(writes).toBe(1);
});

test('a card that refuses writes is proven by a read, also where the proof itself finds it so', async () => {
  const proof = prove();
  failure = 'the disk is full';
  await proof;
  expect([writes, reads]).toEqual([1, 1]);
  await prove();
  expect([writes, reads]).toEqual([1, 2]);
});

test('a card that hangs proves nothing, full or not', async () => {
  isHung = true;
  expect(await isOpenAfter(prove(), 50)).toBe(true);
  failure = 'the disk is full';
  expect(await isOpenAfter(prove(), 50)).toBe(true);
});
