// Topics that clients change, and what else tools for administrators ask.

import { expect, test } from 'vitest';
import { createTopics } from '../../src/formats/kafka/19-create-topics.ts';
import { describeAcls } from '../../src/formats/kafka/29-describe-acls.ts';
import { createAcls } from '../../src/formats/kafka/30-create-acls.ts';
import { deleteAcls } from '../../src/formats/kafka/31-delete-acls.ts';
import { describeConfigs, TOPIC_RESOURCE, BROKER_RESOURCE } from '../../src/formats/kafka/32-describe-configs.ts';
import { alterConfigs } from '../../src/formats/kafka/33-alter-configs.ts';
import { describeLogDirs } from '../../src/formats/kafka/35-describe-log-dirs.ts';
import { createPartitions } from '../../src/formats/kafka/37-create-partitions.ts';
import { CONFIG_OPERATION, incrementalAlterConfigs } from '../../src/formats/kafka/44-incremental-alter-configs.ts';
import { listPartitionReassignments } from '../../src/formats/kafka/46-list-partition-reassignments.ts';
import { saslHandshake } from '../../src/formats/kafka/17-sasl-handshake.ts';
import { saslAuthenticate } from '../../src/formats/kafka/36-sasl-authenticate.ts';
import { describeClientQuotas } from '../../src/formats/kafka/48-describe-client-quotas.ts';
import { describeUserScramCredentials } from '../../src/formats/kafka/50-describe-user-scram-credentials.ts';
import { listConfigResources } from '../../src/formats/kafka/74-list-config-resources.ts';
import { describeTopicPartitions } from '../../src/formats/kafka/75-describe-topic-partitions.ts';
import { KafkaError } from '../../src/formats/kafka/codes.ts';
import type { ResponseOf } from '../../src/formats/kafka/schema.ts';
import { batchOf, openDoor, produceOne } from './open-door.ts';
import type { RawClient } from './raw-client.ts';

async function grow(client: RawClient, more: object = {}, version = 3) {
  const topic = { name: 'readings', count: 3, assignments: null, ...more };
  const answer = await client.ask(createPartitions, version, { topics: [topic], timeoutMs: 1000, validateOnly: false });
  return answer.results[0]!;
}

test('partitions are added, and can be written at once', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  for (let version = 0; version <= 3; version++) {
    expect(await grow(client, { count: version + 2 }, version)).toMatchObject({ name: 'readings', errorCode: 0 });
  }
  expect(log.topic('readings')!.partitions).toHaveLength(5);
  expect((await produceOne(client, 'readings', batchOf(['a']), { partition: 4 })).errorCode).toBe(0);
});

test('partitions that cannot be are refused in words, and a trial changes nothing', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { partitions: 2 });
  const client = await connect();
  expect((await grow(client, { name: 'nowhere' })).errorCode).toBe(KafkaError.UNKNOWN_TOPIC_OR_PARTITION);
  for (const count of [2, 1, 4097]) {
    const { errorCode, errorMessage } = await grow(client, { count });
    expect([errorCode, errorMessage]).toEqual([
      KafkaError.INVALID_PARTITIONS,
      expect.stringContaining('has 2 partitions'),
    ]);
  }
  const elsewhere = await grow(client, { assignments: [{ brokerIds: [7] }] });
  expect(elsewhere.errorCode).toBe(KafkaError.INVALID_REPLICA_ASSIGNMENT);
  const topic = { name: 'readings', count: 3, assignments: [{ brokerIds: [1] }] };
  const trial = await client.ask(createPartitions, 3, { topics: [topic], timeoutMs: 1, validateOnly: true });
  expect(trial.results).toMatchObject([{ errorCode: 0 }]);
  const twice = await client.ask(createPartitions, 3, { topics: [topic, topic], timeoutMs: 1, validateOnly: false });
  expect(twice.results.map(({ errorCode }) => errorCode)).toEqual([42, 42]);
  expect(log.topic('readings')!.partitions).toHaveLength(2);
});

interface Change {
  name: string;
  configOperation?: number;
  value?: string | null;
}

async function alter(client: RawClient, changes: Change[], of: object = {}, version = 1) {
  const configs = changes.map((change) => ({ configOperation: CONFIG_OPERATION.set, value: null, ...change }));
  const resource = { resourceType: TOPIC_RESOURCE, resourceName: 'readings', configs, ...of };
  const answer = await client.ask(incrementalAlterConfigs, version, { resources: [resource], validateOnly: false });
  return answer.responses[0]!;
}

async function shown(client: RawClient): Promise<Record<string, string | null>> {
  const resources = [{ resourceType: TOPIC_RESOURCE, resourceName: 'readings', configurationKeys: null }];
  const { results } = await client.ask(describeConfigs, 4, { resources });
  return Object.fromEntries(results[0]!.configs.map(({ name, value }) => [name, value]));
}

