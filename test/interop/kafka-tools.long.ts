// Every command of Apache Kafka's bin folder that applies to a node, walked once: what it prints is what is so. Topics,
// settings, log dirs and ACLs are in kafka-admin.long.ts, groups in groups.long.ts, transactions in transactions.long.ts,
// the console tools in kafka-wire.long.ts.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { javaTool } from './java-tool.ts';
import { openNode, type Node } from './open-node.ts';

let node: Node;
let folder: string;
beforeAll(async () => {
  node = await openNode();
  folder = await mkdtemp(join(tmpdir(), 'headwater-tools-'));
});
afterAll(async () => {
  const { malformed } = node.kafka.status();
  await node.close();
  await rm(folder, { recursive: true, force: true });
  expect(malformed, node.lines.join('\n')).toBe(0);
});

const tool = (name: string, ...args: string[]): Promise<string> => javaTool(node.bootstrap, name, args);

async function makeTopic(name: string, count: number): Promise<void> {
  await node.log.createTopic(name);
  const values = Array.from({ length: count }, (_, index) => `${name} ${index}`);
  const records = values.map((value) => ({ timestampMs: Date.now(), key: null, value: Buffer.from(value) }));
  await node.log.topic(name)!.partitions[0]!.append(encodeBatch(records));
}

test('kafka-producer-perf-test, kafka-consumer-perf-test and kafka-e2e-latency', async () => {
  await node.log.createTopic('perf', { partitions: 2 });
  const load = ['--record-size', '100', '--throughput', '-1', '--command-property', 'acks=all'];
  const produced = await tool('ProducerPerformance', '--topic', 'perf', '--num-records', '5000', ...load);
  expect(produced).toMatch(/^5000 records sent, [\d.]+ records\/sec/m);
  const ends = node.log.topic('perf')!.partitions.map(({ highWatermark }) => highWatermark);
  expect(ends.reduce((sum, end) => sum + end, 0)).toBe(5000);
  const consumed = await tool('ConsumerPerformance', '--topic', 'perf', '--num-records', '5000', '--timeout', '60000');
  expect(consumed.trim().split('\n').at(-1)!.split(',')[4]!.trim()).toBe('5000');
  const latency = ['--topic', 'perf', '--num-records', '50', '--record-size', '100', '--producer-acks', 'all'];
  expect(await tool('EndToEndLatency', ...latency)).toMatch(/Percentiles: 50th = [\d.]+, 99th = [\d.]+/);
});

test('kafka-verifiable-producer and kafka-verifiable-consumer', async () => {
  await node.log.createTopic('verifiable');
  const produced = await tool('VerifiableProducer', '--topic', 'verifiable', '--max-messages', '50', '--acks', '-1');
  expect(produced.match(/"producer_send_success"/g)).toHaveLength(50);
  expect(produced).toMatch(/"tool_data".*"sent":50,"acked":50/);
  const reading = ['--group-id', 'verified', '--max-messages', '50', '--reset-policy', 'earliest', '--verbose'];
  const consumed = await tool('VerifiableConsumer', '--topic', 'verifiable', ...reading);
  expect([...consumed.matchAll(/"value":"(\d+)"/g)].map(([, value]) => Number(value))).toEqual([...Array(50).keys()]);
  expect(node.groups.committed('verified', 'verifiable', 0)).toMatchObject({ offset: 50 });
});

test('kafka-get-offsets and kafka-delete-records', async () => {
  await makeTopic('deleted', 20);
  const offsets = (time: string): Promise<string> => tool('GetOffsetShell', '--topic', 'deleted', '--time', time);
  expect(await offsets('latest')).toContain('deleted:0:20');
  expect(await offsets('max-timestamp')).toMatch(/deleted:0:\d+/);
  const file = join(folder, 'delete.json');
  await writeFile(file, JSON.stringify({ version: 1, partitions: [{ topic: 'deleted', partition: 0, offset: 7 }] }));
  expect(await tool('DeleteRecordsCommand', '--offset-json-file', file)).toMatch(/deleted-0\s+low_watermark: 7/);
  expect(await offsets('earliest')).toContain('deleted:0:7');
});

test('kafka-broker-api-versions and kafka-cluster', async () => {
  const versions = await tool('BrokerApiVersionsCommand');
  expect(versions).toMatch(/\(id: 1 rack: null isFenced: false\)/);
  for (const api of ['Produce(0): 0 to', 'Fetch(1): 4 to', 'JoinGroup(11): 0 to', 'EndTxn(26): 0 to']) {
    expect(versions).toContain(api);
  }
  expect(await tool('ClusterTool', 'cluster-id')).toContain(node.log.clusterId);
  expect(await tool('ClusterTool', 'list-endpoints')).toMatch(
    new RegExp(`^1\\s+127\\.0\\.0\\.1\\s+${node.port}\\s`, 'm'),
  );
});

test('kafka-groups, kafka-share-groups, kafka-streams-groups, kafka-client-metrics and kafka-reassign-partitions list', async () => {
  const nobody = { memberId: '', instanceId: null, generation: -1 };
  await makeTopic('listed', 3);
  await node.groups.commit('lister', nobody, [
    { topic: 'listed', partition: 0, offset: 2, leaderEpoch: -1, metadata: '' },
  ]);
  expect(await tool('GroupsCommand', '--list')).toMatch(/^lister\s+Classic/m);
  for (const other of ['consumer.group.ShareGroupCommand', 'streams.StreamsGroupCommand', 'ClientMetricsCommand']) {
    expect((await tool(other, '--list')).trim(), other).toBe('');
  }
  expect(await tool('reassign.ReassignPartitionsCommand', '--list')).toContain('No partition reassignments found');
});

test('kafka-streams-application-reset sets an application back', async () => {
  await makeTopic('application', 10);
  const nobody = { memberId: '', instanceId: null, generation: -1 };
  const offset = { topic: 'application', partition: 0, offset: 9, leaderEpoch: -1, metadata: '' };
  await node.groups.commit('application-id', nobody, [offset]);
  const about = ['--application-id', 'application-id', '--input-topics', 'application', '--force'];
  expect(await tool('StreamsResetter', ...about)).toContain('Topic: application Partition: 0 Offset: 0');
  expect(node.groups.committed('application-id', 'application', 0)).toMatchObject({ offset: 0 });
});

test('what a node of one has not is refused in words', async () => {
  const elect = ['--election-type', 'PREFERRED', '--all-topic-partitions'];
  await expect(tool('LeaderElectionCommand', ...elect)).rejects.toThrow(/UnsupportedVersionException/);
  await expect(tool('DelegationTokenCommand', '--describe', '--command-config', '/dev/null')).rejects.toThrow(
    /UnsupportedVersionException|not support/,
  );
});
