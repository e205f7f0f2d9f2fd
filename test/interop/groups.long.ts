// Consumer groups of clients that were not written here: what they read is checked, record by record. Everything arrives
// at least once although a member is killed, what was committed does not come again, and nothing behind it is skipped.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { kcat } from '../parts/kcat.ts';
import { until } from '../parts/until.ts';
import { startMember, type Make, type Member } from './group-members.ts';
import { javaTool } from './java-tool.ts';
import { openNode, type Node } from './open-node.ts';

const PARTITIONS = 6;

let node: Node;
const members = new Set<Member>();
beforeAll(async () => {
  node = await openNode();
});
afterAll(async () => {
  await Promise.all([...members].map((member) => member.kill()));
  const { malformed } = node.kafka.status();
  await node.close();
  expect(malformed, node.lines.join('\n')).toBe(0);
});

async function start(make: Make, topic: string, instance?: string): Promise<Member> {
  // A member that is killed is missed soon; a static one has time to come back.
  const sessionMs = instance === undefined ? 6000 : 120_000;
  const options = { bootstrap: node.bootstrap, topic, group: `${topic}-group`, sessionMs };
  const member = await startMember(make, { ...options, ...(instance !== undefined && { instance }) });
  members.add(member);
  return member;
}

/** Appends so many records to each partition, and returns their values. */
async function append(topic: string, from: number, count: number): Promise<string[]> {
  const values: string[] = [];
  for (const partition of node.log.topic(topic)!.partitions) {
    const own = Array.from({ length: count }, (_, index) => `${partition.index}-${from + index}`);
    const records = own.map((value) => ({ timestampMs: Date.now(), key: null, value: Buffer.from(value) }));
    await partition.append(encodeBatch(records));
    values.push(...own);
  }
  return values;
}

function told(everyone: Member[]): string {
  return everyone.map(({ said, values }) => `${values.length} values, ${said.slice(-12).join('\n')}`).join('\n---\n');
}

async function untilShared(everyone: Member[]): Promise<void> {
  const isShared = (): boolean => {
    const all = everyone.flatMap(({ assigned }) => [...assigned]);
    return everyone.every(({ assigned }) => assigned.size > 0) && all.length === PARTITIONS;
  };
  await until('all partitions have one member each', isShared, 60_000, () => told(everyone));
}

async function untilRead(wanted: string[], everyone: Member[]): Promise<void> {
  const isRead = (): boolean => {
    const read = new Set(everyone.flatMap(({ values }) => values));
    return wanted.every((value) => read.has(value));
  };
  await until('everything is read', isRead, 60_000, () => told(everyone));
}

function committed(topic: string): number[] {
  const { partitions } = node.log.topic(topic)!;
  return partitions.map(({ index }) => node.groups.committed(`${topic}-group`, topic, index)?.offset ?? -1);
}

async function untilCommitted(topic: string): Promise<void> {
  const ends = node.log.topic(topic)!.partitions.map(({ highWatermark }) => highWatermark);
  await until(
    'everything is committed',
    () => String(committed(topic)) === String(ends),
    30_000,
    () => String(committed(topic)),
  );
}

describe.for(['java', 'confluent', 'aiokafka'] as const)('a group of three (%s)', (make) => {
  test('a member is killed, nothing is missed, and who comes later goes on where they were', async () => {
    const topic = `three-${make}`;
    await node.log.createTopic(topic, { partitions: PARTITIONS });
    const wanted = await append(topic, 0, 200);
    const everyone = await Promise.all([1, 2, 3].map(() => start(make, topic)));
    await untilShared(everyone);
    wanted.push(...(await append(topic, 200, 200)));
    await untilRead(wanted, everyone);
    const [killed, ...left] = everyone as [Member, ...Member[]];
    wanted.push(...(await append(topic, 400, 200)));
    await killed.kill();
    await untilShared(left);
    wanted.push(...(await append(topic, 600, 200)));
    await untilRead(wanted, everyone);
    await untilCommitted(topic);
    await Promise.all(left.map((member) => member.stop()));
    await until('all have left', () => node.groups.describe(`${topic}-group`)!.state === 'Empty');
    const later = await append(topic, 800, 50);
    const next = await start(make, topic);
    await untilRead(later, [next]);
    // Each once, and nothing that was committed before.
    expect(next.values.toSorted()).toEqual(later.toSorted());
    await next.stop();
  });

  test('a static member that restarts has its partitions again, without a rebalance', async () => {
    const topic = `static-${make}`;
    await node.log.createTopic(topic, { partitions: PARTITIONS });
    const wanted = await append(topic, 0, 20);
    const one = await start(make, topic, 'one');
    const two = await start(make, topic, 'two');
    await untilShared([one, two]);
    await untilRead(wanted, [one, two]);
    const before = [...two.assigned];
    const described = () => node.groups.describe(`${topic}-group`)!;
    await until('the group is stable', () => described().state === 'Stable');
    const { rebalances } = node.groups.status();
    await two.kill();
    const back = await start(make, topic, 'two');
    await until(
      'it has its partitions',
      () => back.assigned.size === before.length,
      30_000,
      () => told([back]),
    );
    expect(back.assigned).toEqual(new Set(before));
    expect(node.groups.status().rebalances).toBe(rebalances);
    expect(described().members).toHaveLength(2);
    await Promise.all([one.stop(), back.stop()]);
  });
});