test('some settings are changed, the others stay; a deleted one is at its default', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { retentionBytes: 1000 });
  const client = await connect();
  for (const version of [0, 1]) {
    const set = { name: 'retention.ms', value: `${version + 5}000` };
    expect(await alter(client, [set], {}, version)).toMatchObject({ errorCode: 0, resourceName: 'readings' });
  }
  expect(await alter(client, [{ name: 'headwater.durability', value: 'relaxed' }])).toMatchObject({ errorCode: 0 });
  expect(await alter(client, [{ name: 'headwater.when.full', value: 'drop-oldest' }])).toMatchObject({ errorCode: 0 });
  expect(await alter(client, [{ name: 'headwater.when.full', value: 'never' }])).toMatchObject({ errorCode: 40 });
  expect(await shown(client)).toMatchObject({
    'retention.ms': '6000',
    'retention.bytes': '1000',
    'headwater.durability': 'relaxed',
    'headwater.when.full': 'drop-oldest',
  });
  await alter(client, [{ name: 'retention.bytes', configOperation: CONFIG_OPERATION.delete }]);
  expect(await shown(client)).toMatchObject({ 'retention.ms': '6000', 'retention.bytes': '-1' });
});

test('what a topic makes of records is set by the names of Kafka, and shown with types and defaults', async () => {
  const { log, connect } = await openDoor({ settings: { 'message.max.bytes': 9000 } });
  await log.createTopic('readings');
  const client = await connect();
  const forEver = '9223372036854775807';
  const defaults = {
    'compression.type': 'producer',
    'max.message.bytes': '9000',
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.before.max.ms': forEver,
    'message.timestamp.after.max.ms': forEver,
  };
  expect(await shown(client)).toMatchObject(defaults);
  const wanted = {
    'compression.type': 'zstd',
    'max.message.bytes': '5000',
    'message.timestamp.type': 'LogAppendTime',
    'message.timestamp.before.max.ms': '60000',
    'message.timestamp.after.max.ms': '0',
  };
  await alter(
    client,
    Object.entries(wanted).map(([name, value]) => ({ name, value })),
  );
  expect(await shown(client)).toMatchObject(wanted);
  const settings = { compression: 'zstd', batchBytesMax: 5000, timestampType: 'LogAppendTime', timestampAfterMs: 0 };
  expect(log.topic('readings')!.settings).toMatchObject(settings);
  const back = Object.keys(wanted).map((name) => ({ name, configOperation: CONFIG_OPERATION.delete }));
  expect((await alter(client, back)).errorCode).toBe(0);
  expect(await shown(client)).toMatchObject(defaults);
  expect(log.topic('readings')!.settings.batchBytesMax).toBe(-1);
});

test('words are added to a list and taken from it', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const change = async (configOperation: number, value: string) => {
    const { errorCode } = await alter(client, [{ name: 'cleanup.policy', configOperation, value }]);
    return [errorCode, (await shown(client))['cleanup.policy']];
  };
  expect(await change(CONFIG_OPERATION.append, 'compact')).toEqual([0, 'compact,delete']);
  expect(await change(CONFIG_OPERATION.append, 'compact')).toEqual([0, 'compact,delete']);
  expect(await change(CONFIG_OPERATION.subtract, 'delete')).toEqual([0, 'compact']);
});

test('a trial finds what a change would, and changes nothing', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { compactionLagMinMs: 5000 });
  const client = await connect();
  const before = await shown(client);
  const trial = async (value: string) => {
    const configs = [{ name: 'max.compaction.lag.ms', configOperation: CONFIG_OPERATION.set, value }];
    const resources = [{ resourceType: TOPIC_RESOURCE, resourceName: 'readings', configs }];
    return (await client.ask(incrementalAlterConfigs, 1, { resources, validateOnly: true })).responses[0]!.errorCode;
  };
  expect([await trial('6000'), await trial('4000')]).toEqual([0, KafkaError.INVALID_CONFIG]);
  expect(await shown(client)).toEqual(before);
});

test('AlterConfigs puts back to its default what it does not name', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { retentionMs: 5000, retentionBytes: 1000 });
  const client = await connect();
  for (let version = 0; version <= 2; version++) {
    const configs = [{ name: 'retention.bytes', value: `${version}` }];
    const resource = { resourceType: TOPIC_RESOURCE, resourceName: 'readings', configs };
    const { responses } = await client.ask(alterConfigs, version, { resources: [resource], validateOnly: false });
    expect(responses).toMatchObject([{ errorCode: 0 }]);
  }
  expect(await shown(client)).toMatchObject({ 'retention.ms': '604800000', 'retention.bytes': '2' });
});

