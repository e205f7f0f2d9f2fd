import { expect, test } from 'vitest';
import { listOffsets } from '../../src/formats/kafka/02-list-offsets.ts';
import { metadata } from '../../src/formats/kafka/03-metadata.ts';
import { findCoordinator } from '../../src/formats/kafka/10-find-coordinator.ts';
import { apiVersions } from '../../src/formats/kafka/18-api-versions.ts';
import { createTopics } from '../../src/formats/kafka/19-create-topics.ts';
import { deleteTopics } from '../../src/formats/kafka/20-delete-topics.ts';
import { deleteRecords } from '../../src/formats/kafka/21-delete-records.ts';
import { initProducerId } from '../../src/formats/kafka/22-init-producer-id.ts';
import { describeConfigs } from '../../src/formats/kafka/32-describe-configs.ts';
import { describeCluster } from '../../src/formats/kafka/60-describe-cluster.ts';
import { describeProducers } from '../../src/formats/kafka/61-describe-producers.ts';
import { ZERO_UUID } from '../../src/formats/kafka/schema.ts';
import { batchOf, openDoor, produceOne } from './open-door.ts';
import { hex } from '../formats/kafka/hex.ts';

test('ApiVersions tells every API with the lowest versions that old clients look for', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  for (const version of [0, 1, 2, 3, 4]) {
    const { errorCode, apiKeys } = await client.ask(apiVersions, version, {});
    expect(errorCode).toBe(0);
    const ranges = Object.fromEntries(apiKeys.map((each) => [each.apiKey, [each.minVersion, each.maxVersion]]));
    expect(ranges).toMatchObject({
      0: [0, 13],
      1: [4, 17],
      2: [1, 11],
      3: [0, 13],
      10: [0, 6],
      18: [0, 4],
      22: [0, 5],
    });
  }
});

test('an ApiVersions of the future is answered in version 0, with error 35 and the versions to use', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  client.write(hex('0000000e 0012 0063 00000007 0001 78 ffffff'));
  expect(await client.frame()).toEqual(hex('00000007 0023 00000001 0012 0000 0004'));
  expect((await client.ask(apiVersions, 3, {})).errorCode).toBe(0);
});

test('Metadata names this node as broker, controller and leader, at the address that the client reached', async () => {
  const { kafka, log, connect } = await openDoor();
  const topic = await log.createTopic('readings', { partitions: 2 });
  const client = await connect();
  for (let version = 0; version <= 13; version++) {
    const answer = await client.ask(metadata, version, { topics: version === 0 ? [] : null });
    expect(answer.brokers).toMatchObject([{ nodeId: 1, host: '127.0.0.1', port: kafka.port }]);
    expect(answer.topics).toMatchObject([{ errorCode: 0, name: 'readings' }]);
    expect(answer.topics[0]!.partitions).toMatchObject([
      { partitionIndex: 0, leaderId: 1, isrNodes: [1], replicaNodes: [1] },
      { partitionIndex: 1, leaderId: 1 },
    ]);
    if (version >= 2) expect(answer).toMatchObject({ clusterId: 'fake-cluster', controllerId: 1 });
    if (version >= 10) expect(answer.topics[0]!.topicId).toEqual(topic.id);
  }
});

test('Metadata gives the advertised address where there is one', async () => {
  const { connect } = await openDoor({ advertise: { host: 'pump-7.example', port: 9092 } });
  const client = await connect();
  const answer = await client.ask(metadata, 9, { topics: null });
  expect(answer.brokers).toMatchObject([{ host: 'pump-7.example', port: 9092 }]);
});

