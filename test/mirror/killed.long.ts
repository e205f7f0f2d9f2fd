import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { expectOnce } from './real-upstream.ts';

const KILLS = 20;
const KILLS_WHILE_CLEANING = 8;

let kafka: Kafka;
let folder: string;
let child: ChildProcess | undefined;
beforeAll(async () => {
  kafka = await startKafka();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-killed-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});
afterAll(() => kafka.stop());

/** Starts the process; resolves with the lines it prints once it is up. */
async function start(task: 'load' | 'drain', ...more: string[]): Promise<AsyncIterator<string>> {
  const script = join(import.meta.dirname, 'edge-process.ts');
  child = spawn(process.execPath, [script, folder, kafka.linkBootstrap, task, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('up');
  return lines;
}

async function kill(): Promise<void> {
  const gone = new Promise((resolve) => child!.once('exit', resolve));
  child!.kill('SIGKILL');
  await gone;
}

test(`headwater is killed ${KILLS} times under load, some of them while the link is down`, async () => {
  for (let turn = 0; turn < KILLS; turn += 1) {
    await start('load');
    await sleep(200 + Math.random() * 1_500);
    if (turn % 4 === 1) kafka.link.cut();
    if (turn % 4 === 2) kafka.link.resetAfter(Math.random() * 20_000);
    await sleep(Math.random() * 300);
    await kill();
    kafka.link.restore();
  }
  const lines = await start('drain');
  const { counts } = JSON.parse((await lines.next()).value as string) as Drained;
  for (const [partition, count] of counts.entries()) {
    await expectOnce(kafka.bootstrap, 'pump-7.numbers', count, partition);
    expect(count).toBeGreaterThan(1_000);
  }
});

interface Drained {
  counts: number[];
  cleaned: number;
}

test(`headwater is killed ${KILLS_WHILE_CLEANING} times while a compacted topic is cleaned behind its mirror`, async () => {
  for (let turn = 0; turn < KILLS_WHILE_CLEANING; turn += 1) {
    await start('load', 'compact');
    await sleep(500 + Math.random() * 1_000);
    if (turn % 3 === 1) kafka.link.resetAfter(Math.random() * 20_000);
    await sleep(Math.random() * 300);
    await kill();
    kafka.link.restore();
  }
  const lines = await start('drain', 'compact');
  const { counts, cleaned } = JSON.parse((await lines.next()).value as string) as Drained;
  expect(cleaned).toBeGreaterThan(0);
  for (const [partition, count] of counts.entries()) {
    await expectOnce(kafka.bootstrap, 'pump-7.latest', count, partition);
  }
});

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
