// A folder in which a page's commands are typed: `headwater` and Apache Kafka's console consumer are on its PATH as an
// installation has them, firmware-bridge/ lies in it. What a command prints is kept, and nothing that runs outlives the test.

import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { kafkaLib } from '../parts/kafka.ts';
import { until } from '../parts/until.ts';
import type { Block } from './page.ts';

const ROOT = join(import.meta.dirname, '../..');
/** What stays behind when the library is copied: what it has built. */
const NOT_COPIED = new Set(['build', '__pycache__']);

export interface Running {
  output(): string;
  /** Types into it. */
  write(bytes: Buffer): void;
  onData(listener: (bytes: Buffer) => void): void;
  /** Waits for output; throws with all of it when the program ends before. */
  says(what: RegExp, timeoutMs?: number): Promise<string>;
  /** Resolves with its exit code. */
  ended(): Promise<number | null>;
  stop(): Promise<void>;
}

export interface Site {
  readonly folder: string;
  /** Writes the page's files; names with folders as well. */
  write(blocks: Block[], into?: string): Promise<void>;
  /** Copies firmware-bridge/ to a place in the folder. */
  copyLibrary(to: string): Promise<void>;
  /** Runs a command to its end in a folder of the site; returns what it printed. Throws with all of it when it fails. */
  run(command: string, within?: string): Promise<string>;
  /** Starts a command that goes on. */
  start(command: string, within?: string): Running;
  /** Ends what runs, and removes the folder. */
  remove(): Promise<void>;
}

export async function openSite(environment: Record<string, string>): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-page-'));
  const env = { ...process.env, ...environment, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
  const running = new Set<Running>();
  await mkdir(join(folder, 'bin'));
  await install('headwater', `exec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"`);
  const consumer = 'org.apache.kafka.tools.consumer.ConsoleConsumer';
  await install('kafka-console-consumer.sh', `exec java -Xmx128m -cp '${await kafkaLib()}' ${consumer} "$@"`);

  async function install(name: string, line: string): Promise<void> {
    const path = join(folder, 'bin', name);
    await writeFile(path, `#!/bin/sh\n${line}\n`);
    await chmod(path, 0o755);
  }

  function start(command: string, within = '.'): Running {
    const child = spawn('bash', ['-c', `exec ${command}`], { cwd: join(folder, within), env });
    const started = follow(command, child);
    running.add(started);
    return started;
  }

  async function run(command: string, within = '.'): Promise<string> {
    const child = spawn('bash', ['-o', 'pipefail', '-c', command], { cwd: join(folder, within), env });
    const started = follow(command, child);
    running.add(started);
    child.stdin.end();
    const code = await started.ended();
    running.delete(started);
    if (code !== 0) throw new Error(`${command}\nended with ${code}:\n${started.output()}`);
    return started.output();
  }

  return {
    folder,
    run,
    start,
    async write(blocks, into = '.') {
      for (const { file, text } of blocks) {
        if (file === undefined) continue;
        await mkdir(dirname(join(folder, into, file)), { recursive: true });
        await writeFile(join(folder, into, file), text);
      }
    },
    async copyLibrary(to) {
      const filter = (path: string): boolean => !NOT_COPIED.has(basename(path));
      await cp(join(ROOT, 'firmware-bridge'), join(folder, to), { recursive: true, filter });
    },
    async remove() {
      for (const one of running) await one.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// A test that ends in the middle of things leaves no program behind.
const live = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of live) child.kill('SIGKILL');
});

function follow(command: string, child: ReturnType<typeof spawn>): Running {
  let output = '';
  live.add(child);
  const listeners = new Set<(bytes: Buffer) => void>();
  const closed = new Promise<number | null>((resolve) => {
    child.once('error', (error) => (output += error.message));
    child.once('close', (code) => {
      live.delete(child);
      resolve(code);
    });
  });
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  child.stdout!.on('data', (bytes: Buffer) => {
    if (listeners.size === 0) output += bytes.toString();
    for (const listener of listeners) listener(bytes);
  });
  child.stderr!.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stdin!.on('error', () => undefined);
  return {
    output: () => output,
    write: (bytes) => void child.stdin!.write(bytes),
    onData: (listener) => void listeners.add(listener),
    async says(what, timeoutMs = 60_000) {
      const isSaid = (): boolean => {
        if (what.test(output)) return true;
        if (isOver()) throw new Error(`${command}\nended without ${what}:\n${output}`);
        return false;
      };
      await until(`${command} says ${what}`, isSaid, timeoutMs, () => output);
      return output;
    },
    ended: () => closed,
    async stop() {
      if (!isOver()) child.kill('SIGKILL');
      await closed;
    },
  };
}