test('Metadata makes a topic only where the client lets it, and only with a legal name', async () => {
  const { log, connect } = await openDoor({ limits: { topicsMax: 1 } });
  const client = await connect();
  const ask = async (name: string, allowAutoTopicCreation: boolean) =>
    (await client.ask(metadata, 9, { topics: [{ name }], allowAutoTopicCreation })).topics[0];
  expect(await ask('new', false)).toMatchObject({ errorCode: 3, name: 'new' });
  expect(await ask('a/b', true)).toMatchObject({ errorCode: 17, name: 'a/b' });
  expect(await ask('__proto__', false)).toMatchObject({ errorCode: 3 });
  expect(await ask('new', true)).toMatchObject({ errorCode: 0, name: 'new', partitions: [{ partitionIndex: 0 }] });
  expect(log.topics().map(({ name }) => name)).toEqual(['new']);
  expect(await ask('one-too-many', true)).toMatchObject({ errorCode: 44 });
});

test('Metadata finds topics by id', async () => {
  const { log, connect } = await openDoor();
  const topic = await log.createTopic('readings');
  const client = await connect();
  const topics = [
    { name: null, topicId: topic.id },
    { name: '', topicId: topic.id },
    { name: null, topicId: Buffer.alloc(16, 9) },
  ];
  const answer = await client.ask(metadata, 12, { topics });
  expect(answer.topics).toMatchObject([
    { errorCode: 0, name: 'readings' },
    { errorCode: 0, name: 'readings' },
    { errorCode: 100, name: null, topicId: Buffer.alloc(16, 9) },
  ]);
});

test('ListOffsets finds the end, the start, a time and the largest time', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const partition = log.partition('readings');
  for (const timestampMs of [1000, 5000, 3000]) await partition.append(batchOf(['a', 'b'], {}, timestampMs));
  await partition.deleteRecords(1);
  const client = await connect();
  const ask = async (timestamp: number, partitionIndex = 0, version = 9) => {
    const topics = [{ name: 'readings', partitions: [{ partitionIndex, timestamp }] }];
    return (await client.ask(listOffsets, version, { topics })).topics[0]!.partitions[0];
  };
  for (let version = 1; version <= 9; version++) {
    expect(await ask(-1, 0, version)).toMatchObject({ errorCode: 0, offset: 6, timestamp: -1 });
  }
  expect(await ask(-2)).toMatchObject({ offset: 1, timestamp: -1, leaderEpoch: 0 });
  expect(await ask(-3)).toMatchObject({ offset: 2, timestamp: 5000 });
  expect(await ask(-4)).toMatchObject({ offset: 1 });
  expect(await ask(-5)).toMatchObject({ offset: -1, leaderEpoch: -1 });
  expect(await ask(1500)).toMatchObject({ offset: 2, timestamp: 5000 });
  expect(await ask(9999)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  expect(await ask(-1, 7)).toMatchObject({ errorCode: 3 });
});

test('CreateTopics makes topics with their settings, and says what is wrong with others', async () => {
  const { log, connect } = await openDoor();
  const client = await connect();
  const topic = (name: string, more = {}) => ({ name, numPartitions: 1, replicationFactor: 1, ...more });
  const configs = (name: string, value: string) => ({ configs: [{ name, value }] });
  const topics = [
    topic('a', { numPartitions: 3, ...configs('retention.ms', '60000') }),
    topic('b', { numPartitions: -1, replicationFactor: -1, ...configs('segment.bytes', '1048576') }),
    topic('forever', configs('retention.ms', '9223372036854775807')),
    topic('placed', {
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [
        { partitionIndex: 1, brokerIds: [1] },
        { partitionIndex: 0, brokerIds: [1] },
      ],
    }),
    topic('no/name'),
    topic('none', { numPartitions: 0 }),
    topic('copies', { replicationFactor: 3 }),
    topic('compacted', configs('cleanup.policy', 'sometimes')),
    topic('odd', configs('no.such.setting', '1')),
    topic('wrong', configs('retention.bytes', '1 GB')),
    topic('elsewhere', {
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [{ partitionIndex: 0, brokerIds: [2] }],
    }),
    topic('twice'),
    topic('twice'),
  ];
  const answer = await client.ask(createTopics, 7, { topics });
  expect(answer.topics.map(({ name, errorCode }) => `${name} ${errorCode}`)).toEqual([
    'a 0',
    'b 0',
    'forever 0',
    'placed 0',
    'no/name 17',
    'none 37',
    'copies 38',
    'compacted 40',
    'odd 40',
    'wrong 40',
    'elsewhere 39',
    'twice 42',
    'twice 42',
  ]);
  expect(answer.topics[0]).toMatchObject({ numPartitions: 3, replicationFactor: 1, topicId: log.topic('a')!.id });
  expect(log.topic('a')!.settings).toMatchObject({ partitions: 3, retentionMs: 60000 });
  expect(log.topic('forever')!.settings.retentionMs).toBe(-1);
  expect(log.topic('placed')!.partitions).toHaveLength(2);
  const again = await client.ask(createTopics, 2, { topics: [topic('a')] });
  expect(again.topics[0]!.errorCode).toBe(36);
});

