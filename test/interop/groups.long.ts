// Consumer groups of clients that were not written here: what they read is checked, record by record. Everything arrives
// at least once although a member is killed, what was committed does not come again, and nothing behind it is skipped.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kcat } from '../parts/kcat.ts';
import { until } from '../parts/until.ts';
import type { Member } from './group-members.ts';
import { openGroupPlay, PARTITIONS, tellAll, type GroupPlay } from './group-play.ts';
import { javaTool } from './java-tool.ts';
import { openNode, type Node } from './open-node.ts';

let play: GroupPlay;
let node: Node;
beforeAll(async () => {
  node = await openNode();
  play = openGroupPlay(node);
});
afterAll(async () => {
  await play.killAll();
  const { malformed } = node.kafka.status();
  await node.close();
  expect(malformed, node.lines.join('\n')).toBe(0);
});

describe.for(['java', 'confluent', 'aiokafka'] as const)('a group of three (%s)', (make) => {
  test('a member is killed, nothing is missed, and who comes later goes on where they were', async () => {
    const topic = `three-${make}`;
    await node.log.createTopic(topic, { partitions: PARTITIONS });
    const wanted = await play.append(topic, 0, 200);
    const everyone = await Promise.all([1, 2, 3].map(() => play.start(make, topic)));
    await play.untilShared(everyone);
    wanted.push(...(await play.append(topic, 200, 200)));
    await play.untilRead(wanted, everyone);
    const [killed, ...left] = everyone as [Member, ...Member[]];
    wanted.push(...(await play.append(topic, 400, 200)));
    await killed.kill();
    await play.untilShared(left);
    wanted.push(...(await play.append(topic, 600, 200)));
    await play.untilRead(wanted, everyone);
    await play.untilCommitted(topic);
    await Promise.all(left.map((member) => member.stop()));
    await until('all have left', () => node.groups.describe(`${topic}-group`)!.state === 'Empty');
    const later = await play.append(topic, 800, 50);
    const next = await play.start(make, topic);
    await play.untilRead(later, [next]);
    // Each once, and nothing that was committed before.
    expect(next.values.toSorted()).toEqual(later.toSorted());
    await next.stop();
  });

  test('a static member that restarts has its partitions again, without a rebalance', async () => {
    const topic = `static-${make}`;
    await node.log.createTopic(topic, { partitions: PARTITIONS });
    const wanted = await play.append(topic, 0, 20);
    const one = await play.start(make, topic, { instance: 'one' });
    const two = await play.start(make, topic, { instance: 'two' });
    await play.untilShared([one, two]);
    await play.untilRead(wanted, [one, two]);
    const before = [...two.assigned];
    const described = () => node.groups.describe(`${topic}-group`)!;
    await until('the group is stable', () => described().state === 'Stable');
    const { rebalances } = node.groups.status();
    await two.kill();
    const back = await play.start(make, topic, { instance: 'two' });
    await until(
      'it has its partitions',
      () => back.assigned.size === before.length,
      30_000,
      () => tellAll([back]),
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
    const first = await play.append('kcat', 0, 100);
    expect(await read()).toEqual(first.toSorted());
    const second = await play.append('kcat', 100, 30);
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
    const values = await play.append('tools', 0, 50);
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
    await play.append(topic, 0, 10);
    const member = await play.start('confluent', topic);
    await play.untilShared([member]);
    await play.untilCommitted(topic);
    const about = ['--group', 'at-work-group'];
    expect(await group(['--describe', ...about, '--members', '--verbose'])).toMatch(
      /rdkafka-.*\/127\.0\.0\.1\s+rdkafka\s+6/,
    );
    expect(await group(['--describe', ...about, '--state'])).toMatch(/cooperative-sticky\s+Stable\s+1/);
    expect(await group(['--delete', ...about])).toContain('NotEmpty');
    expect(await group(['--delete-offsets', ...about, '--topic', topic])).toContain('error');
    const reset = await group(['--reset-offsets', ...about, '--topic', topic, '--to-earliest', '--execute']);
    expect(reset).toContain('inactive');
    expect(play.committed(topic)).toEqual(Array.from({ length: PARTITIONS }, () => 10));
    await member.stop();
  });
});
