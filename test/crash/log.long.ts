// kill -9 at any point, a failing sync, a full disk: every acknowledged record is there once and in order, and what was
// not acknowledged is there wholly or not at all, a record with its mark.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { DURABILITIES, openLog, type Log } from '../../src/log/log.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { batchOf, numbersOf, readAll, silent, upTo } from '../log/open-log.ts';

const APPENDER = join(import.meta.dirname, 'appender.ts');
const EACH_DURABILITY = join(import.meta.dirname, 'durability-appender.ts');
const WRITE_BUFFER_BYTES = 64 * 1024;

let scratch: string;
let folder: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'headwater-crash-'));
  folder = join(scratch, 'data');
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

interface Appender {
  process: ChildProcess;
  acked(): string;
  errors(): string;
  kill(): Promise<void>;
}

function startAppender(name: string, wrap: string[] = [], script = APPENDER): Appender {
  const [out, err] = [join(scratch, `${name}.out`), join(scratch, `${name}.err`)];
  const files = [openSync(out, 'w'), openSync(err, 'w')];
  const [command, ...args] = [...wrap, process.execPath, script, folder, String(WRITE_BUFFER_BYTES)];
  const child = spawn(command, args, { stdio: ['ignore', files[0]!, files[1]!], detached: true });
  for (const file of files) closeSync(file);
  return {
    process: child,
    acked: () => readFileSync(out, 'utf8'),
    errors: () => readFileSync(err, 'utf8'),
    async kill() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // The whole group: a wrapper such as strace must not outlive or save it.
      process.kill(-child.pid!, 'SIGKILL');
      await ended;
      await until(() => !isAlive(ownerOf(folder)), 'the killed process to be gone');
    },
  };
}

function ownerOf(data: string): number {
  return Number(readFileSync(join(data, 'owner'), 'utf8'));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const start = Date.now(); !condition(); await systemClock.sleep(5)) {
    if (Date.now() - start > 60_000) throw new Error(`waited a minute for ${what}`);
  }
}

/** The highest acknowledged number of each partition. */
function highest(acked: string): number[] {
  const numbers = [-1, -1, -1];
  for (const line of acked.split('\n').slice(0, -1)) {
    const [index, number] = line.split(' ').map(Number);
    if (number !== undefined) numbers[index!] = Math.max(numbers[index!]!, number);
  }
  return numbers;
}

function fillUp(path: string): void {
  const piece = Buffer.alloc(64 * 1024);
  try {
    for (;;) appendFileSync(path, piece);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  }
}

async function open(): Promise<{ store: Store; log: Log }> {
  const store = await openStore({ folder, clock: systemClock, trace: silent, writeBufferBytes: WRITE_BUFFER_BYTES });
  const log = await openLog({
    store,
    clock: systemClock,
    trace: silent,
    commitIntervalMs: 0,
    commitBurstMs: 0,
    topics: new Map(),
    budgetBytes: 1e12,
  });
  return { store, log };
}

/** Opens what the dead process left, and finds all that it had acknowledged. Returns the ends. */
async function checkAgainst(acked: number[]): Promise<number[]> {
  const { store, log } = await open();
  // A crash is no damage.
  expect([store.gaps(), store.quarantine()]).toEqual([[], []]);
  const ends: number[] = [];
  for (const partition of log.topic('t')?.partitions ?? []) {
    expect(numbersOf(await readAll(partition))).toEqual(upTo(partition.highWatermark));
    expect(partition.highWatermark).toBeGreaterThan(acked[partition.index]!);
    expect(partition.highWatermark % 5).toBe(0);
    ends.push(partition.highWatermark);
  }
  const marked = log.topic('t')?.partitions[1];
  if (marked !== undefined && marked.highWatermark > 0) {
    const last = Buffer.from(String(marked.highWatermark - 1));
    expect([...log.marks('qos2/')]).toEqual([['qos2/last', last]]);
  }
  const idempotent = log.topic('t')?.partitions[2];
  if (idempotent !== undefined && idempotent.highWatermark > 0) {
    const first = idempotent.highWatermark - 5;
    const again = batchOf(first, 5, { producerId: 7, producerEpoch: 0, baseSequence: first });
    expect(await idempotent.append(again)).toEqual({ baseOffset: first, isDuplicate: true });
  }
  await log.close();
  await store.close();
  return ends;
}

test('25 times kill -9 at random moments', { timeout: 240_000 }, async () => {
  let ends: number[] = [];
  for (let round = 0; round < 25; round += 1) {
    const appender = startAppender(`round-${round}`);
    await until(() => appender.acked() !== '' || appender.process.exitCode !== null, 'the appender to open');
    expect(appender.errors()).toBe('');
    await systemClock.sleep(Math.random() * 250);
    await appender.kill();
    ends = await checkAgainst(highest(appender.acked()));
  }
  expect(Math.min(...ends)).toBeGreaterThan(500);
});

