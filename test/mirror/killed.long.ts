import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { expectOnce } from './real-upstream.ts';

const KILLS = 20;

let kafka: Kafka;
let folder: string;
let child: ChildProcess | undefined;
beforeAll(async () => {
  kafka = await startKafka();
  folder = await mkdtemp(join(tmpdir(), 'headwater-killed-'));
});
afterAll(async () => {
  child?.kill('SIGKILL');
  await kafka.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Starts the process; resolves with the lines it prints once it is up. */
async function start(task: 'load' | 'drain'): Promise<AsyncIterator<string>> {
  const script = join(import.meta.dirname, 'edge-process.ts');
  child = spawn(process.execPath, [script, folder, kafka.linkBootstrap, task], {
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
  const counts = JSON.parse((await lines.next()).value as string) as number[];
  for (const [partition, count] of counts.entries()) {
    await expectOnce(kafka.bootstrap, 'pump-7.numbers', count, partition);
    expect(count).toBeGreaterThan(1_000);
  }
});

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
