// The clients of the matrix. None shares code with headwater: each is one small program in its own language, a driver,
// that does the cell named on its command line, with options as JSON, and prints what it saw as lines of JSON:
//
//     {"name":"result", ...}                                    of a cell that ends
//     {"name":"record_data","value":"..."}                      of a member, which runs until it is stopped or killed
//     {"name":"partitions_assigned","partitions":[{"partition":0}]}     and `partitions_revoked`

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { compileJava, JAVA_FLAGS } from '../../parts/java-class.ts';
import type { DriverOptions } from './driver.ts';
import { buildFranzGo } from './go.ts';

const HERE = import.meta.dirname;
const PYTHON = join(HERE, '../../../.parts/python/kafka');
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
const RESULT_MS_MAX = 90_000;
/** What .ci/run installs: the clients, and what they compress with. */
const PYTHON_PACKAGES =
  'confluent-kafka==2.16.1 aiokafka==0.14.0 kafka-python==3.0.12 cramjam==2.14.0 python-snappy==0.7.3 lz4==4.4.5 zstandard==0.25.0';

export type ClientName =
  'kcat' | 'confluent' | 'java' | 'kafkajs' | 'platformatic' | 'kafka-python' | 'aiokafka' | 'franz-go';

export type Options = Partial<DriverOptions> & { bootstrap: string };

/** Starts the driver of a client for one cell. */
type Start = (cell: string, options: Options) => Promise<ChildProcess>;

const node =
  (file: string): Start =>
  async (cell, options) =>
    launch(process.execPath, [join(HERE, file), cell, JSON.stringify(options)]);

const python =
  (file: string): Start =>
  async (cell, options) => {
    if (!existsSync(join(PYTHON, 'kafka'))) {
      throw new Error(`no Kafka clients: python3 -m pip install --target ${PYTHON} ${PYTHON_PACKAGES}`);
    }
    return launch('python3', [join(HERE, file), cell, JSON.stringify(options)], { PYTHONPATH: PYTHON });
  };

const STARTS: Record<ClientName, Start> = {
  kcat: node('drive-kcat.ts'),
  confluent: python('drive_confluent.py'),
  java: async (cell, options) => {
    const classPath = await compileJava(join(HERE, 'Driver.java'));
    return launch('java', [...JAVA_FLAGS, QUIET, '-cp', classPath, 'Driver', cell, JSON.stringify(options)]);
  },
  kafkajs: node('drive-kafkajs.ts'),
  platformatic: node('drive-platformatic.ts'),
  'kafka-python': python('drive_kafka_python.py'),
  aiokafka: python('drive_aiokafka.py'),
  'franz-go': async (cell, options) => launch(await buildFranzGo(), [cell, JSON.stringify(options)]),
};

export const CLIENTS = Object.keys(STARTS) as ClientName[];

// In a group of processes of its own, so that what a driver has started goes with it.
function launch(command: string, args: string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    detached: true,
  });
  live.add(child);
  child.once('exit', () => live.delete(child));
  return child;
}

const live = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of live) kill(child);
});

function kill(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** Does a cell; resolves with what the driver said it saw. Throws with all that it printed when it fails or hangs. */
export async function drive<Result>(client: ClientName, cell: string, options: Options): Promise<Result> {
  const child = await STARTS[client](cell, options);
  let [out, err] = ['', ''];
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (err += text));
  const timer = setTimeout(() => kill(child), RESULT_MS_MAX);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  const result = out
    .split('\n')
    .map(eventOf)
    .find(({ name }) => name === 'result');
  if (code === 0 && result !== undefined) return result as Result;
  const told = `${out.slice(-2000)}\n${err.slice(0, 2000)}\n...\n${err.slice(-2000)}`;
  throw new Error(`${client} ${cell} ended with ${code ?? signal} after ${RESULT_MS_MAX} ms at most:\n${told}`);
}

export interface Member {
  /** Values in the order in which they came. */
  readonly values: string[];
  /** Partitions that it has. */
  readonly assigned: ReadonlySet<number>;
  /** Partitions that were ever taken from it, one by one. */
  readonly revoked: number[];
  /** All that it printed besides records. */
  readonly said: readonly string[];
  /** kill -9. */
  kill(): Promise<void>;
  /** SIGTERM: commits and leaves. */
  stop(): Promise<void>;
}

export async function startMember(client: ClientName, options: Options): Promise<Member> {
  const child = await STARTS[client]('member', options);
  const values: string[] = [];
  const said: string[] = [];
  const revoked: number[] = [];
  const assigned = new Set<number>();
  createInterface({ input: child.stderr! }).on('line', (line) => said.push(line));
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const { name, value, partitions = [] } = eventOf(line);
    if (name === 'record_data') values.push(value!);
    else said.push(line);
    for (const { partition } of partitions) {
      if (name === 'partitions_assigned') assigned.add(partition);
      else if (assigned.delete(partition)) revoked.push(partition);
    }
  });
  child.once('exit', (code, signal) => said.push(`ended with ${code ?? signal}`));
  const ended = once(child, 'exit');
  const end = async (act: () => void): Promise<void> => {
    act();
    await ended;
    assigned.clear();
  };
  return {
    values,
    assigned,
    revoked,
    said,
    kill: () => end(() => kill(child)),
    stop: () => end(() => void child.kill('SIGTERM')),
  };
}

interface Event {
  name?: string;
  value?: string;
  partitions?: { partition: number }[];
}

function eventOf(line: string): Event {
  try {
    return JSON.parse(line) as Event;
  } catch {
    return {};
  }
}
