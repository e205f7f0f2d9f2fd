// What each door answers before the commit where the configuration says that a topic is `relaxed`, through a whole headwater.

import kafkajs from 'kafkajs';
import { afterEach, expect, test } from 'vitest';
import { RawClient } from '../mqtt/raw-client.ts';
import { openNode, readPartition, type Node } from './open-node.ts';

const NAMES = ['puback', 'pubrec', 'kafka', 'http'];
const TOPICS = Object.fromEntries(NAMES.map((name) => [name, { durability: 'relaxed' }]));

let node: Node;
const clients: RawClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.hangUp();
  await node.remove();
});

async function connect(clientId: string, clean = true): Promise<RawClient> {
  const client = await RawClient.connect(Number(node.headwater.addresses.mqtt!.split(':')[1]), { clientId, clean });
  clients.push(client);
  return client;
}

function post(topic: string): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${node.http}/topics/${topic}/records`, { method: 'POST', headers, body: '{"value":"by http"}' });
}

test('relaxed: MQTT, Kafka and HTTP are answered, and MQTT subscribers served, while nothing is on the card', async () => {
  const routes = NAMES.map((name) => ({ mqtt: name, topic: name }));
  node = await openNode({ commit: { relaxed: '10m' }, topics: { ...TOPICS, strict: {} }, routes });
  const subscriber = await connect('subscriber');
  await subscriber.subscribe('puback', 1);

  const one = await connect('one');
  one.publish('puback', 'by mqtt', 1, 7);
  expect(await one.next('puback')).toMatchObject({ messageId: 7 });
  expect(String((await subscriber.next('publish')).payload)).toBe('by mqtt');
  const two = await connect('two', false);
  two.publish('pubrec', 'by mqtt', 2, 8);
  expect(await two.next('pubrec')).toMatchObject({ messageId: 8 });
  const kafka = new kafkajs.Kafka({ brokers: [node.kafka], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  const [sent] = await producer.send({ topic: 'kafka', acks: -1, messages: [{ value: 'by kafka' }] });
  expect(sent).toMatchObject({ errorCode: 0, baseOffset: '-1' });
  await producer.disconnect();
  const kept = [{ partition: 0, baseOffset: -1, count: 1 }];
  expect(await (await post('http')).json()).toEqual({ records: 1, kept });
  const found = (): Promise<unknown[]> => Promise.all(NAMES.map((name) => readPartition(node.kafka, name)));
  expect(await found()).toEqual([[], [], [], []]);

  // The commit of another topic's record takes them along.
  expect(await (await post('strict')).json()).toEqual({
    records: 1,
    kept: [{ partition: 0, baseOffset: 0, count: 1 }],
  });
  expect(await found()).toMatchObject(['by mqtt', 'by mqtt', 'by kafka', 'by http'].map((value) => [{ value }]));
});
