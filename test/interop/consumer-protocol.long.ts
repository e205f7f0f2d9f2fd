// KIP-848's protocol with clients that were not written here, Apache Kafka's and librdkafka: the same promises as those of
// groups.long.ts, and nobody stops for a rebalance but with the partitions that change hands.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createAppliance } from '../parts/appliance.ts';
import { freePort, kafkaLib } from '../parts/kafka.ts';
import { kcat } from '../parts/kcat.ts';
import { until } from '../parts/until.ts';
import { startMember, type Member } from './group-members.ts';
import { openGroupPlay, PARTITIONS, tellAll, type GroupPlay } from './group-play.ts';
import { javaTool } from './java-tool.ts';
import { openNode, type Node } from './open-node.ts';

/** A member that is killed is missed soon; a static one has time for the start of its virtual machine. */
const KILLED = { consumerSessionTimeoutMs: 6000, consumerHeartbeatIntervalMs: 300 };
const STATIC = { consumerSessionTimeoutMs: 120_000, consumerHeartbeatIntervalMs: 300 };

let node: Node;
let play: GroupPlay;
let staticNode: Node;
let staticPlay: GroupPlay;
beforeAll(async () => {
  [node, staticNode] = [await openNode({ groupSettings: KILLED }), await openNode({ groupSettings: STATIC })];
  [play, staticPlay] = [openGroupPlay(node), openGroupPlay(staticNode)];
});
afterAll(async () => {
  await Promise.all([play.killAll(), staticPlay.killAll()]);
  const { malformed } = node.kafka.status();
  await Promise.all([node.close(), staticNode.close()]);
  expect(malformed, node.lines.join('\n')).toBe(0);
});

const group = (args: string[]): Promise<string> =>
  javaTool(node.bootstrap, 'consumer.group.ConsumerGroupCommand', args);

describe.for(['java', 'confluent'] as const)('a group of three (%s)', (make) => {
  test('a member is killed, nothing is missed, and who comes later goes on where they were', async () => {
    const topic = `three-${make}`;
    await node.log.createTopic(topic, { partitions: PARTITIONS });
    const wanted = await play.append(topic, 0, 200);
    const everyone = await Promise.all([1, 2, 3].map(() => play.start(make, topic, { isIncremental: true })));
    await play.untilShared(everyone);
    expect(node.groups.describe(`${topic}-group`)).toMatchObject({ kind: 'Consumer', protocol: 'uniform' });
    wanted.push(...(await play.append(topic, 200, 200)));
    await play.untilRead(wanted, everyone);
    const [killed, ...left] = everyone as [Member, ...Member[]];
    const kept = left.map(({ assigned }) => [...assigned]);
    wanted.push(...(await play.append(topic, 400, 200)));
    await killed.kill();
    await play.untilShared(left);
    for (const [at, { assigned }] of left.entries()) expect([...assigned]).toEqual(expect.arrayContaining(kept[at]!));
    wanted.push(...(await play.append(topic, 600, 200)));
    await play.untilRead(wanted, everyone);
    await play.untilCommitted(topic);
    await Promise.all(left.map((member) => member.stop()));
    await until('all have left', () => node.groups.describe(`${topic}-group`)!.state === 'Empty');
    const later = await play.append(topic, 800, 50);
    const next = await play.start(make, topic, { isIncremental: true });
    await play.untilRead(later, [next]);
    // Each once, and nothing that was committed before.
    expect(next.values.toSorted()).toEqual(later.toSorted());
    await next.stop();
  });
});

test('a static member that restarts has its partitions again, without a rebalance', async () => {
  const topic = 'static';
  await staticNode.log.createTopic(topic, { partitions: PARTITIONS });
  const start = (instance: string) => staticPlay.start('java', topic, { instance, isIncremental: true });
  const [one, two] = [await start('one'), await start('two')];
  await staticPlay.untilShared([one, two]);
  await until('the group is stable', () => staticNode.groups.describe('static-group')!.state === 'Stable');
  const before = [...two.assigned];
  const { rebalances } = staticNode.groups.status();
  await two.stop();
  const back = await start('two');
  const isBack = (): boolean => back.assigned.size === before.length;
  await until('it has its partitions', isBack, 30_000, () => tellAll([back]));
  expect(back.assigned).toEqual(new Set(before));
  expect(staticNode.groups.status().rebalances).toBe(rebalances);
  expect(staticNode.groups.describe('static-group')!.members).toHaveLength(2);
  await Promise.all([one.kill(), back.kill()]);
});

