// headwater's Kafka door beside Apache Kafka 4.3.1, by Kafka's own tools: produce with acks=all and consume, from one end to
// the other, and what a rebalance of many members takes. headwater acknowledges what is on the card; Apache Kafka, by its
// default, what is in memory, so it runs twice: as it is, and with a sync after each batch.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { kafkaLib, startKafka } from '../../test/parts/kafka.ts';
import { cpuSecondsOf, memoryOf } from '../measure.ts';
import { rebalanceMs } from '../members.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater } from '../servers.ts';
import type { Stand } from '../stand.ts';

const run = promisify(execFile);
const MEMBERS = 50;
const CLIENT = ['-Xmx256m', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'];
/** As kafka-server-start.sh has it. */
const HEAP_MB = 1024;
const SERVER = ['-Xms1024m', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:InitiatingHeapOccupancyPercent=35'];

interface Broker {
  name: string;
  bootstrap: string;
  pid: number;
  stop(): Promise<void>;
}

interface Measured {
  cells: Map<string, { perSecond: number; cpuUs: number; p99Ms?: number }>;
  end: { p50: string; p99: string };
  idleMib: number;
  loadedMib: number;
  rebalance: { goes: number; comes: number };
}

interface Case {
  name: string;
  size: number;
  partitions: number;
  count: number;
}

export async function measureKafka(stand: Stand): Promise<Section> {
  const payloadBytes = stand.isQuick ? 5e6 : 1e8;
  const cases = [100, 1000].flatMap((size) =>
    [1, 8].map((partitions): Case => ({
      name: `${size} B, ${partitions} partition${partitions === 1 ? '' : 's'}`,
      size,
      partitions,
      count: payloadBytes / size,
    })),
  );
  const flushing = { 'log.flush.interval.messages': '1' };
  const starts: (() => Promise<Broker>)[] = [
    () => openHeadwater(stand, 'headwater, synced'),
    () => openKafka('Kafka, default', {}),
    () => openKafka('Kafka, a sync after each batch', flushing),
  ];
  const measured = new Map<string, Measured>();
  for (const start of starts) {
    const broker = await start();
    try {
      measured.set(broker.name, await measure(stand, broker, cases));
    } finally {
      await broker.stop();
    }
  }
  // As it is for the first minutes, when each record that comes alone has its commit at once.
  const fresh = await openHeadwater(stand, 'headwater, with credit', '1h');
  const withCredit = await endToEnd(stand, fresh);
  await fresh.stop();
  return { name: 'kafka', lines: report(measured, [fresh.name, withCredit.p50, withCredit.p99], cases, stand.isQuick) };
}

async function openHeadwater(stand: Stand, name: string, burst?: string): Promise<Broker> {
  const options = { dir: stand.makeFolder(name.replaceAll(/\W+/g, '-')), kafka: true, ...(burst && { burst }) };
  const { kafkaPort, pid, stop } = await startHeadwater(stand, options);
  return { name, bootstrap: `127.0.0.1:${kafkaPort}`, pid, stop };
}

async function openKafka(name: string, config: Record<string, string>): Promise<Broker> {
  const kafka = await startKafka({ heapMb: HEAP_MB, flags: SERVER, config });
  return { name, bootstrap: kafka.bootstrap, pid: kafka.pid, stop: () => kafka.stop() };
}

async function measure(stand: Stand, broker: Broker, cases: readonly Case[]): Promise<Measured> {
  const idleMib = memoryOf(broker.pid).rssMib;
  const cells: Measured['cells'] = new Map();
  for (const [index, { name, size, partitions, count }] of cases.entries()) {
    const topic = `bench-${index}`;
    stand.progress(`kafka: ${broker.name}: ${name}`);
    await tool(broker, 'TopicCommand', ['--create', '--topic', topic, '--partitions', String(partitions)]);
    const load = [
      '--topic',
      topic,
      '--record-size',
      String(size),
      '--throughput',
      '-1',
      '--command-property',
      'acks=all',
    ];
    // The first records go to a cold program.
    await tool(broker, 'ProducerPerformance', [...load, '--num-records', String(count / 10)]);
    const produced = await timed(broker, count, () =>
      tool(broker, 'ProducerPerformance', [...load, '--num-records', String(count)]),
    );
    const [, rate] = /([\d.]+) records\/sec/.exec(produced.said.trim().split('\n').at(-1)!) ?? [];
    const [, p99] = /(\d+) ms 99th/.exec(produced.said.trim().split('\n').at(-1)!) ?? [];
    cells.set(`produce, ${name}`, { perSecond: Number(rate), cpuUs: produced.cpuUs, p99Ms: Number(p99) });
    const reading = (records: number): string[] => {
      return ['--topic', topic, '--num-records', String(records), '--timeout', '60000'];
    };
    await tool(broker, 'ConsumerPerformance', reading(count / 10));
    const consumed = await timed(broker, count, () => tool(broker, 'ConsumerPerformance', reading(count)));
    // The last column is of fetching alone, without the group's first rebalance.
    const perSecond = Number(consumed.said.trim().split('\n').at(-1)!.split(',').at(-1));
    cells.set(`consume, ${name}`, { perSecond, cpuUs: consumed.cpuUs });
  }
  const loadedMib = memoryOf(broker.pid).rssMib;
  const end = await endToEnd(stand, broker);
  stand.progress(`kafka: ${broker.name}: ${MEMBERS} members`);
  await tool(broker, 'TopicCommand', ['--create', '--topic', 'members', '--partitions', String(2 * MEMBERS)]);
  const rebalance = await rebalanceMs(broker.bootstrap, 'members', MEMBERS);
  return { cells, end, idleMib, loadedMib, rebalance };
}

async function endToEnd(stand: Stand, broker: Broker): Promise<Measured['end']> {
  stand.progress(`kafka: ${broker.name}: from end to end`);
  await tool(broker, 'TopicCommand', ['--create', '--topic', 'end', '--partitions', '1']);
  const counts = ['--num-records', stand.isQuick ? '200' : '3000', '--record-size', '100'];
  const told = await tool(broker, 'EndToEndLatency', ['--topic', 'end', ...counts, '--producer-acks', 'all']);
  const [, p50 = '?', p99 = '?'] = /50th = ([\d.]+), 99th = ([\d.]+)/.exec(told) ?? [];
  return { p50, p99 };
}

async function timed(
  broker: Broker,
  count: number,
  act: () => Promise<string>,
): Promise<{ said: string; cpuUs: number }> {
  const before = cpuSecondsOf(broker.pid);
  const said = await act();
  return { said, cpuUs: ((cpuSecondsOf(broker.pid) - before) / count) * 1e6 };
}

async function tool(broker: Broker, name: string, args: string[]): Promise<string> {
  const className = `org.apache.kafka.tools.${name}`;
  const command = [...CLIENT, '-cp', await kafkaLib(), className, '--bootstrap-server', broker.bootstrap, ...args];
  return (await run('java', command, { maxBuffer: 1 << 26 })).stdout;
}

function report(
  measured: Map<string, Measured>,
  withCredit: string[],
  cases: readonly Case[],
  isQuick: boolean,
): string[] {
  const names = [...measured.keys()];
  const [own, ...others] = [...measured.values()] as [Measured, ...Measured[]];
  const rows: string[][] = [];
  for (const name of own.cells.keys()) {
    const all = [own, ...others].map(({ cells }) => cells.get(name)!);
    const [first] = all as [(typeof all)[number]];
    rows.push([
      name,
      ...all.map(({ perSecond }) => perSecond.toFixed(0)),
      ratio(first.perSecond, all[1]!.perSecond),
      ...all.map(({ cpuUs }) => cpuUs.toFixed(2)),
      ratio(first.cpuUs, all[1]!.cpuUs),
    ]);
  }
  const short = ['headwater', 'Kafka', 'Kafka synced'];
  const head = [
    '',
    ...short.map((each) => `${each}, records/s`),
    'of Kafka',
    ...short.map((each) => `${each}, CPU us/record`),
    'of Kafka',
  ];
  const more = [...measured].map(([name, { end, idleMib, loadedMib, rebalance }]) => [
    name,
    end.p50,
    end.p99,
    idleMib.toFixed(0),
    loadedMib.toFixed(0),
    rebalance.goes.toFixed(0),
    rebalance.comes.toFixed(0),
  ]);
  more.splice(1, 0, [...withCredit, '', '', '', '']);
  const moreHead = [
    '',
    'end to end p50 ms',
    'p99 ms',
    'RSS MiB at the start',
    'after the load',
    `one of ${MEMBERS} members goes, ms`,
    'one comes, ms',
  ];
  return [
    `${names.join('; ')}. kafka-producer-perf-test with acks=all and kafka-consumer-perf-test of Apache Kafka 4.3.1, ` +
      `${(cases[0]!.count * cases[0]!.size) / 1e6} MB each${isQuick ? ' (quick)' : ''}; Kafka with a heap of ${HEAP_MB} MiB and the flags of its start script.`,
    '',
    ...table(head, rows),
    '',
    `kafka-e2e-latency with records of 100 bytes, one at a time; kafkajs, ${MEMBERS} members and ${2 * MEMBERS} partitions.`,
    '',
    ...table(moreHead, more),
  ];
}

const ratio = (one: number, other: number): string => `${Math.round((one / other) * 100)} %`;
