// @platformatic/kafka as a driver of the matrix (see client.ts).

import {
  Admin,
  ConfigResourceTypes,
  Consumer,
  ListOffsetTimestamps,
  Producer,
  ProduceAcks,
  type CompressionAlgorithmValue,
  type ConsumeOptions,
  type Message,
} from '@platformatic/kafka';
import { drive, numbers, options, say, sayPartitions, stopped } from './driver.ts';
import { recordOf, type SeenRecord } from './records.ts';

const { topic, group } = options;
type How = ConsumeOptions<Buffer, Buffer, Buffer, Buffer>;
type Transaction = Awaited<ReturnType<Producer['beginTransaction']>>;

const client = { clientId: 'matrix', bootstrapBrokers: [options.bootstrap] };

interface Sender {
  send(options: Parameters<Producer['send']>[0]): Promise<unknown>;
}

async function send(producer: Sender, topic: string, which: number[], more: object = {}): Promise<number> {
  const messages = which.map((number) => {
    const { partition, key, value, headers, timestampMs } = recordOf(number);
    const bytes = headers.map(([name, text]): [Buffer, Buffer] => [Buffer.from(name), Buffer.from(text)]);
    return {
      topic,
      partition,
      ...(key !== null && { key: Buffer.from(key) }),
      value: Buffer.from(value),
      headers: new Map(bytes),
      timestamp: BigInt(timestampMs),
    };
  });
  await producer.send({ messages, acks: ProduceAcks.ALL, ...more });
  return messages.length;
}

async function produce(): Promise<void> {
  const acked: Record<string, number> = {};
  for (const compression of options.compressions) {
    const { idempotent } = options;
    const producer = new Producer({ ...client, autocreateTopics: true, idempotent });
    acked[compression] = 0;
    const more = { compression: compression as CompressionAlgorithmValue };
    for (let at = 0; at < options.count; at += options.chunk) {
      acked[compression] += await send(producer, `${topic}-${compression}`, numbers(at, at + options.chunk), more);
    }
    await producer.close();
  }
  say('result', { acked });
}

async function transact(): Promise<void> {
  const producer = new Producer({ ...client, idempotent: true, transactionalId: options.transactionalId });
  const within = async (end: 'commit' | 'abort', from: number, act?: (open: Transaction) => Promise<void>) => {
    const transaction = await producer.beginTransaction();
    await send(transaction, topic, numbers(from, from + 50));
    await act?.(transaction);
    await transaction[end]();
  };
  await within('commit', 0);
  await within('abort', 50);
  const consumer = new Consumer({ ...client, groupId: group });
  const source: How = { topics: [options.source], mode: 'earliest', autocommit: false, maxWaitTime: 200 };
  const [last] = await read(consumer, source, options.sourceOffset, async (messages) =>
    within('commit', 100, async (transaction) => {
      await transaction.addConsumer(consumer);
      await transaction.addOffset(messages.at(-1)!);
    }),
  );
  await producer.close();
  say('result', { acked: { none: 150 }, last: last?.topic });
}

/** Reads so many records, does something with them, and closes the consumer. */
async function read(
  consumer: Consumer,
  how: How,
  count: number,
  act?: (read: Message[]) => Promise<void>,
): Promise<Message[]> {
  const found: Message[] = [];
  const stream = await consumer.consume(how);
  for await (const message of stream) {
    found.push(message);
    if (found.length === count) {
      await act?.(found);
      break;
    }
  }
  await consumer.close(true);
  return found;
}

async function consume(): Promise<void> {
  const consumer = new Consumer({ ...client, groupId: group });
  const isolationLevel = options.committed ? 1 : 0;
  const how: How = { topics: [topic], mode: 'earliest', autocommit: false, maxWaitTime: 200, isolationLevel };
  const textOf = (data: Buffer | null | undefined): string | null =>
    data === null || data === undefined ? null : String(data);
  const records = (await read(consumer, how, options.count)).map((message): SeenRecord => ({
    partition: message.partition,
    offset: Number(message.offset),
    timestampMs: Number(message.timestamp),
    key: textOf(message.key),
    value: textOf(message.value),
    headers: message.headerEntries.map(([name, data]) => [String(name), textOf(data)]),
  }));
  say('result', { records });
}

