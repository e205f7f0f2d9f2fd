// Groups of the two Kafka clients of npm: each reads everything, commits, and goes on where it was.

import { Consumer, stringDeserializers } from '@platformatic/kafka';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { until } from '../parts/until.ts';
import { openNode, type Node } from './open-node.ts';

let node: Node;
beforeAll(async () => {
  node = await openNode();
});
afterAll(() => node.close());

async function append(topic: string, from: number, count: number): Promise<string[]> {
  const values: string[] = [];
  for (const partition of node.log.topic(topic)!.partitions) {
    const own = Array.from({ length: count }, (_, index) => `${partition.index}-${from + index}`);
    await partition.append(encodeBatch(own.map((value) => ({ timestampMs: 1, key: null, value: Buffer.from(value) }))));
    values.push(...own);
  }
  return values.toSorted();
}

const committed = (group: string): number =>
  node.groups.committedBy(group).reduce((sum, { offset }) => sum + offset, 0);

test('kafkajs: two members share the partitions, and their successor goes on where they were', async () => {
  await node.log.createTopic('js-group', { partitions: 4 });
  const first = await append('js-group', 0, 25);
  const kafka = new kafkajs.Kafka({ brokers: [node.bootstrap], clientId: 'js', logLevel: kafkajs.logLevel.NOTHING });
  const start = async (read: string[]) => {
    const consumer = kafka.consumer({ groupId: 'js', heartbeatInterval: 100, maxWaitTimeInMs: 200 });
    await consumer.connect();
    await consumer.subscribe({ topic: 'js-group', fromBeginning: true });
    let share = -1;
    consumer.on('consumer.group_join', ({ payload }) => (share = payload.memberAssignment['js-group']?.length ?? 0));
    await consumer.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) });
    return { consumer, share: () => share };
  };
  const read: string[] = [];
  const [one, two] = await Promise.all([start(read), start(read)]);
  await until('both have two partitions', () => one.share() === 2 && two.share() === 2);
  await until('everything is read', () => new Set(read).size === first.length);
  await Promise.all([one.consumer.disconnect(), two.consumer.disconnect()]);
  await until('everything is committed', () => committed('js') === 100);
  expect(node.groups.describe('js')).toMatchObject({ state: 'Empty', protocolType: 'consumer' });

  const second = await append('js-group', 25, 5);
  const later: string[] = [];
  const next = await start(later);
  await until('the rest is read', () => later.length >= second.length);
  await next.consumer.disconnect();
  expect(later.toSorted()).toEqual(second);

  const admin = kafka.admin();
  await admin.connect();
  expect((await admin.listGroups()).groups).toEqual([{ groupId: 'js', protocolType: 'consumer' }]);
  expect((await admin.describeGroups(['js'])).groups).toMatchObject([{ state: 'Empty', errorCode: 0 }]);
  const [fetched] = await admin.fetchOffsets({ groupId: 'js', topics: ['js-group'] });
  expect(fetched!.partitions.map(({ offset }) => offset)).toEqual(['30', '30', '30', '30']);
  await admin.deleteGroups(['js']);
  expect(node.groups.describe('js')).toBeUndefined();
  await admin.disconnect();
});

test('@platformatic/kafka: a member reads and commits, and its successor goes on there', async () => {
  await node.log.createTopic('platformatic-group', { partitions: 3 });
  const first = await append('platformatic-group', 0, 25);
  const consume = async (count: number): Promise<string[]> => {
    const consumer = new Consumer({
      clientId: 'p',
      bootstrapBrokers: [node.bootstrap],
      groupId: 'platformatic',
      deserializers: stringDeserializers,
      heartbeatInterval: 500,
    });
    const stream = await consumer.consume({
      topics: ['platformatic-group'],
      autocommit: true,
      mode: 'committed',
      fallbackMode: 'earliest',
      maxWaitTime: 200,
    });
    const values: string[] = [];
    for await (const message of stream) {
      values.push(message.value);
      if (values.length === count) break;
    }
    await consumer.close(true);
    return values.toSorted();
  };
  expect(await consume(75)).toEqual(first);
  await until('everything is committed', () => committed('platformatic') === 75);
  const second = await append('platformatic-group', 25, 5);
  expect(await consume(15)).toEqual(second);
});