test('what cannot be set is refused with the reason, and nothing of the request is done', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const before = await shown(client);
  const good = { name: 'retention.ms', value: '1000' };
  const wrongs: [Change, string][] = [
    [{ name: 'retention.ms', value: 'soon' }, 'in the request twice'],
    [{ name: 'retention.bytes', value: 'soon' }, 'retention.bytes is a whole number'],
    [{ name: 'segment.bytes', value: '1' }, 'segment.bytes: has no effect here'],
    [{ name: 'cleanup.policy', value: 'sometimes' }, 'cleanup.policy is compact, delete, or both'],
    [{ name: 'min.cleanable.dirty.ratio', value: '2' }, 'min.cleanable.dirty.ratio is a number from 0 to 1'],
    [{ name: 'max.compaction.lag.ms', value: '0' }, 'max.compaction.lag.ms is a whole number from 1'],
    [
      { name: 'retention.bytes', value: '1', configOperation: CONFIG_OPERATION.append },
      'only a list can be appended to',
    ],
    [
      { name: 'cleanup.policy', value: 'delete', configOperation: CONFIG_OPERATION.subtract },
      'is compact, delete, or both',
    ],
    [{ name: 'colour', value: 'red' }, 'no such setting'],
    [{ name: 'compression.type', value: 'lz4' }, 'lz4 is read here, and not written: use zstd'],
    [{ name: 'compression.type', value: 'brotli' }, 'is one of producer, uncompressed'],
    [{ name: 'max.message.bytes', value: '1048589' }, 'from 0 to 1048588'],
    [{ name: 'message.timestamp.type', value: 'NoTime' }, 'is one of CreateTime, LogAppendTime'],
    [{ name: 'message.timestamp.after.max.ms', value: '-1' }, 'a whole number from 0'],
    [{ name: 'colour', configOperation: CONFIG_OPERATION.delete }, 'no such setting'],
  ];
  for (const [wrong, words] of wrongs) {
    const { errorCode, errorMessage } = await alter(client, [good, wrong]);
    expect([errorCode, errorMessage]).toEqual([KafkaError.INVALID_CONFIG, expect.stringContaining(words)]);
  }
  expect((await alter(client, [good], { resourceName: 'nowhere' })).errorCode).toBe(3);
  const broker = { resourceType: BROKER_RESOURCE, resourceName: '1' };
  expect(await alter(client, [good], broker)).toMatchObject({ errorCode: KafkaError.INVALID_REQUEST });
  expect(await shown(client)).toEqual(before);
});

test('compaction is set as Kafka names it, shown as it was set, and kept', async () => {
  const { log, connect } = await openDoor();
  const client = await connect();
  const given = {
    'cleanup.policy': 'compact',
    'delete.retention.ms': '1000',
    'min.compaction.lag.ms': '5',
    'max.compaction.lag.ms': '60000',
    'min.cleanable.dirty.ratio': '0.25',
    'headwater.pin': 'none',
  };
  const configs = Object.entries({ ...given, 'segment.bytes': '52428800' }).map(([name, value]) => ({ name, value }));
  const topic = { name: 'readings', numPartitions: 1, replicationFactor: -1, configs };
  const made = await client.ask(createTopics, 7, { topics: [topic], timeoutMs: 1000, validateOnly: false });
  expect(made.topics).toMatchObject([{ errorCode: 0 }]);
  expect(await shown(client)).toMatchObject(given);
  await alter(client, [{ name: 'cleanup.policy', value: 'delete, compact' }]);
  expect(log.topic('readings')!.settings.cleanup).toBe('compact,delete');
  for (const name of ['cleanup.policy', 'max.compaction.lag.ms']) {
    await alter(client, [{ name, configOperation: CONFIG_OPERATION.delete }]);
  }
  const after = { 'cleanup.policy': 'delete', 'max.compaction.lag.ms': '9223372036854775807' };
  expect(await shown(client)).toMatchObject(after);
});

test('log dirs tell the size of partitions, and of the data in all', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings', { partitions: 2 });
  await log.createTopic('others');
  const client = await connect();
  await produceOne(client, 'readings', batchOf(['a']), { partition: 1 });
  const { bytes } = log.partition('readings', 1);
  for (let version = 1; version <= 4; version++) {
    const { results } = await client.ask(describeLogDirs, version, { topics: null });
    expect(results).toMatchObject([{ errorCode: 0, logDir: 'data' }]);
    expect(results[0]!.topics.map(({ name }) => name)).toEqual(['others', 'readings']);
    expect(results[0]!.topics[1]!.partitions).toMatchObject([{ partitionSize: 0 }, { partitionSize: bytes }]);
  }
  const some = { topics: [{ topic: 'readings', partitions: [1, 9] }] };
  const { results } = await client.ask(describeLogDirs, 4, some);
  expect(results[0]!.topics).toMatchObject([{ name: 'readings', partitions: [{ partitionIndex: 1 }] }]);
});