async function member(): Promise<void> {
  const { cooperative, instance, sessionMs: sessionTimeout } = options;
  const consumer = new Consumer({
    ...client,
    groupId: group,
    sessionTimeout,
    rebalanceTimeout: Math.max(sessionTimeout, 30_000),
    heartbeatInterval: 500,
    ...(instance !== undefined && { groupInstanceId: instance }),
    ...(cooperative && { protocols: [{ name: 'cooperative-sticky', version: 3 }] }),
  });
  let assigned: number[] = [];
  const assign = (partitions: number[]): void => {
    sayPartitions(
      'partitions_revoked',
      assigned.filter((partition) => !partitions.includes(partition)),
    );
    sayPartitions(
      'partitions_assigned',
      partitions.filter((partition) => !assigned.includes(partition)),
    );
    assigned = partitions;
  };
  consumer.on('consumer:group:rebalance', () => cooperative || assign([]));
  consumer.on('consumer:group:join', ({ assignments = [] }) =>
    assign(assignments.flatMap(({ partitions }) => partitions)),
  );
  const how: How = {
    topics: [topic],
    mode: 'committed',
    fallbackMode: 'earliest',
    autocommit: true,
    maxWaitTime: 200,
  };
  const stream = await consumer.consume(how);
  stream.on('data', ({ value }: Message) => say('record_data', { value: String(value) }));
  await stopped();
  await consumer.close(true);
}

const valuesOf = (read: Message[]): string[] => read.map(({ value }) => String(value));

async function resume(): Promise<void> {
  const consumer = new Consumer({ ...client, groupId: group });
  const how: How = {
    topics: [topic],
    mode: 'committed',
    fallbackMode: 'earliest',
    autocommit: false,
    maxWaitTime: 200,
  };
  const records = await read(consumer, how, options.count, async (found) => {
    const { offset, leaderEpoch } = found.at(-1)!;
    await consumer.commit({ offsets: [{ topic, partition: 0, offset: offset + 1n, leaderEpoch }] });
  });
  say('result', { values: valuesOf(records) });
}

async function seek(): Promise<void> {
  const consumer = new Consumer({ ...client, groupId: group });
  const found = await consumer.listOffsets({ topics: [topic], timestamp: BigInt(options.timeMs) });
  const offset = found.get(topic)![0]!;
  const how: How = {
    topics: [topic],
    mode: 'manual',
    autocommit: false,
    maxWaitTime: 200,
    offsets: [{ topic, partition: 0, offset }],
  };
  const records = await read(consumer, how, options.count);
  say('result', { offset: Number(offset), values: valuesOf(records) });
}

async function walk(): Promise<void> {
  const { made } = options;
  const admin = new Admin(client);
  const partitionsOf = async (name: string): Promise<number> =>
    (await admin.metadata({ topics: [name], forceUpdate: true })).topics.get(name)!.partitionsCount;
  const offsetOf = async (timestamp: bigint): Promise<number> => {
    const [found] = await admin.listOffsets({
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }],
    });
    return Number(found!.partitions[0]!.offset);
  };
  const committed = async (): Promise<number> => {
    const [found] = await admin.listConsumerGroupOffsets({ groups: [group] });
    return Number(found!.topics[0]!.partitions[0]!.committedOffset);
  };
  const configs = [{ name: 'retention.ms', value: '600000' }];
  await admin.createTopics({ topics: [made], partitions: 2, replicas: 1, configs });
  const created = await partitionsOf(made);
  await admin.createPartitions({ topics: [{ name: made, count: 3 }] });
  const grown = await partitionsOf(made);
  const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: made };
  const change = { name: 'retention.ms', value: '700000', configOperation: 0 as const };
  await admin.incrementalAlterConfigs({ resources: [{ ...resource, configs: [change] }] });
  const [described] = await admin.describeConfigs({ resources: [resource] });
  const config = described!.configs.find(({ name }) => name === 'retention.ms')!.value;
  const nodes = [...(await admin.metadata({})).brokers.keys()];
  const end = await offsetOf(ListOffsetTimestamps.LATEST);
  await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 5n }] }] });
  const start = await offsetOf(ListOffsetTimestamps.EARLIEST);
  const listed = (await admin.listGroups()).has(group);
  const { state } = (await admin.describeGroups({ groups: [group] })).get(group)!;
  const before = await committed();
  const partitionOffsets = [{ partition: 0, offset: 11n }];
  await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] });
  const moved = await committed();
  await admin.deleteGroups({ groups: [group] });
  const gone = !(await admin.listGroups()).has(group);
  await admin.deleteTopics({ topics: [made] });
  const dropped = !(await admin.listTopics()).includes(made);
  await admin.close();
  const topics = { created, grown, config, nodes, end, start, dropped };
  say('result', { ...topics, listed, state: state.replace('EMPTY', 'Empty'), committed: before, moved, gone });
}

await drive({ produce, transact, consume, member, resume, seek, admin: walk });
