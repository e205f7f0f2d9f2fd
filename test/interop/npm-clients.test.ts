// The two Kafka clients of npm against a whole door: they are independent of headwater's own tables, and need nothing
// that `npm ci` does not bring.

import { createRequire } from 'node:module';
import { Consumer, Producer, ProduceAcks, stringDeserializers, stringSerializers } from '@platformatic/kafka';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openNode, readings, type Node } from './open-node.ts';

let node: Node;
beforeAll(async () => {
  node = await openNode();
});
afterAll(() => node.close());

describe('kafkajs', () => {
  const open = () =>
    new kafkajs.Kafka({ brokers: [node.bootstrap], clientId: 'interop', logLevel: kafkajs.logLevel.NOTHING });

  test('its administration makes, describes and deletes topics', async () => {
    const admin = open().admin();
    await admin.connect();
    expect(await admin.createTopics({ topics: [{ topic: 'js-admin', numPartitions: 3 }] })).toBe(true);
    expect(await admin.createTopics({ topics: [{ topic: 'js-admin' }] })).toBe(false);
    const { topics } = await admin.fetchTopicMetadata({ topics: ['js-admin'] });
    expect(topics[0]?.partitions).toHaveLength(3);
    const cluster = await admin.describeCluster();
    expect(cluster).toMatchObject({ controller: 1, clusterId: node.log.clusterId, brokers: [{ port: node.port }] });
    await admin.deleteTopics({ topics: ['js-admin'] });
    expect(await admin.listTopics()).not.toContain('js-admin');
    await admin.disconnect();
  });

  for (const [idempotent, compression] of [
    [false, kafkajs.CompressionTypes.None],
    [true, kafkajs.CompressionTypes.GZIP],
  ] as const) {
    test(`what it writes it reads (${idempotent ? 'idempotent, gzip' : 'plain'})`, async () => {
      const topic = idempotent ? 'js-gzip' : 'js-plain';
      const messages = readings(200).map((each, index) => ({ ...each, headers: { n: String(index) } }));
      const producer = open().producer({ idempotent, allowAutoTopicCreation: true });
      await producer.connect();
      for (let at = 0; at < 200; at += 50) {
        const sent = await producer.send({ topic, compression, messages: messages.slice(at, at + 50) });
        expect(sent).toMatchObject([{ errorCode: 0, baseOffset: String(at) }]);
      }
      await producer.disconnect();
      const read = await fetchWithKafkajs(topic);
      expect(read.map(({ key, value }) => ({ key: String(key), value: String(value) }))).toEqual(readings(200));
      expect(read.map(({ headers }) => String(headers?.['n']))).toEqual(messages.map(({ headers }) => headers.n));
    });
  }

  test('it finds offsets by time', async () => {
    const admin = open().admin();
    const producer = open().producer();
    await Promise.all([admin.connect(), producer.connect()]);
    for (const timestamp of ['1000', '2000', '3000']) {
      await producer.send({ topic: 'js-time', messages: [{ value: timestamp, timestamp }] });
    }
    expect(await admin.fetchTopicOffsets('js-time')).toMatchObject([{ partition: 0, low: '0', high: '3' }]);
    expect(await admin.fetchTopicOffsetsByTimestamp('js-time', 1500)).toMatchObject([{ partition: 0, offset: '1' }]);
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  });
});

describe('@platformatic/kafka', () => {
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    test(`what it writes it reads (${compression})`, async () => {
      const topic = `platformatic-${compression}`;
      const options = { clientId: 'interop', bootstrapBrokers: [node.bootstrap], retries: 0 };
      const producer = new Producer({
        ...options,
        serializers: stringSerializers,
        autocreateTopics: true,
        compression,
      });
      const messages = readings(200).map((each) => ({ ...each, topic, partition: 0 }));
      await producer.send({ messages, acks: ProduceAcks.ALL });
      await producer.close();
      const consumer = new Consumer({ ...options, groupId: 'unused', deserializers: stringDeserializers });
      const read: { key: string; value: string }[] = [];
      const partition = { partition: 0, currentLeaderEpoch: 0, fetchOffset: 0n, lastFetchedEpoch: 0 };
      const topicId = (await consumer.metadata({ topics: [topic] })).topics.get(topic)!.id;
      const topics = [{ topicId, partitions: [{ ...partition, partitionMaxBytes: 1 << 20 }] }];
      const answer = await consumer.fetch({ node: 1, maxWaitTime: 1000, topics });
      for (const batch of answer.responses[0]!.partitions[0]!.records ?? []) {
        for (const { key, value } of batch.records) read.push({ key: String(key), value: String(value) });
      }
      await consumer.close();
      expect(read).toEqual(readings(200));
    });
  }
});

interface FetchedMessage {
  key: Buffer;
  value: Buffer;
  headers?: Record<string, Buffer>;
}

/** kafkajs reads only in a group by its front door; behind it stands the same Fetch and the same decoder. */
async function fetchWithKafkajs(topic: string): Promise<FetchedMessage[]> {
  const require = createRequire(import.meta.url);
  const Cluster = require('kafkajs/src/cluster') as new (options: object) => KafkajsCluster;
  const createSocketFactory = require('kafkajs/src/network/socketFactory') as () => unknown;
  const { createLogger } = require('kafkajs/src/loggers') as { createLogger: (options: object) => unknown };
  const logger = createLogger({ level: kafkajs.logLevel.NOTHING, logCreator: () => () => undefined });
  const cluster = new Cluster({
    logger,
    socketFactory: createSocketFactory(),
    brokers: [node.bootstrap],
    clientId: 'interop',
    connectionTimeout: 5000,
    retry: { retries: 0 },
    maxInFlightRequests: 1,
  });
  await cluster.connect();
  await cluster.addTargetTopic(topic);
  const broker = await cluster.findBroker({ nodeId: '1' });
  const partitions = [{ partition: 0, currentLeaderEpoch: 0, fetchOffset: '0', maxBytes: 1 << 20 }];
  const answer = await broker.fetch({ maxWaitTime: 1000, topics: [{ topic, partitions }] });
  await cluster.disconnect();
  return answer.responses[0]!.partitions[0]!.messages;
}

interface KafkajsCluster {
  connect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  findBroker(options: { nodeId: string }): Promise<{
    fetch(options: object): Promise<{ responses: { partitions: { messages: FetchedMessage[] }[] }[] }>;
  }>;
  disconnect(): Promise<void>;
}
