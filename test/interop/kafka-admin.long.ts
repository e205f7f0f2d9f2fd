// Kafka's own tools for administrators, on a real log: what they print is what is so.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { compressionOf, readBatchHeader } from '../../src/formats/batch.ts';
import { kcat } from '../parts/kcat.ts';
import { javaTool } from './java-tool.ts';
import { openNode, type Node } from './open-node.ts';

let node: Node;
beforeAll(async () => void (node = await openNode()));
afterAll(() => node.close());

const tool = (name: string, ...args: string[]): Promise<string> => javaTool(node.bootstrap, name, args);

test('kafka-topics makes a topic, gives it partitions and settings, and describes it', async () => {
  await tool('TopicCommand', '--create', '--topic', 'readings', '--partitions', '2', '--config', 'retention.ms=5000');
  await tool('TopicCommand', '--alter', '--topic', 'readings', '--partitions', '4');
  expect(node.log.topic('readings')!.partitions).toHaveLength(4);
  const described = await tool('TopicCommand', '--describe', '--topic', 'readings');
  expect(described).toContain('PartitionCount: 4');
  expect(described).toContain('retention.ms=5000');
  expect(described.match(/Leader: 1/g)).toHaveLength(4);
  const fewer = tool('TopicCommand', '--alter', '--topic', 'readings', '--partitions', '3');
  await expect(fewer).rejects.toThrow(/currently has 4 partitions|can only grow/);
});

test('kafka-configs changes and deletes settings, and is told what cannot be set', async () => {
  await node.log.createTopic('settings');
  const alter = (...args: string[]): Promise<string> =>
    tool('kafka.admin.ConfigCommand', '--alter', '--entity-type', 'topics', '--entity-name', 'settings', ...args);
  await alter('--add-config', 'retention.ms=60000,headwater.durability=immediate');
  expect(node.log.topic('settings')!.settings).toMatchObject({ retentionMs: 60_000, durability: 'immediate' });
  await alter('--delete-config', 'retention.ms');
  expect(node.log.topic('settings')!.settings.retentionMs).toBe(7 * 24 * 3600 * 1000);
  await alter('--add-config', 'cleanup.policy=[compact,delete],delete.retention.ms=1000');
  expect(node.log.topic('settings')!.settings).toMatchObject({ cleanup: 'compact,delete', deleteRetentionMs: 1000 });
  await expect(alter('--add-config', 'cleanup.policy=sometimes')).rejects.toThrow('cleanup.policy is compact, delete');
  const shown = await tool('kafka.admin.ConfigCommand', '--describe', '--topic', 'settings', '--all');
  expect(shown).toContain('headwater.durability=immediate');
});

test('kafka-log-dirs tells what partitions take', async () => {
  const out = await tool('LogDirsCommand', '--describe', '--topic-list', 'readings');
  const [broker] = (JSON.parse(out.split('\n').find((line) => line.startsWith('{'))!) as LogDirs).brokers;
  expect(broker).toMatchObject({ broker: 1, logDirs: [{ error: null }] });
  expect(broker!.logDirs[0]!.partitions.map(({ partition }) => partition).toSorted()).toEqual(
    [0, 1, 2, 3].map((index) => `readings-${index}`),
  );
});

interface LogDirs {
  brokers: { broker: number; logDirs: { error: string | null; partitions: { partition: string }[] }[] }[];
}

test('kafka-acls is told that there is no access control', async () => {
  await expect(tool('AclCommand', '--list')).rejects.toThrow('SecurityDisabledException');
});

test('kafka-configs tells what holds for the broker, and that there are no quotas and no users', async () => {
  const describe = (...what: string[]): Promise<string> => tool('kafka.admin.ConfigCommand', '--describe', ...what);
  const broker = await describe('--entity-type', 'brokers', '--entity-name', '1', '--all');
  expect(broker).toContain('num.partitions=1 sensitive=false synonyms={DEFAULT_CONFIG:num.partitions=1}');
  expect(broker).toContain('auto.create.topics.enable=true');
  const user = await describe('--entity-type', 'users', '--entity-name', 'nobody');
  expect(user).not.toContain('SCRAM');
});

test('a topic with a compression and append times: kcat writes, Java reads the time of the node', async () => {
  const configs = ['compression.type=gzip', 'message.timestamp.type=LogAppendTime', 'max.message.bytes=100000'];
  const topic = ['--topic', 'stamped'];
  await tool('TopicCommand', '--create', ...topic, ...configs.flatMap((config) => ['--config', config]));
  expect(await tool('TopicCommand', '--describe', ...topic)).toContain('message.timestamp.type=LogAppendTime');
  const beforeMs = Date.now();
  await kcat(['-b', node.bootstrap, '-P', '-t', 'stamped', '-z', 'lz4'], `${'x'.repeat(5000)}\n`);
  const [batch] = await node.log.topic('stamped')!.partitions[0]!.read(0, 1 << 20);
  expect(compressionOf(readBatchHeader(batch!))).toBe('gzip');
  const reading = ['--partition', '0', '--offset', 'earliest', '--max-messages', '1'];
  const format = ['--formatter-property', 'print.timestamp=true'];
  const read = await tool('consumer.ConsoleConsumer', ...topic, ...reading, ...format);
  const [, time] = /LogAppendTime:(\d+)\s+x{5000}/.exec(read) ?? [];
  expect(Number(time)).toBeGreaterThanOrEqual(beforeMs);
  expect(Number(time)).toBeLessThanOrEqual(Date.now());
});
