// The stand that measurements are made on: a folder of its own, the programs that it has started, the load generator, and
// a line of progress. Everything that was made is taken away again when the stand is closed, and when the run is cut short.

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isInMemory } from './measure.ts';

const run = promisify(execFile);
const STOP_MS_MAX = 20_000;
const START_MS_MAX = 120_000;
const OUTPUT_MAX = 4_000;

export interface Program {
  readonly pid: number;
  /** The end of what it has printed. */
  output(): string;
  /** SIGTERM, SIGKILL where that does not help; resolves when it is gone. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  port: number;
  payload: 'json' | 'random';
  /** Bytes of a random payload, 120 by default; a JSON reading has 120. */
  size?: number;
  connections?: number;
  window?: number;
  /** Different topics a connection; 10 by default. */
  machines?: number;
  /** Messages a second over all connections; full speed by default. */
  rate?: number;
  /** How long, or how many. */
  seconds?: number;
  count?: number;
}

export interface LoadResult {
  acked: number;
  seconds: number;
  perSecond: number;
  payloadBytes: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface Stand {
  readonly isQuick: boolean;
  /** A new folder below the stand's own. */
  makeFolder(name: string): string;
  /** Before the stand is closed, for the room on the disk. */
  removeFolder(folder: string): void;
  progress(text: string): void;
  /** Starts a program and resolves when `isReady` does not throw any more. Throws with its output when it ends before. */
  start(command: string, args: string[], options: StartOptions): Promise<Program>;
  /** Publishes; resolves when all is acknowledged. Throws when the server refuses, closes, or stalls for 30 s. */
  load(options: LoadOptions): Promise<LoadResult>;
  /** What to do when the stand is closed, in reverse order; synchronous, so that it also happens when the run is cut short. */
  defer(undo: () => void): void;
  close(): void;
}

export interface StartOptions {
  env?: Record<string, string>;
  isReady(): Promise<void>;
  /** Debian's package that brings the program. */
  package?: string;
}

export async function openStand(options: { isQuick: boolean; dir?: string }): Promise<Stand> {
  const parent = options.dir ?? tmpdir();
  if (isInMemory(parent)) throw new Error(`${parent} is kept in memory: name a folder on a disk with --dir`);
  const folder = mkdtempSync(join(parent, 'headwater-bench-'));
  const undos: (() => void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const children = new Set<ChildProcess>();
  const close = (): void => {
    for (const child of children) child.kill('SIGKILL');
    for (const undo of undos.splice(0).toReversed()) undo();
  };
  process.on('exit', close);
  const generator = join(folder, 'load');
  await compile(generator);

  async function start(command: string, args: string[], options: StartOptions): Promise<Program> {
    const child = spawn(command, args, { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    let output = '';
    const onData = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-OUTPUT_MAX));
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    let failure: Error | undefined;
    child.once('error', (cause) => (failure = missing(command, options.package, cause)));
    child.once('exit', () => children.delete(child));
    for (let waitedMs = 0; ; waitedMs += 50) {
      await sleep(50);
      if (failure !== undefined) throw failure;
      if (hasEnded(child)) throw new Error(`${command} ended at its start:\n${output}`);
      try {
        await options.isReady();
        return { pid: child.pid!, output: () => output, stop: () => end(child) };
      } catch (cause) {
        if (waitedMs > START_MS_MAX) throw new Error(`${command} did not start:\n${output}`, { cause });
      }
    }
  }

  return {
    isQuick: options.isQuick,
    makeFolder(name) {
      const made = join(folder, name);
      mkdirSync(made, { recursive: true });
      return made;
    },
    removeFolder: (made) => rmSync(made, { recursive: true, force: true }),
    progress: showProgress,
    start,
    load: (options) => load(generator, options, children),
    defer: (undo) => void undos.push(undo),
    close,
  };
}

/** What to say where a program that is needed is not there. */
export function missing(command: string, name: string | undefined, cause: unknown): Error {
  const hint = name === undefined ? '' : ` (install the package ${name})`;
  return new Error(`${command} can't be run${hint}`, { cause });
}

async function compile(file: string): Promise<void> {
  try {
    await run('cc', ['-O2', '-o', file, join(import.meta.dirname, 'load.c')]);
  } catch (error) {
    throw missing('cc', 'gcc', error);
  }
}

async function load(generator: string, options: LoadOptions, children: Set<ChildProcess>): Promise<LoadResult> {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(generator, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  children.delete(child);
  if (code !== 0) throw new Error(`the load ended with ${String(code)}: ${err.trim()}`);
  return JSON.parse(out) as LoadResult;
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await gone;
  clearTimeout(timer);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function showProgress(text: string): void {
  const time = new Date().toISOString().slice(11, 19);
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${time} ${text}` : `${time} ${text}\n`);
}
