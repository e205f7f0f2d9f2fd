// Kafka's own tools on consumer groups, resting and at work; what members of many makes do is in matrix.long.ts.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openGroupPlay, PARTITIONS, type GroupPlay } from './group-play.ts';
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