test('CreateTopics on trial makes nothing, and checks what making would', async () => {
  const { log, connect } = await openDoor({ settings: { 'num.partitions': 4 } });
  const client = await connect();
  const topics = [{ name: 'a', numPartitions: 1, replicationFactor: 1 }];
  expect((await client.ask(createTopics, 7, { topics, validateOnly: true })).topics[0]!.errorCode).toBe(0);
  const wrong = [
    { ...topics[0]!, name: 'a/b' },
    { ...topics[0]!, name: 'b', configs: [{ name: 'retention.ms', value: 'soon' }] },
  ];
  const refused = await client.ask(createTopics, 7, { topics: wrong, validateOnly: true });
  expect(refused.topics.map(({ errorCode }) => errorCode)).toEqual([17, 40]);
  const counted = { name: 'c', numPartitions: -1, replicationFactor: -1 };
  const { topics: told } = await client.ask(createTopics, 7, { topics: [counted], validateOnly: true });
  expect(told).toMatchObject([{ errorCode: 0, numPartitions: 4, replicationFactor: 1 }]);
  expect(told[0]!.configs).toContainEqual(expect.objectContaining({ name: 'retention.ms', value: '604800000' }));
  expect(log.topics()).toEqual([]);
});

test('DeleteTopics removes topics by name and by id', async () => {
  const { log, connect } = await openDoor();
  for (const name of ['a', 'b', 'c']) await log.createTopic(name);
  const client = await connect();
  const byName = await client.ask(deleteTopics, 1, { topicNames: ['a', 'unknown'] });
  expect(byName.responses).toMatchObject([{ errorCode: 0 }, { name: 'unknown', errorCode: 3 }]);
  const topics = [{ name: null, topicId: log.topic('b')!.id }, { name: 'c' }, { name: null, topicId: ZERO_UUID }];
  const byId = await client.ask(deleteTopics, 6, { topics });
  expect(byId.responses.map(({ errorCode }) => errorCode)).toEqual([0, 0, 100]);
  expect(log.topics()).toEqual([]);
});

test('DeleteRecords moves the start of a partition', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  await log.partition('readings').append(batchOf(['a', 'b', 'c']));
  const client = await connect();
  const ask = async (offset: number, partitionIndex = 0) => {
    const topics = [{ name: 'readings', partitions: [{ partitionIndex, offset }] }];
    return (await client.ask(deleteRecords, 2, { topics })).topics[0]!.partitions[0];
  };
  expect(await ask(2)).toMatchObject({ errorCode: 0, lowWatermark: 2 });
  expect(await ask(-1)).toMatchObject({ errorCode: 0, lowWatermark: 3 });
  expect(await ask(4)).toMatchObject({ errorCode: 1 });
  expect(await ask(-2)).toMatchObject({ errorCode: 1 });
  expect(await ask(0, 5)).toMatchObject({ errorCode: 3 });
});

