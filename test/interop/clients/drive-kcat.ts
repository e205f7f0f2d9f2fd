// kcat (librdkafka 2.0 of Debian) as a driver of the matrix (see client.ts): it runs the command and tells in JSON what that
// printed. It sets no time of a record and one list of headers for all.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { kcat } from '../../parts/kcat.ts';
import { drive, numbers, options, say, sayPartitions, stopped } from './driver.ts';
import { recordOf, WRITTEN_PARTITIONS, type SeenRecord } from './records.ts';

const { topic, group, bootstrap } = options;
const NODE = ['-b', bootstrap];

async function send(topic: string, which: number[], more: string[]): Promise<number> {
  for (const partition of numbers(0, WRITTEN_PARTITIONS)) {
    const own = which.map(recordOf).filter((record) => record.partition === partition);
    const lines = own.map(({ key, value }) => `${key ?? ''}|${value}\n`).join('');
    const headers = own[0]!.headers.flatMap(([name, value]) => ['-H', `${name}=${value}`]);
    await kcat([...NODE, '-P', '-t', topic, '-p', String(partition), '-K', '|', '-Z', ...headers, ...more], lines);
  }
  return which.length;
}

async function produce(): Promise<void> {
  const acked: Record<string, number> = {};
  const { count, idempotent } = options;
  const settings = idempotent
    ? ['-X', 'enable.idempotence=true', '-X', 'batch.num.messages=25']
    : ['-X', 'linger.ms=50'];
  for (const compression of options.compressions) {
    const more = ['-z', compression, ...settings];
    acked[compression] = await send(`${topic}-${compression}`, numbers(0, count), more);
  }
  say('result', { acked });
}

interface KcatJson {
  partition: number;
  offset: number;
  ts: number;
  key: string | null;
  payload: string | null;
  headers?: (string | null)[];
}

async function read(args: string[]): Promise<SeenRecord[]> {
  const out = String(await kcat([...NODE, '-J', '-q', '-X', 'check.crcs=true', ...args]));
  return out
    .trimEnd()
    .split('\n')
    .map((line) => seenOf(JSON.parse(line) as KcatJson));
}

function seenOf({ partition, offset, ts, key, payload, headers = [] }: KcatJson): SeenRecord {
  const pairs = numbers(0, headers.length / 2).map((at): [string, string | null] => [
    headers[2 * at]!,
    headers[2 * at + 1]!,
  ]);
  return { partition, offset, timestampMs: ts, key, value: payload, headers: pairs };
}

async function consume(): Promise<void> {
  const isolation = ['-X', `isolation.level=${options.committed ? 'read_committed' : 'read_uncommitted'}`];
  const records = await read(['-C', '-t', topic, '-o', 'beginning', '-c', String(options.count), ...isolation]);
  say('result', { records });
}

async function member(): Promise<void> {
  const settings = {
    'auto.offset.reset': 'earliest',
    'session.timeout.ms': options.sessionMs,
    'heartbeat.interval.ms': 500,
    'auto.commit.interval.ms': 200,
    'partition.assignment.strategy': options.cooperative ? 'cooperative-sticky' : 'range',
    ...(options.instance !== undefined && { 'group.instance.id': options.instance }),
  };
  const more = Object.entries(settings).flatMap(([name, value]) => ['-X', `${name}=${value}`]);
  const child = spawn('kcat', [...NODE, '-G', group, '-u', '-f', '%s\\n', ...more, topic]);
  createInterface({ input: child.stdout }).on('line', (value) => say('record_data', { value }));
  createInterface({ input: child.stderr }).on('line', (line) => {
    const partitions = [...line.matchAll(/\[(\d+)\]/g)].map(([, partition]) => Number(partition));
    if (/rebalanced.*: (assigned|incremental assignment)/.test(line)) sayPartitions('partitions_assigned', partitions);
    else if (/rebalanced.*: (revoked|incremental (revoke|unassign))/.test(line))
      sayPartitions('partitions_revoked', partitions);
    else say('told', { line });
  });
  const ended = once(child, 'exit');
  await Promise.race([stopped(), ended]);
  child.kill('SIGTERM');
  await ended;
}

/** Reads so many in a group, and commits as it ends. */
async function resume(): Promise<void> {
  const settings = ['-X', 'auto.offset.reset=earliest', '-q', '-f', '%s\\n', '-c', String(options.count)];
  const out = await kcat([...NODE, '-G', group, ...settings, topic]);
  say('result', { values: String(out).trimEnd().split('\n') });
}

async function seek(): Promise<void> {
  const records = await read(['-C', '-t', topic, '-p', '0', '-o', `s@${options.timeMs}`, '-c', String(options.count)]);
  say('result', { offset: records[0]!.offset, values: records.map(({ value }) => value) });
}

/** All that it can ask: who is there, and where a topic ends. */
async function walk(): Promise<void> {
  const listing = JSON.parse(String(await kcat([...NODE, '-L', '-J']))) as { brokers: { id: number }[] };
  const end = String(await kcat([...NODE, '-Q', '-t', `${topic}:0:-1`]));
  say('result', { nodes: listing.brokers.map(({ id }) => id), end: Number(/offset (\d+)/.exec(end)![1]) });
}

async function transact(): Promise<void> {
  await send(topic, numbers(0, 150), ['-X', `transactional.id=${options.transactionalId}`]);
  say('result', { acked: { none: 150 } });
}

await drive({ produce, transact, consume, member, resume, seek, admin: walk });