test(
  '10 times kill -9 with a topic of each durability: of `relaxed` alone the end may go',
  { timeout: 120_000 },
  async () => {
    const lost = { synced: 0, immediate: 0, relaxed: 0 };
    for (let round = 0; round < 10; round += 1) {
      const appender = startAppender(`round-${round}`, [], EACH_DURABILITY);
      const { acked } = appender;
      const isHeard = (): boolean => DURABILITIES.every((topic) => acked().includes(`${topic} `));
      await until(() => isHeard() || appender.process.exitCode !== null, 'an acknowledgement of each');
      await systemClock.sleep(Math.random() * 250);
      await appender.kill();
      expect(appender.errors()).toBe('');
      const { store, log } = await open();
      for (const topic of DURABILITIES) {
        const partition = log.topic(topic)!.partitions[0]!;
        expect(numbersOf(await readAll(partition))).toEqual(upTo(partition.highWatermark));
        const last = Number(new RegExp(`.*^${topic} (\\d+)\n`, 'ms').exec(acked())![1]);
        lost[topic] += Math.max(0, last + 1 - partition.highWatermark);
      }
      await log.close();
      await store.close();
    }
    expect(lost).toEqual({ synced: 0, immediate: 0, relaxed: expect.any(Number) as number });
    // Else nothing was killed at a moment that shows the difference.
    expect(lost.relaxed).toBeGreaterThan(0);
  },
);

test(
  'six power cuts: what was acknowledged is on the card, and nothing is taken for damage',
  { timeout: 240_000 },
  async () => {
    const [card, cut] = [join(scratch, 'card'), join(scratch, 'cut')];
    execFileSync('truncate', ['-s', '200M', card]);
    execFileSync('mkfs.ext4', ['-q', card]);
    await mkdir(folder);
    for (let round = 0; round < 6; round += 1) {
      // What is not synced stays in memory: the card is copied as it would be without power.
      execFileSync('mount', ['-o', 'loop,commit=600', card, folder]);
      try {
        const appender = startAppender(`power-${round}`);
        await until(() => appender.acked().includes('2 ') || appender.process.exitCode !== null, 'an acknowledgement');
        await systemClock.sleep(300 + Math.random() * 1000);
        await appender.kill();
        execFileSync('cp', ['--sparse=always', card, cut]);
        execFileSync('umount', [folder]);
        execFileSync('mount', ['-o', 'loop', cut, folder]);
        await checkAgainst(highest(appender.acked()));
      } finally {
        execFileSync('umount', [folder]);
      }
    }
  },
);

test('a sync that fails now and then costs nothing that was acknowledged', { timeout: 120_000 }, async () => {
  const wrap = [
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    'trace=fdatasync',
    '-e',
    'inject=fdatasync:error=EIO:when=20+15',
  ];
  const appender = startAppender('eio', wrap);
  await until(() => Math.min(...highest(appender.acked())) > 500, 'acknowledged records between failing syncs');
  await appender.kill();
  expect(appender.errors()).toContain('a write failed');
  await checkAgainst(highest(appender.acked()));
});

test('a full disk refuses, serves, and goes on by itself when there is room', { timeout: 120_000 }, async () => {
  let appender: Appender | undefined;
  await mkdir(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder]);
  try {
    await writeFile(join(folder, 'other'), Buffer.alloc(4 * 1024 * 1024));
    appender = startAppender('full');
    const { acked, errors } = appender;
    await until(() => errors().includes('the disk is full'), 'the disk to be full');
    const before = highest(acked());
    await rm(join(folder, 'other'));
    await until(() => Math.min(...highest(acked())) > Math.max(...before), 'appends to go on');
    await appender.kill();
    // Opening needs some room of its own.
    execFileSync('mount', ['-o', 'remount,size=64m', folder]);
    appender = undefined;
    await checkAgainst(highest(acked()));
  } finally {
    await appender?.kill();
    execFileSync('umount', [folder]);
  }
});

test(
  'a log closes although its disk is full, and what it had not committed is refused',
  { timeout: 60_000 },
  async () => {
    await mkdir(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
    try {
      const { store, log } = await open();
      const partition = log.ensureTopic('t').partitions[0]!;
      const acked = 20;
      for (const number of upTo(acked)) await partition.append(batchOf(number, 1, { bytes: 10_000 }));
      // Others take the room that the ballast gives back, too: only then does a write stay refused.
      const refused = log.mark('of/nobody', Buffer.alloc(10_000)).done();
      const outcome = refused.catch((error: unknown) => error);
      let refusedLooks = 0;
      await until(() => {
        fillUp(join(folder, 'other'));
        if (store.failure() === undefined) log.mark('of/nobody', Buffer.alloc(10_000)).whenDone(() => undefined);
        const isRefused = store.failure() !== undefined && store.space().ballastBytes === 0;
        // A repeated write that is under way may still find the room that the ballast has given back.
        refusedLooks = isRefused ? refusedLooks + 1 : 0;
        return refusedLooks > 100;
      }, 'the disk to be full');
      // Nothing that was gathered meanwhile may follow the write that failed.
      const waiting = log.mark('of/nobody', null).done();
      const alsoRefused = waiting.catch((error: unknown) => error);
      await log.close().catch((error: unknown) => expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' }));
      await store.close();
      await outcome;
      expect(await alsoRefused).toMatchObject({ code: 'LOG_CLOSED' });
      execFileSync('mount', ['-o', 'remount,size=64m', folder]);
      const again = await open();
      const found = numbersOf(await readAll(again.log.topic('t')!.partitions[0]!));
      expect(found).toEqual(upTo(acked));
      await again.log.close();
      await again.store.close();
    } finally {
      execFileSync('umount', [folder]);
    }
  },
);
