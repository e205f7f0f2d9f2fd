// Clients that share no code with headwater write and read: kcat (librdkafka) and the Java client of Apache Kafka 4.3.1,
// each with every compression, each reading what the other wrote.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compressionOf, readBatchHeader } from '../../src/formats/batch.ts';
import { kcat, readTopic } from '../parts/kcat.ts';
import { javaTool } from './java-tool.ts';
import { openNode, readings, type Node } from './open-node.ts';

const COUNT = 2000;
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

let node: Node;
beforeAll(async () => {
  node = await openNode();
});
afterAll(async () => {
  const { malformed } = node.kafka.status();
  await node.close();
  expect(malformed, node.lines.join('\n')).toBe(0);
});

const lines = readings(COUNT).map(({ key, value }) => `${key}|${value}`);
const input = `${lines.join('\n')}\n`;

async function readWithKcat(topic: string): Promise<string[]> {
  return (await readTopic(node.bootstrap, topic)).map(({ key, value }) => `${key?.toString()}|${value?.toString()}`);
}

async function readWithJava(topic: string): Promise<string[]> {
  const what = ['--topic', topic, '--partition', '0', '--offset', 'earliest', '--max-messages', String(COUNT)];
  const format = ['--formatter-property', 'print.key=true', '--formatter-property', 'key.separator=|'];
  const out = await javaTool(node.bootstrap, 'consumer.ConsoleConsumer', [...what, ...format]);
  return out.trimEnd().split('\n');
}

async function writeWithJava(topic: string, compression: string): Promise<void> {
  const reading = ['--reader-property', 'parse.key=true', '--reader-property', 'key.separator=|'];
  const args = ['--topic', topic, '--compression-codec', compression, ...reading];
  await javaTool(node.bootstrap, 'ConsoleProducer', args, input);
}

function writeWithKcat(topic: string, compression: string, more: string[] = []): Promise<Buffer> {
  return kcat(['-b', node.bootstrap, '-P', '-t', topic, '-z', compression, '-K', '|', ...more], input);
}

/**
 * Compressions of the stored batches: a client that mistrusts the broker's versions sends plain ones, silently. A batch
 * of a few records is sent plain where compression would only make it larger.
 */
async function storedCompressions(topic: string): Promise<Set<string>> {
  const batches = await node.log.topic(topic)!.partitions[0]!.read(0, 1 << 30);
  const headers = batches.map((batch) => readBatchHeader(batch)).filter(({ recordCount }) => recordCount > 20);
  return new Set(headers.map(compressionOf));
}

describe('kcat', () => {
  for (const compression of COMPRESSIONS) {
    test(`writes ${compression}, and kcat and Java read it`, async () => {
      const topic = `kcat-${compression}`;
      await writeWithKcat(topic, compression);
      expect(await storedCompressions(topic)).toEqual(new Set([compression]));
      expect(await readWithKcat(topic)).toEqual(lines);
      expect(await readWithJava(topic)).toEqual(lines);
    });
  }

  test('writes as an idempotent producer', async () => {
    await writeWithKcat('kcat-idempotent', 'zstd', ['-X', 'enable.idempotence=true']);
    expect(await readWithKcat('kcat-idempotent')).toEqual(lines);
    expect(node.log.topic('kcat-idempotent')!.partitions[0]!.producers()).toMatchObject([{ lastSequence: COUNT - 1 }]);
  });

  test('lists the cluster and finds offsets by time', async () => {
    const listing = String(await kcat(['-b', node.bootstrap, '-L', '-t', 'kcat-none']));
    expect(listing).toContain(`broker 1 at 127.0.0.1:${node.port}`);
    expect(listing).toContain('partition 0, leader 1, replicas: 1, isrs: 1');
    const [first] = await readTopic(node.bootstrap, 'kcat-none');
    const query = ['-b', node.bootstrap, '-Q', '-t', `kcat-none:0:${first!.timestampMs}`];
    expect(String(await kcat(query))).toContain('kcat-none [0] offset 0');
  });

  test('follows a topic: what is written while it waits, it reads', async () => {
    await node.log.createTopic('kcat-follow');
    const args = ['-C', '-t', 'kcat-follow', '-o', 'beginning', '-c', String(COUNT), '-q', '-u'];
    const reading = kcat(['-b', node.bootstrap, ...args]);
    await writeWithKcat('kcat-follow', 'none', ['-X', 'queue.buffering.max.messages=100']);
    expect(
      String(await reading)
        .trimEnd()
        .split('\n'),
    ).toHaveLength(COUNT);
  });
});

describe('the Java client', () => {
  for (const compression of COMPRESSIONS) {
    test(`writes ${compression}, and kcat and Java read it`, async () => {
      const topic = `java-${compression}`;
      await writeWithJava(topic, compression);
      expect(await storedCompressions(topic)).toEqual(new Set([compression]));
      expect(await readWithKcat(topic)).toEqual(lines);
      expect(await readWithJava(topic)).toEqual(lines);
    });
  }

  test('makes, describes and deletes topics', async () => {
    const topics = (args: string[]) => javaTool(node.bootstrap, 'TopicCommand', args);
    const settings = ['--partitions', '3', '--config', 'retention.ms=60000'];
    await topics(['--create', '--topic', 'java-admin', ...settings]);
    expect(node.log.topic('java-admin')).toMatchObject({ settings: { partitions: 3, retentionMs: 60_000 } });
    const description = await topics(['--describe', '--topic', 'java-admin']);
    expect(description).toMatch(/PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention.ms=60000/);
    await topics(['--delete', '--topic', 'java-admin']);
    expect(await topics(['--list'])).not.toContain('java-admin');
    await expect(topics(['--create', '--topic', 'copies', '--replication-factor', '3'])).rejects.toThrow(
      /InvalidReplicationFactor/,
    );
  });

  test('finds the end, the start and the largest time', async () => {
    const offsets = (time: string) =>
      javaTool(node.bootstrap, 'GetOffsetShell', ['--topic', 'java-none', '--time', time]);
    expect(await offsets('latest')).toContain(`java-none:0:${COUNT}`);
    expect(await offsets('earliest')).toContain('java-none:0:0');
    expect(await offsets('max-timestamp')).toMatch(/java-none:0:\d+/);
  });

  test('tells the cluster id', async () => {
    expect(await javaTool(node.bootstrap, 'ClusterTool', ['cluster-id'])).toContain(node.log.clusterId);
  });
});