test('InitProducerId without a transactional id gives a fresh id each time', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  const first = await client.ask(initProducerId, 0, {});
  const second = await client.ask(initProducerId, 4, { producerId: first.producerId, producerEpoch: 3 });
  expect(second).toMatchObject({ errorCode: 0, producerId: first.producerId + 1, producerEpoch: 0 });
});

test('DescribeProducers tells the last sequence of each idempotent producer', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  await produceOne(client, 'readings', batchOf(['a', 'b'], { producerId: 7, producerEpoch: 2, baseSequence: 0 }));
  const topics = [{ name: 'readings', partitionIndexes: [0, 1] }];
  const answer = await client.ask(describeProducers, 0, { topics });
  expect(answer.topics[0]!.partitions).toMatchObject([
    { errorCode: 0, activeProducers: [{ producerId: 7, producerEpoch: 2, lastSequence: 1, lastTimestamp: 1000 }] },
    { errorCode: 3, activeProducers: [] },
  ]);
});

test('DescribeConfigs tells the settings of topics and the id of the broker', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { retentionMs: 60_000 });
  const client = await connect();
  const resources = [
    { resourceType: 2, resourceName: 'readings', configurationKeys: ['retention.ms', 'cleanup.policy'] },
    { resourceType: 2, resourceName: 'unknown' },
    { resourceType: 4, resourceName: '1' },
    { resourceType: 4, resourceName: '2' },
  ];
  const { results } = await client.ask(describeConfigs, 4, { resources });
  expect(results.map(({ errorCode }) => errorCode)).toEqual([0, 3, 0, 42]);
  expect(results[0]!.configs.map(({ name, value }) => [name, value])).toEqual([
    ['cleanup.policy', 'delete'],
    ['retention.ms', '60000'],
  ]);
  expect(results[1]!.errorMessage).toBeNull();
  expect(results[3]!.errorMessage).toContain('there is one broker, 1');
});

test('a setting of a topic tells where it is from and what it goes back to, where that is asked for', async () => {
  const { log, connect } = await openDoor({ settings: { 'message.max.bytes': 5000 } });
  await log.createTopic('readings', { retentionMs: 60_000 });
  const client = await connect();
  const configurationKeys = ['retention.ms', 'max.message.bytes', 'cleanup.policy'];
  const resources = [{ resourceType: 2, resourceName: 'readings', configurationKeys }];
  const { results } = await client.ask(describeConfigs, 4, { resources, includeSynonyms: true });
  const week = { name: 'log.retention.ms', value: '604800000', source: 5 };
  expect(Object.fromEntries(results[0]!.configs.map(({ name, synonyms }) => [name, synonyms]))).toEqual({
    'retention.ms': [{ name: 'retention.ms', value: '60000', source: 1 }, week],
    'max.message.bytes': [{ name: 'message.max.bytes', value: '5000', source: 4 }],
    'cleanup.policy': [{ name: 'log.cleanup.policy', value: 'delete', source: 5 }],
  });
  const plain = await client.ask(describeConfigs, 1, { resources });
  expect(plain.results[0]!.configs.map(({ synonyms }) => synonyms)).toEqual([[], [], []]);
});

test('the broker tells its settings by the names, types and sources of Kafka, all read-only', async () => {
  const { kafka, connect } = await openDoor({ settings: { 'node.id': 7, 'num.partitions': 3 } });
  const client = await connect();
  for (const resourceName of ['', '7']) {
    const { results } = await client.ask(describeConfigs, 4, { resources: [{ resourceType: 4, resourceName }] });
    const { configs } = results[0]!;
    const told = Object.fromEntries(
      configs.map(({ name, value, configType, configSource }) => [name, [value, configType, configSource]]),
    );
    expect(told).toMatchObject({
      'node.id': ['7', 3, 4],
      'broker.id': ['7', 3, 5],
      'num.partitions': ['3', 3, 4],
      'auto.create.topics.enable': ['true', 1, 5],
      'delete.topic.enable': ['true', 1, 5],
      'message.max.bytes': ['1048588', 3, 5],
      'log.retention.ms': ['604800000', 5, 5],
      'log.cleanup.policy': ['delete', 7, 5],
      'offsets.retention.minutes': ['10080', 3, 5],
      'advertised.listeners': [`PLAINTEXT://127.0.0.1:${kafka.port}`, 7, 5],
      'broker.rack': [null, 2, 5],
    });
    // What kafka-ui reads its version from.
    expect(told['inter.broker.protocol.version']![0]).toMatch(/^\d+\.\d+-IV\d$/);
    expect(configs.every(({ readOnly }) => readOnly)).toBe(true);
    expect(new Set(configs.map(({ name }) => name)).size).toBe(configs.length);
  }
});