test('there is no access control to ask or to change, and nothing moves between brokers', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  const filter = { resourceNameFilter: null, principalFilter: null, hostFilter: null };
  const any = { resourceTypeFilter: 1, operation: 1, permissionType: 1, ...filter };
  const one = { resourceType: 2, resourceName: 'readings', principal: 'User:a', host: '*', operation: 3 };
  for (let version = 1; version <= 3; version++) {
    expect((await client.ask(describeAcls, version, any)).errorCode).toBe(KafkaError.SECURITY_DISABLED);
    const made = await client.ask(createAcls, version, { creations: [{ ...one, permissionType: 3 }] });
    expect(made.results).toMatchObject([{ errorCode: KafkaError.SECURITY_DISABLED }]);
    const gone = await client.ask(deleteAcls, version, { filters: [any, any] });
    expect(gone.filterResults.map(({ errorCode }) => errorCode)).toEqual([54, 54]);
  }
  expect(await client.ask(listPartitionReassignments, 0, {})).toMatchObject({ errorCode: 0, topics: [] });
});

test('there are no quotas, no users and no login, and each is said so', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  for (const version of [0, 1]) {
    const quotas = await client.ask(describeClientQuotas, version, { components: [], strict: false });
    expect(quotas).toMatchObject({ errorCode: 0, entries: [] });
    const handshake = await client.ask(saslHandshake, version, { mechanism: 'PLAIN' });
    expect(handshake).toEqual({ errorCode: KafkaError.ILLEGAL_SASL_STATE, mechanisms: [] });
  }
  for (const version of [0, 1, 2]) {
    const login = await client.ask(saslAuthenticate, version, { authBytes: Buffer.from('x') });
    expect(login.errorCode).toBe(KafkaError.ILLEGAL_SASL_STATE);
  }
  expect((await client.ask(describeUserScramCredentials, 0, { users: null })).results).toEqual([]);
  const named = await client.ask(describeUserScramCredentials, 0, { users: [{ name: 'a' }] });
  expect(named.results).toMatchObject([{ user: 'a', errorCode: KafkaError.RESOURCE_NOT_FOUND }]);
});

test('topics and this broker have settings to be listed', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  expect((await client.ask(listConfigResources, 0, {})).configResources).toEqual([]);
  const all = await client.ask(listConfigResources, 1, {});
  const [topic, broker] = [
    { resourceName: 'readings', resourceType: TOPIC_RESOURCE },
    { resourceName: '1', resourceType: BROKER_RESOURCE },
  ];
  expect(all.configResources).toEqual([topic, broker]);
  const brokers = await client.ask(listConfigResources, 1, { resourceTypes: [BROKER_RESOURCE] });
  expect(brokers.configResources).toEqual([broker]);
});

test('partitions are described in portions, each going on where the last one ended', async () => {
  const { log, connect } = await openDoor();
  for (const [name, partitions] of [
    ['c', 2],
    ['a', 3],
    ['b', 1],
  ] as const)
    await log.createTopic(name, { partitions });
  const client = await connect();
  for (const names of [[], ['a', 'b', 'c', 'b']]) {
    const told: string[] = [];
    let cursor: { topicName: string; partitionIndex: number } | null = null;
    do {
      const topics = names.map((name) => ({ name }));
      const answer: Portion = await client.ask(describeTopicPartitions, 0, {
        topics,
        responsePartitionLimit: 2,
        cursor,
      });
      const partitions = answer.topics.flatMap((topic) => topic.partitions.map((each) => ({ topic, each })));
      expect(partitions.length).toBeLessThanOrEqual(2);
      // The Java client falls over a null here.
      expect(partitions.map(({ each }) => each.eligibleLeaderReplicas)).not.toContain(null);
      told.push(...partitions.map(({ topic, each }) => `${topic.name}/${each.partitionIndex}/${each.leaderId}`));
      cursor = answer.nextCursor;
    } while (cursor !== null);
    expect(told).toEqual(['a/0/1', 'a/1/1', 'a/2/1', 'b/0/1', 'c/0/1', 'c/1/1']);
  }
  const unknown = await client.ask(describeTopicPartitions, 0, { topics: [{ name: 'nowhere' }] });
  expect(unknown.topics).toMatchObject([{ name: 'nowhere', errorCode: 3, partitions: [] }]);
  expect(log.topic('nowhere')).toBeUndefined();
});

type Portion = ResponseOf<typeof describeTopicPartitions>;
