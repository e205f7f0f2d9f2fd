// Kafka Streams with exactly_once_v2: an application that counts words, with state, windows, a repartition and changelogs,
// is killed ten times in mid-run, and so is the node. What it has written equals the plain computation, change by change.
// STREAMS_ON=kafka runs the same against Apache Kafka, which tells whether it is the node or this test that is wrong.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createAppliance } from '../parts/appliance.ts';
import { compileJava, JAVA_FLAGS } from '../parts/java-class.ts';
import { freePort, startKafka } from '../parts/kafka.ts';
import { kcat } from '../parts/kcat.ts';
import { pause, until } from '../parts/until.ts';
import { javaTool } from './java-tool.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 10);
/** With at_least_once some of what a kill interrupts is counted twice, and this test fails. */
const GUARANTEE = process.env['GUARANTEE'] ?? 'exactly_once_v2';
const LINES_EACH = 1000;
/** So far it comes at least between two kills. */
const STEP = 300;
const WORDS = ['pump', 'valve', 'level', 'flow', 'gauge', 'weir', 'sluice', 'basin'];
const MINUTE_MS = 60_000;

interface Broker {
  bootstrap: string;
  /** kill -9, and a start on the same data and port. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  output(): string;
}

async function openBroker(): Promise<Broker> {
  if (process.env['STREAMS_ON'] === 'kafka') {
    const kafka = await startKafka();
    onTestFinished(() => kafka.stop());
    return { bootstrap: kafka.bootstrap, kill: () => kafka.kill(), restart: () => kafka.restart(), output: () => '' };
  }
  const listen = `127.0.0.1:${await freePort()}`;
  const kafka = { listen, 'group.initial.rebalance.delay.ms': 100 };
  const appliance = await createAppliance({ mqtt: { listen: 'off' }, kafka });
  onTestFinished(() => appliance.remove());
  await appliance.start();
  const { kill, start, output } = appliance;
  return { bootstrap: listen, kill, restart: start, output };
}

/** The application, with its state on disk kept from one start to the next. */
async function openApplication(bootstrap: string) {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-streams-'));
  const classPath = await compileJava(join(import.meta.dirname, 'WordCount.java'));
  let child: ChildProcess | undefined;
  let output = '';
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  onTestFinished(async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    start(): void {
      const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
      const args = [...JAVA_FLAGS, quiet, '-cp', classPath, 'WordCount', bootstrap, folder, GUARANTEE];
      child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [child.stdout!, child.stderr!]) {
        stream.on('data', (chunk: Buffer) => void (output = (output + chunk.toString()).slice(-20_000)));
      }
    },
    kill,
    output: () => output,
  };
}

const lineOf = (number: number): string =>
  Array.from({ length: 5 }, (_, at) => WORDS[(number * 7 + at * at) % WORDS.length]!).join(' ');

/** How often each word has come so far: what a count has to say, one number after the other. */
function countsOf(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of lines.flatMap((line) => line.split(' '))) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** What readers of committed records see of a topic, by key, in order. */
async function committed(bootstrap: string, topic: string): Promise<Map<string, number[]>> {
  const how = ['-X', 'isolation.level=read_committed', '-o', 'beginning', '-e', '-q', '-f', '%k|%s\\n'];
  const byKey = new Map<string, number[]>();
  for (const line of String(await kcat(['-b', bootstrap, '-C', '-t', topic, ...how])).split('\n')) {
    const [key, value] = line.split('|');
    if (value !== undefined) byKey.set(key!, [...(byKey.get(key!) ?? []), Number(value)]);
  }
  return byKey;
}

const sum = (counts: Iterable<number>): number => [...counts].reduce((total, count) => total + count, 0);

test('a word count is exact, though it and the node are killed ten times each', { timeout: 600_000 }, async () => {
  const broker = await openBroker();
  const { bootstrap } = broker;
  for (const topic of ['lines', 'counted', 'counted-by-minute']) {
    await javaTool(bootstrap, 'TopicCommand', ['--create', '--topic', topic, '--partitions', '2']);
  }
  const application = await openApplication(bootstrap);
  application.start();
  const lines: string[] = [];
  const tell = (): string => `${application.output()}\n${broker.output().slice(-3000)}`;
  const reached = async (): Promise<number> => {
    const asking = ['-b', bootstrap, '-Q', ...['0', '1'].flatMap((each) => ['-t', `counted:${each}:-1`])];
    let ends: Buffer | undefined;
    // Apache Kafka says that it has started somewhat before it leads its partitions.
    const isTold = async (): Promise<boolean> => {
      ends = await kcat(asking).catch(() => undefined);
      return ends !== undefined;
    };
    await until('the broker tells offsets', isTold, 60_000, () => broker.output());
    return sum([...String(ends).matchAll(/offset (\d+)/g)].map(([, offset]) => Number(offset)));
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const more = Array.from({ length: LINES_EACH }, (_, index) => lineOf(lines.length + index));
    lines.push(...more);
    await kcat(['-b', bootstrap, '-P', '-t', 'lines', '-X', 'enable.idempotence=true'], `${more.join('\n')}\n`);
    const before = await reached();
    await until('it goes on', async () => (await reached()) > before + STEP, 120_000, tell);
    await (round % 2 === 0 ? broker : application).kill();
    await pause(round * 20);
    await (round % 2 === 0 ? application : broker).kill();
    await broker.restart();
    application.start();
    const left = sum(countsOf(lines).values()) - (await reached());
    console.log(`killed ${round + 1} times each; ${left} words are left`);
  }
  const wanted = countsOf(lines);
  const isCounted = async (): Promise<boolean> => {
    const values = [...(await committed(bootstrap, 'counted-by-minute')).values()];
    return (await reached()) >= sum(wanted.values()) && values.flat().length >= sum(wanted.values());
  };
  await until('everything is counted', isCounted, 120_000, tell);
  const counted = await committed(bootstrap, 'counted');
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
  for (const [word, count] of wanted) expect(counted.get(word), word).toEqual(upTo(count));
  const byMinute = await committed(bootstrap, 'counted-by-minute');
  const windows = new Map<string, number>();
  for (const [window, values] of byMinute) {
    const [word, start] = window.split('@');
    expect(Number(start) % MINUTE_MS).toBe(0);
    expect(values, window).toEqual(upTo(values.length));
    windows.set(word!, (windows.get(word!) ?? 0) + values.length);
  }
  expect(windows).toEqual(wanted);
  console.log(`${lines.length} lines, ${sum(wanted.values())} words, ${ROUNDS} kills of each: equal`);
});
