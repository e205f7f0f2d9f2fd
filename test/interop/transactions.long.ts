// Exactly once by a client that was not written here: a Java program consumes, transforms and produces in transactions while
// headwater is killed again and again. What came out is read by Java and by librdkafka, committed records only.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { createAppliance } from '../parts/appliance.ts';
import { kafkaLib } from '../parts/kafka.ts';
import { kcat } from '../parts/kcat.ts';
import { javaTool } from './java-tool.ts';
import { openNode } from './open-node.ts';

const COUNT = 1000;
const KILLS = 4;
const JAVA = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off';

async function startCopy(bootstrap: string) {
  const program = join(import.meta.dirname, 'TransactionalCopy.java');
  const args = [...JAVA, QUIET, '-cp', await kafkaLib(), program, bootstrap, 'in', 'out', String(COUNT)];
  const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const ended = once(child, 'close').then(([code]) => code as number);
  return { ended, isRunning: () => child.exitCode === null && child.signalCode === null, output: () => output };
}

function numbersIn(text: string): number[] {
  return text.trim().split('\n').map((line) => Number(line.replace('copy of ', ''))); // prettier-ignore
}

test(
  'what is copied in transactions arrives once, however often headwater is killed',
  { timeout: 240_000 },
  async () => {
    const site = await createAppliance({ commit: { interval: '5ms' } });
    onTestFinished(() => site.remove());
    await site.start();
    const at = ['-b', site.kafka];
    await javaTool(site.kafka, 'TopicCommand', ['--create', '--topic', 'out', '--partitions', '2']);
    const input = Array.from({ length: COUNT }, (_, index) => String(index)).join('\n');
    await kcat([...at, '-P', '-t', 'in', '-X', 'batch.num.messages=20'], `${input}\n`);
    const copy = await startCopy(site.kafka);
    const committed = async (): Promise<number> => {
      const { transactions } = (await site.status()).rooms as { transactions: { committed: number } };
      return transactions.committed;
    };
    for (let kill = 0; kill < KILLS && copy.isRunning(); kill += 1) {
      // Counted anew with each start: two or three are through, and another is under way.
      const enough = 1 + (kill % 3);
      await expect.poll(async () => (copy.isRunning() ? await committed() : enough), { timeout: 60_000, interval: 5 }).toBeGreaterThanOrEqual(enough); // prettier-ignore
      await site.kill();
      await site.start();
    }
    expect(await copy.ended, copy.output() + site.output()).toBe(0);
    const wanted = Array.from({ length: COUNT }, (_, index) => index);
    const consume = ['--topic', 'out', '--from-beginning', '--timeout-ms', '8000', '--max-messages', String(COUNT)];
    const byJava = await javaTool(site.kafka, 'consumer.ConsoleConsumer', [...consume, '--isolation-level', 'read_committed']); // prettier-ignore
    expect(numbersIn(byJava).toSorted((a, b) => a - b)).toEqual(wanted);
    const read = async (partition: number, isolation: string): Promise<number[]> => {
      const from = ['-C', '-t', 'out', '-p', String(partition), '-o', 'beginning', '-e', '-q'];
      return numbersIn(String(await kcat([...at, ...from, '-X', `isolation.level=${isolation}`])));
    };
    // In order as well, with nothing left out.
    expect(await read(0, 'read_committed')).toEqual(wanted.filter((value) => value % 2 === 0));
    expect(await read(1, 'read_committed')).toEqual(wanted.filter((value) => value % 2 === 1));
    // There was something to leave out.
    expect((await read(0, 'read_uncommitted')).length).toBeGreaterThan(COUNT / 2);
    const listed = await javaTool(site.kafka, 'TransactionsCommand', ['list']);
    expect(listed).toMatch(/^copy\s+1\s+\d+\s+CompleteCommit/m);
    const described = await javaTool(site.kafka, 'TransactionsCommand', ['describe', '--transactional-id', 'copy']);
    expect(described).toMatch(/\scopy\s+\d+\s+\d+\s+CompleteCommit\s+20000/);
    const hanging = ['find-hanging', '--broker-id', '1', '--max-transaction-timeout', '1'];
    expect((await javaTool(site.kafka, 'TransactionsCommand', hanging)).trim().split('\n')).toHaveLength(1);
  },
);

test(
  'kafka-transactions.sh ends what no coordinator knows, and what somebody has left open',
  { timeout: 120_000 },
  async () => {
    const node = await openNode();
    onTestFinished(() => node.close());
    const partition = (await node.log.createTopic('t')).partitions[0]!;
    const left = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('a') }], { producerId: 70, producerEpoch: 3, baseSequence: 0, isTransactional: true }); // prettier-ignore
    await partition.append(left, true);
    const tool = (...args: string[]) => javaTool(node.bootstrap, 'TransactionsCommand', args);
    const place = ['--topic', 't', '--partition', '0'];
    expect(await tool('describe-producers', ...place)).toMatch(/^70\s+3\s+-1\s+0\s+1\s+0\s*$/m);
    await tool('abort', ...place, '--start-offset', '0');
    expect([partition.lastStableOffset, partition.highWatermark]).toEqual([2, 2]);
    const { errorCode, ...producer } = await node.transactions.init('mine', 60_000);
    expect(errorCode).toBe(0);
    node.transactions.addPartitions({ transactionalId: 'mine', ...producer }, [partition]);
    await tool('forceTerminateTransaction', '--transactionalId', 'mine');
    expect(node.transactions.describe('mine')).toMatchObject({ state: 'Empty', producerEpoch: 1 });
  },
);
