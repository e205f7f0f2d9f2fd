// A program of Apache Kafka that runs until it is ended (a Connect worker, MirrorMaker, a Streams application), with its
// properties in a file.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JAVA_FLAGS } from '../parts/java-class.ts';
import { kafkaLib } from '../parts/kafka.ts';

const OUTPUT_MAX = 20_000;

export interface JavaProcess {
  /** A folder of its own, which goes with it. */
  readonly folder: string;
  start(): void;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** The end of what it has printed. */
  output(): string;
  /** Kills it and removes the folder. */
  remove(): Promise<void>;
}

/** `properties` may speak of the folder as FOLDER. Starts nothing. */
export async function openJavaProcess(className: string, properties: Record<string, string>): Promise<JavaProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-java-'));
  const file = join(folder, 'program.properties');
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value.replaceAll('FOLDER', folder)}\n`);
  await writeFile(file, lines.join(''));
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
  const command = [...JAVA_FLAGS, '-Xmx256m', quiet, '-cp', await kafkaLib(), className, file];
  let child: ChildProcess | undefined;
  let output = '';
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  return {
    folder,
    start() {
      const started = spawn('java', command, { stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      live.add(started);
      started.once('exit', () => live.delete(started));
      for (const stream of [started.stdout, started.stderr]) {
        stream.on('data', (chunk: Buffer) => void (output = (output + chunk.toString()).slice(-OUTPUT_MAX)));
      }
    },
    kill,
    output: () => output,
    async remove() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// A test that is ended in the middle must not leave a program behind.
const live = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of live) child.kill('SIGKILL');
});
