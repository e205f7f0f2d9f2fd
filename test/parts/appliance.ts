// A whole headwater as a process of its own, for tests that kill it: `node src/main.ts serve --config F`, on ports and a
// folder that stay the same from one start to the next.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Status } from '../../src/http/status.ts';
import type { MirrorStatus } from '../../src/mirror/mirror-status.ts';
import { processWrittenBytes, readText } from '../../src/wear/kernel.ts';
import { freePort } from './kafka.ts';
import { until } from './until.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const START_MS = 30_000;
const OUTPUT_MAX = 64 * 1024;

export interface Appliance {
  readonly mqttPort: number;
  readonly kafka: string;
  readonly http: string;
  readonly folder: string;
  /** What all starts printed, the end of it. */
  output(): string;
  /** Starts the process and does not wait for it. */
  launch(): void;
  /** Starts the process; resolves when it is ready. Throws with its output when it ends instead. */
  start(): Promise<void>;
  /** Starts the process where it can't serve; resolves when it has ended. */
  fail(): Promise<{ code: number | null; said: string }>;
  isRunning(): boolean;
  /** What its processes have written to disks, as the kernel counts it; of one that ended by itself, up to the last call. */
  writtenBytes(): number;
  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code and how long it took. */
  terminate(): Promise<{ code: number | null; tookMs: number }>;
  status(): Promise<Status>;
  /** State of the first mirror. */
  mirror(): Promise<MirrorStatus>;
  /**
   * Resolves when the first mirror has sent all that is in the log. It may be silent for a minute before it sends again
   * what a dead process had sent under a producer that the upstream has never seen.
   */
  mirrored(timeoutMs?: number): Promise<void>;
  /** Kills it and removes the folder. */
  remove(): Promise<void>;
}

/** What of the configuration a test has to say; ports and folder are added. */
export type ApplianceConfig = Record<string, unknown> & { data?: Record<string, unknown> };

/** Makes the folder and the file; starts nothing. `data.dir` may be another one's. `env` is added to the environment. */
export async function createAppliance(
  { data = {}, ...config }: ApplianceConfig,
  env: Record<string, string> = {},
): Promise<Appliance> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-journey-'));
  const [mqttPort, kafkaPort, httpPort] = [await freePort(), await freePort(), await freePort()];
  const file = join(folder, 'headwater.yaml');
  const listen = (port: number): { listen: string } => ({ listen: `127.0.0.1:${port}` });
  const { mqtt = {}, ...others } = config;
  await writeFile(
    file,
    stringify({
      node: { name: 'edge' },
      data: { dir: join(folder, 'data'), ...data },
      mqtt: { ...listen(mqttPort), ...(mqtt as object) },
      kafka: listen(kafkaPort),
      http: listen(httpPort),
      ...others,
    }),
  );
  let child: ChildProcess | undefined;
  let output = '';
  /** Of the processes that have ended, and of the one that runs when it was looked at last. */
  let [endedBytes, seenBytes] = [0, 0];

  function launch(): void {
    if (isRunning()) throw new Error('headwater runs already');
    const launched = spawn(process.execPath, ['--max-semi-space-size=1', MAIN, 'serve', '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    child = launched;
    live.add(launched);
    launched.once('exit', () => {
      live.delete(launched);
      endedBytes += seenBytes;
      seenBytes = 0;
    });
    const onOutput = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-OUTPUT_MAX));
    launched.stdout.on('data', onOutput);
    launched.stderr.on('data', onOutput);
  }

  async function start(): Promise<void> {
    launch();
    const started = child!;
    const isReady = async (): Promise<boolean> => {
      if (started.exitCode !== null) throw new Error(`headwater ended with ${started.exitCode}:\n${output}`);
      return fetch(`http://127.0.0.1:${httpPort}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    };
    await until('headwater is ready', isReady, START_MS, () => output);
  }

  async function fail(): Promise<{ code: number | null; said: string }> {
    const before = output.length;
    launch();
    const [code] = (await once(child!, 'close')) as [number | null];
    return { code, said: output.slice(before) };
  }

  function isRunning(): boolean {
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  function writtenBytes(): number {
    const read = (path: string): string | undefined => readText(path.replace('/self/', `/${child?.pid}/`));
    if (isRunning()) seenBytes = processWrittenBytes(read) ?? seenBytes;
    return endedBytes + seenBytes;
  }

  async function kill(): Promise<void> {
    if (!isRunning()) return;
    writtenBytes();
    const gone = once(child!, 'exit');
    child!.kill('SIGKILL');
    await gone;
  }

  async function terminate(): Promise<{ code: number | null; tookMs: number }> {
    const startMs = performance.now();
    writtenBytes();
    const gone = once(child!, 'exit');
    child!.kill('SIGTERM');
    const [code] = (await gone) as [number | null];
    return { code, tookMs: performance.now() - startMs };
  }

  async function status(): Promise<Status> {
    const answer = await fetch(`http://127.0.0.1:${httpPort}/status`);
    return (await answer.json()) as Status;
  }

  async function mirror(): Promise<MirrorStatus> {
    const { rooms } = await status();
    return (rooms['mirror'] as MirrorStatus[])[0]!;
  }

  async function mirrored(timeoutMs = 180_000): Promise<void> {
    let last: MirrorStatus | undefined;
    const isEven = async (): Promise<boolean> => {
      last = await mirror();
      return last.partitions.every(({ position, end }) => position === end);
    };
    await until('all is upstream', isEven, timeoutMs, () => `${JSON.stringify(last)}\n${output.slice(-4_000)}`);
  }

  return {
    mqttPort,
    kafka: `127.0.0.1:${kafkaPort}`,
    http: `http://127.0.0.1:${httpPort}`,
    folder,
    output: () => output,
    launch,
    start,
    fail,
    isRunning,
    writtenBytes,
    kill,
    terminate,
    status,
    mirror,
    mirrored,
    async remove() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// A test that is ended in the middle must not leave a headwater behind.
const live = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of live) child.kill('SIGKILL');
});