describe('kcat', () => {
  test('reads in a group to the end, and the next one goes on there', async () => {
    await node.log.createTopic('kcat', { partitions: PARTITIONS });
    const read = async (): Promise<string[]> => {
      const settings = ['-X', 'auto.offset.reset=earliest', '-X', 'session.timeout.ms=6000'];
      const out = await kcat(['-b', node.bootstrap, '-G', 'kcat-group', ...settings, '-e', '-q', 'kcat']);
      return String(out).trimEnd().split('\n').toSorted();
    };
    const first = await append('kcat', 0, 100);
    expect(await read()).toEqual(first.toSorted());
    const second = await append('kcat', 100, 30);
    expect(await read()).toEqual(second.toSorted());
  });
});

describe("Kafka's own tools", () => {
  const group = (args: string[]): Promise<string> =>
    javaTool(node.bootstrap, 'consumer.group.ConsumerGroupCommand', args);
  const consume = async (max: number): Promise<string[]> => {
    const what = ['--topic', 'tools', '--group', 'tools-group', '--max-messages', String(max), '--timeout-ms', '30000'];
    const from = ['--command-property', 'auto.offset.reset=earliest'];
    return (await javaTool(node.bootstrap, 'consumer.ConsoleConsumer', [...what, ...from])).trimEnd().split('\n');
  };

  test('consume, list, describe, reset, and delete', async () => {
    await node.log.createTopic('tools', { partitions: 2 });
    const values = await append('tools', 0, 50);
    expect((await consume(100)).toSorted()).toEqual(values.toSorted());
    expect((await group(['--list'])).split('\n')).toContain('tools-group');
    expect(await group(['--list', '--state', 'empty'])).toMatch(/tools-group\s+Empty/);
    expect(await group(['--list', '--state', 'stable'])).not.toContain('tools-group');
    const rows = await group(['--describe', '--group', 'tools-group']);
    for (const partition of [0, 1])
      expect(rows).toMatch(new RegExp(`tools-group\\s+tools\\s+${partition}\\s+50\\s+50\\s+0 `));
    const reset = ['--reset-offsets', '--group', 'tools-group', '--topic', 'tools', '--execute'];
    expect(await group([...reset, '--to-offset', '40'])).toMatch(/tools\s+1\s+40/);
    expect((await consume(20)).toSorted()).toEqual(values.filter((value) => Number(value.slice(2)) >= 40).toSorted());
    expect(await group(['--delete-offsets', '--group', 'tools-group', '--topic', 'tools:0'])).toContain('Successful');
    expect(node.groups.committedBy('tools-group')).toMatchObject([{ topic: 'tools', partition: 1, offset: 50 }]);
    expect(await group(['--delete', '--group', 'tools-group'])).toContain('successful');
    expect(await group(['--list'])).not.toContain('tools-group');
    expect(await group(['--describe', '--group', 'tools-group'])).toContain('there is no group tools-group');
  });

  test('tell the members of a group that is at work, and refuse what would harm it', async () => {
    const topic = 'at-work';
    await node.log.createTopic(topic, { partitions: PARTITIONS });
    await append(topic, 0, 10);
    const member = await start('confluent', topic);
    await untilShared([member]);
    await untilCommitted(topic);
    const about = ['--group', 'at-work-group'];
    expect(await group(['--describe', ...about, '--members', '--verbose'])).toMatch(
      /rdkafka-.*\/127\.0\.0\.1\s+rdkafka\s+6/,
    );
    expect(await group(['--describe', ...about, '--state'])).toMatch(/cooperative-sticky\s+Stable\s+1/);
    expect(await group(['--delete', ...about])).toContain('NotEmpty');
    expect(await group(['--delete-offsets', ...about, '--topic', topic])).toContain('error');
    const reset = await group(['--reset-offsets', ...about, '--topic', topic, '--to-earliest', '--execute']);
    expect(reset).toContain('inactive');
    expect(committed(topic)).toEqual(Array.from({ length: PARTITIONS }, () => 10));
    await member.stop();
  });
});