test('members go on when headwater is killed in the midst, and nothing is missed', async () => {
  const port = await freePort();
  const appliance = await createAppliance({
    mqtt: { listen: 'off' },
    kafka: { listen: `127.0.0.1:${port}`, 'group.consumer.heartbeat.interval.ms': 300 },
    topics: { kept: { partitions: 2 } },
  });
  onTestFinished(() => appliance.remove());
  await appliance.start();
  const bootstrap = `127.0.0.1:${port}`;
  const options = { topic: 'kept', group: 'kept-group', sessionMs: 0, isIncremental: true };
  const everyone = await Promise.all([1, 2].map(() => startMember('java', { bootstrap, ...options })));
  onTestFinished(async () => {
    for (const member of everyone) await member.kill();
  });
  const isShared = (): boolean => everyone.every(({ assigned }) => assigned.size === 1);
  await until('each has a partition', isShared, 60_000, () => tellAll(everyone));
  const values: string[] = [];
  for (let round = 0; round < 2; round++) {
    // What it knew of its members went with it: they give up what they have, and join again.
    if (round > 0) {
      await appliance.kill();
      await appliance.start();
    }
    const more = Array.from({ length: 100 }, (_, index) => `${round}-${index}`);
    values.push(...more);
    await kcat(['-b', bootstrap, '-P', '-t', 'kept'], more.join('\n'));
    const isRead = (): boolean => new Set(everyone.flatMap((member) => member.values)).size === values.length;
    await until('all is read', isRead, 60_000, () => tellAll(everyone));
  }
});

async function patternConsumer(groupId: string, pattern: string, assignor: string, records: number): Promise<string[]> {
  const source = join(import.meta.dirname, 'PatternConsumer.java');
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off';
  const given = [node.bootstrap, groupId, pattern, assignor, String(records)];
  const flags = ['-Xmx96m', '-XX:+UseSerialGC', quiet, '-cp', await kafkaLib(), source, ...given];
  const child = spawn('java', flags, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 200_000 });
  return (await text(child.stdout)).trimEnd().split('\n').toSorted();
}

test('an expression is resolved here, and finds topics that come later; a bad one is refused with words', async () => {
  for (const name of ['site.a', 'site.b', 'other']) await node.log.createTopic(name, { partitions: PARTITIONS });
  for (const name of ['site.a', 'site.b', 'other']) await play.append(name, 0, 1);
  const reading = patternConsumer('pattern', 'site\\.[a-c]', 'range', 3 * PARTITIONS);
  await until('it has joined', () => node.groups.describe('pattern')?.members.length === 1, 30_000);
  await node.log.createTopic('site.c', { partitions: PARTITIONS });
  await play.append('site.c', 0, 1);
  const expected = ['site.a', 'site.b', 'site.c'].flatMap((name) => {
    return Array.from({ length: PARTITIONS }, (_, index) => `${name} ${index}-0`);
  });
  expect(await reading).toEqual(expected);
  expect(node.groups.committedBy('pattern')).toHaveLength(3 * PARTITIONS);
  expect(String(await patternConsumer('bad', '(', 'uniform', 1))).toMatch(/InvalidRegularExpression.*without/);
});

test("Kafka's own tools list, describe and delete such a group, and a group with members does not change its type", async () => {
  const topic = 'tools';
  await node.log.createTopic(topic, { partitions: PARTITIONS });
  await play.append(topic, 0, 10);
  const member = await play.start('java', topic, { isIncremental: true });
  await play.untilShared([member]);
  await play.untilCommitted(topic);
  const about = ['--group', 'tools-group'];
  const [listed, members, state, deleted] = await Promise.all([
    group(['--list', '--type', 'consumer']),
    group(['--describe', ...about, '--members', '--verbose']),
    group(['--describe', ...about, '--state']),
    group(['--delete', ...about]),
  ]);
  expect(listed).toMatch(/tools-group/);
  expect(members).toMatch(/tools-group .*\/127\.0\.0\.1 .*tools:0,1,2,3,4,5/);
  expect(state).toMatch(/uniform\s+Stable\s+1/);
  expect(deleted).toMatch(/NotEmpty/);
  const classic = await play.start('java', topic);
  await until('it is refused', () => classic.said.join('\n').includes('InconsistentGroupProtocol'), 30_000);
  await member.stop();
  await until('it has left', () => node.groups.describe('tools-group')!.state === 'Empty');
  expect(await group(['--delete', ...about])).toContain('successful');
  expect(node.groups.describe('tools-group')).toBeUndefined();
});