test('the number of the node is that of its broker, leader, controller and coordinator', async () => {
  const { log, connect } = await openDoor({ settings: { 'node.id': 7 } });
  await log.createTopic('readings');
  const client = await connect();
  const answer = await client.ask(metadata, 9, { topics: null });
  expect([answer.controllerId, answer.brokers[0]!.nodeId, answer.topics[0]!.partitions[0]!.leaderId]).toEqual([
    7, 7, 7,
  ]);
  expect((await client.ask(findCoordinator, 2, { key: 'g' })).nodeId).toBe(7);
  expect((await client.ask(describeCluster, 1, {})).brokers[0]!.brokerId).toBe(7);
});

test('without auto.create.topics.enable no client makes a topic by asking for it', async () => {
  const { log, connect } = await openDoor({ settings: { 'auto.create.topics.enable': false } });
  const client = await connect();
  for (const version of [0, 4, 13]) {
    const { topics } = await client.ask(metadata, version, { topics: [{ name: 'new' }] });
    expect(topics).toMatchObject([{ name: 'new', errorCode: 3 }]);
  }
  expect(log.topics()).toEqual([]);
});

test('ListOffsets refuses a place that its version does not know, and one that is asked for twice', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const ask = async (version: number, ...timestamps: number[]) => {
    const partitions = timestamps.map((timestamp) => ({ partitionIndex: 0, timestamp }));
    const { topics } = await client.ask(listOffsets, version, { topics: [{ name: 'readings', partitions }] });
    return topics[0]!.partitions.map(({ errorCode }) => errorCode);
  };
  const since = new Map([
    [-2, 1],
    [-3, 7],
    [-4, 8],
    [-5, 9],
    [-6, 11],
    [-7, 12],
  ]);
  for (const [timestamp, first] of since) {
    if (first > 1) expect(await ask(first - 1, timestamp)).toEqual([35]);
    if (first < 12) expect(await ask(first, timestamp)).toEqual([0]);
  }
  expect(await ask(9, -1, -2)).toEqual([42, 42]);
});

test('DescribeCluster tells this node', async () => {
  const { kafka, connect } = await openDoor();
  const client = await connect();
  const answer = await client.ask(describeCluster, 1, {});
  expect(answer).toMatchObject({ errorCode: 0, clusterId: 'fake-cluster', controllerId: 1 });
  expect(answer.brokers).toMatchObject([{ brokerId: 1, host: '127.0.0.1', port: kafka.port }]);
  expect((await client.ask(describeCluster, 2, { endpointType: 2 })).errorCode).toBe(115);
});

test('FindCoordinator names this node for groups and refuses share groups, in every version', async () => {
  const { kafka, connect } = await openDoor();
  const client = await connect();
  for (let version = 0; version <= 6; version++) {
    const answer = await client.ask(findCoordinator, version, { key: 'g', coordinatorKeys: ['g'] });
    const found = version < 4 ? answer : answer.coordinators[0]!;
    expect(found).toMatchObject({ errorCode: 0, nodeId: 1, host: '127.0.0.1', port: kafka.port });
  }
  expect((await client.ask(findCoordinator, 6, { keyType: 2, coordinatorKeys: ['s'] })).coordinators[0]).toMatchObject({
    errorCode: 42,
  });
});
