// What an upstream says no to: the partition that it concerns stops with a clear state, and others go on.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { batchOf } from '../log/open-log.ts';
import { expectOnce, openEdge, until, type Edge } from './real-upstream.ts';

let kafka: Kafka;
let edge: Edge;
beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(() => kafka.stop());
afterEach(() => edge.close());

function stateOf(topic: string): { state: string; reason?: string; position: number } {
  return edge.status().partitions.find((each) => each.topic === topic)!;
}

function refused(topic: string): Promise<void> {
  return until(
    () => stateOf(topic).state === 'refused',
    20_000,
    () => JSON.stringify(edge.status()),
  );
}

async function createUpstream(topic: string, ...configs: string[]): Promise<void> {
  const settings = configs.flatMap((config) => ['--config', config]);
  await kafka.tool('TopicCommand', ['--create', '--topic', topic, '--partitions', '1', ...settings]);
}

test('batches that are too large are sent in parts, and a record that is too large stops its partition', async () => {
  await createUpstream('pump-7.small', 'max.message.bytes=2000');
  edge = await openEdge({ bootstrap: [kafka.bootstrap] });
  const topic = await edge.folder.log.createTopic('small');
  await edge.folder.log.createTopic('other');
  await edge.append('small', 2_000, { each: 500 });
  await edge.drained();
  await topic.partitions[0]!.append(batchOf(0, 1, { bytes: 5_000, timestampMs: Date.now() }));
  await edge.append('other', 100);

  await refused('small');

  expect(stateOf('small').reason).toMatch(/^message too large \(offset 2000, 5\d\d\d bytes\): MESSAGE_TOO_LARGE\(10\)/);
  await expectOnce(kafka.bootstrap, 'pump-7.small', 2_000);
  await until(
    () => stateOf('other').position === 100,
    20_000,
    () => 'the other topic stands',
  );
  await expectOnce(kafka.bootstrap, 'pump-7.other', 100);
});

test('a partition that was refused goes on when the upstream was mended', async () => {
  await createUpstream('pump-7.mended', 'max.message.bytes=2000');
  edge = await openEdge({ bootstrap: [kafka.bootstrap] });
  const topic = await edge.folder.log.createTopic('mended');
  await topic.partitions[0]!.append(batchOf(0, 1, { bytes: 5_000, timestampMs: Date.now() }));
  await refused('mended');

  await kafka.tool('kafka.admin.ConfigCommand', [
    '--alter',
    '--entity-type',
    'topics',
    '--entity-name',
    'pump-7.mended',
    '--add-config',
    'max.message.bytes=100000',
  ]);

  await edge.drained();
  expect(edge.status().state).toBe('idle');
});

test('records of the future are refused, as Kafka does, and the reason is told', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap] });
  await edge.folder.log.createTopic('future');
  await edge.append('future', 10, { ageMs: -2 * 3_600_000 });

  await refused('future');

  expect(stateOf('future').reason).toContain('INVALID_TIMESTAMP(32)');
});

test('a topic that is missing and may not be created is waited for', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap], create: { allowed: false } });
  await edge.folder.log.createTopic('absent');
  await edge.append('absent', 10);
  await refused('absent');
  const { reason } = stateOf('absent');

  await createUpstream('pump-7.absent');

  await edge.drained();
  expect(reason).toBe('topic does not exist upstream and may not be created');
  await expectOnce(kafka.bootstrap, 'pump-7.absent', 10);
});

test('a topic that can not be created is refused with what the upstream said', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap], create: { replicationFactor: 5 } });
  await edge.folder.log.createTopic('replicas');
  await edge.append('replicas', 10);

  await refused('replicas');

  expect(stateOf('replicas').reason).toMatch(/topic can't be created: .*INVALID_REPLICATION_FACTOR\(38\)/);
});

test('an upstream topic with fewer partitions takes what it has room for', async () => {
  await createUpstream('pump-7.narrow');
  edge = await openEdge({ bootstrap: [kafka.bootstrap] });
  await edge.folder.log.createTopic('narrow', { partitions: 2 });
  await edge.append('narrow', 10, { partition: 0 });
  await edge.append('narrow', 10, { partition: 1 });

  await until(
    () => edge.status().partitions[1]!.state === 'refused',
    20_000,
    () => JSON.stringify(edge.status()),
  );

  expect(edge.status().partitions[1]!.reason).toBe('upstream topic has 1 partitions, none is 1');
  await until(
    () => edge.status().partitions[0]!.position === 10,
    20_000,
    () => 'partition 0 stands',
  );
});

test.each(['stop', 'continue', 'restart'] as const)('a topic made anew upstream: %s', async (recreated) => {
  const name = `anew-${recreated}`;
  edge = await openEdge({ bootstrap: [kafka.bootstrap], recreated });
  await edge.folder.log.createTopic(name);
  await edge.append(name, 100);
  await edge.drained();
  await kafka.tool('TopicCommand', ['--delete', '--topic', `pump-7.${name}`]);
  await edge.restart();
  await edge.append(name, 50);

  if (recreated === 'stop') {
    await until(
      () => stateOf(name).state === 'stopped',
      20_000,
      () => JSON.stringify(edge.status()),
    );
    expect(stateOf(name).reason).toContain('was made anew');
    expect(stateOf(name).position).toBe(100);
  } else {
    await edge.drained();
    const { sent } = edge.status();
    expect(sent.records).toBe(recreated === 'restart' ? 150 : 50);
  }
});
