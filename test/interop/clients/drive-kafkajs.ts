// kafkajs as a driver of the matrix (see client.ts).

import kafkajs, { type Consumer, type EachMessagePayload, type Producer, type Transaction } from 'kafkajs';
import { drive, numbers, options, say, sayPartitions, stopped } from './driver.ts';
import { recordOf, type SeenRecord } from './records.ts';

const { topic } = options;
const kafka = new kafkajs.Kafka({
  brokers: [options.bootstrap],
  clientId: 'matrix',
  logLevel: kafkajs.logLevel.NOTHING,
});
const CODES: Record<string, number> = { none: 0, gzip: 1 };

async function send(producer: Producer | Transaction, topic: string, which: number[], code = 0): Promise<number> {
  const messages = which.map((number) => {
    const { partition, key, value, headers, timestampMs } = recordOf(number);
    return { partition, key, value, headers: Object.fromEntries(headers), timestamp: String(timestampMs) };
  });
  await producer.send({ topic, messages, compression: code });
  return messages.length;
}

async function produce(): Promise<void> {
  const acked: Record<string, number> = {};
  for (const compression of options.compressions) {
    const producer = kafka.producer({ idempotent: options.idempotent });
    await producer.connect();
    acked[compression] = 0;
    for (let at = 0; at < options.count; at += options.chunk) {
      const which = numbers(at, at + options.chunk);
      acked[compression] += await send(producer, `${topic}-${compression}`, which, CODES[compression]);
    }
    await producer.disconnect();
  }
  say('result', { acked });
}

async function transact(): Promise<void> {
  const { transactionalId } = options;
  const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const first = await producer.transaction();
  await send(first, topic, numbers(0, 50));
  await first.commit();
  const second = await producer.transaction();
  await send(second, topic, numbers(50, 100));
  await second.abort();
  const third = await producer.transaction();
  await send(third, topic, numbers(100, 150));
  const offsets = [{ partition: 0, offset: String(options.sourceOffset) }];
  await third.sendOffsets({ consumerGroupId: options.group, topics: [{ topic: options.source, partitions: offsets }] });
  await third.commit();
  await producer.disconnect();
  say('result', { acked: { none: 150 } });
}

/** Reads so many records in a group; `begin` is called when it runs. The consumer is left connected. */
async function read(
  consumer: Consumer,
  count: number,
  begin: () => void = () => undefined,
): Promise<EachMessagePayload[]> {
  const read: EachMessagePayload[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve) => {
    const eachMessage = async (payload: EachMessagePayload): Promise<void> => {
      if (read.length < count) read.push(payload);
      if (read.length === count) resolve();
    };
    void consumer.run({ autoCommit: false, eachMessage });
    begin();
  });
  return read;
}

function openConsumer(groupId: string, isCommittedOnly = false): Consumer {
  return kafka.consumer({ groupId, maxWaitTimeInMs: 200, readUncommitted: !isCommittedOnly });
}

async function consume(): Promise<void> {
  const consumer = openConsumer(options.group, options.committed);
  const found = await read(consumer, options.count);
  const records = found.map(({ partition, message }): SeenRecord => {
    const headers = Object.entries(message.headers ?? {});
    return {
      partition,
      offset: Number(message.offset),
      timestampMs: Number(message.timestamp),
      key: message.key === null ? null : String(message.key),
      value: message.value === null ? null : String(message.value),
      headers: headers.map(([name, data]) => [name, Buffer.isBuffer(data) ? String(data) : null]),
    };
  });
  await consumer.disconnect();
  say('result', { records });
}

async function member(): Promise<void> {
  const { sessionMs: sessionTimeout, group: groupId } = options;
  const consumer = kafka.consumer({ groupId, sessionTimeout, heartbeatInterval: 500, maxWaitTimeInMs: 200 });
  let assigned: number[] = [];
  const revoke = (): void => {
    sayPartitions('partitions_revoked', assigned);
    assigned = [];
  };
  consumer.on('consumer.rebalancing', revoke);
  consumer.on('consumer.group_join', ({ payload }) => {
    revoke();
    assigned = payload.memberAssignment[topic] ?? [];
    sayPartitions('partitions_assigned', assigned);
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => say('record_data', { value: String(message.value) }) });
  await stopped();
  await consumer.disconnect();
}

const valuesOf = (read: EachMessagePayload[]): string[] => read.map(({ message }) => String(message.value));

async function resume(): Promise<void> {
  const consumer = openConsumer(options.group);
  const records = await read(consumer, options.count);
  const next = Number(records.at(-1)!.message.offset) + 1;
  await consumer.commitOffsets([{ topic, partition: 0, offset: String(next), metadata: options.metadata }]);
  await consumer.disconnect();
  say('result', { values: valuesOf(records) });
}

async function seek(): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, options.timeMs);
  await admin.disconnect();
  const consumer = openConsumer(options.group);
  const records = await read(consumer, options.count, () => consumer.seek({ topic, ...found! }));
  await consumer.disconnect();
  say('result', { offset: Number(found!.offset), values: valuesOf(records) });
}

async function walk(): Promise<void> {
  const { made, group } = options;
  const admin = kafka.admin();
  await admin.connect();
  const partitionsOf = async (name: string): Promise<number> =>
    (await admin.fetchTopicMetadata({ topics: [name] })).topics[0]!.partitions.length;
  const committed = async (): Promise<number> =>
    Number((await admin.fetchOffsets({ groupId: group, topics: [topic] }))[0]!.partitions[0]!.offset);
  const hasGroup = async (): Promise<boolean> =>
    (await admin.listGroups()).groups.some(({ groupId }) => groupId === group);
  const configEntries = [{ name: 'retention.ms', value: '600000' }];
  await admin.createTopics({ topics: [{ topic: made, numPartitions: 2, configEntries }] });
  const created = await partitionsOf(made);
  await admin.createPartitions({ topicPartitions: [{ topic: made, count: 3 }] });
  const grown = await partitionsOf(made);
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: made };
  const changed = { ...resource, configEntries: [{ name: 'retention.ms', value: '700000' }] };
  await admin.alterConfigs({ validateOnly: false, resources: [changed] });
  const described = await admin.describeConfigs({ resources: [resource], includeSynonyms: false });
  const config = described.resources[0]!.configEntries.find(({ configName }) => configName === 'retention.ms');
  const { brokers } = await admin.describeCluster();
  const [{ high } = { high: '' }] = await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] });
  const [{ low } = { low: '' }] = await admin.fetchTopicOffsets(topic);
  const listed = await hasGroup();
  const { groups } = await admin.describeGroups([group]);
  const before = await committed();
  await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '11' }] });
  const moved = await committed();
  await admin.deleteGroups([group]);
  const gone = !(await hasGroup());
  await admin.deleteTopics({ topics: [made] });
  const dropped = !(await admin.listTopics()).includes(made);
  await admin.disconnect();
  const nodes = brokers.map(({ nodeId }) => nodeId);
  const [end, start, state] = [Number(high), Number(low), groups[0]!.state];
  const topics = { created, grown, config: config!.configValue, nodes, end, start, dropped };
  say('result', { ...topics, listed, state, committed: before, moved, gone });
}

await drive({ produce, transact, consume, member, resume, seek, admin: walk });
