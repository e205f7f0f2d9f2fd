// A record's way in by each door and out to Kafka clients on the site, through a whole headwater.

import kafkajs from 'kafkajs';
import { afterEach, expect, test } from 'vitest';
import { openNode, readPartition, statusOf, type Node } from './open-node.ts';

let node: Node;
afterEach(() => node.remove());

const ROUTES = [
  {
    mqtt: 'plant/+line/+machine/#',
    topic: 'readings',
    key: '{line}/{machine}',
    node: true,
    headers: { line: '{line}' },
  },
];

test('what MQTT publishes at each QoS is read by Kafka clients with key, value, headers and time', async () => {
  node = await openNode({ routes: ROUTES });
  const client = await node.mqtt();
  const beforeMs = Date.now();
  for (const qos of [1, 2] as const) await client.publishAsync('plant/a/1/celsius', `{"qos":${qos}}`, { qos });
  await client.publishAsync('plant/b/2/celsius', 'plain', { qos: 0 });
  // Acknowledged in order on one connection: what came before it is there when it is.
  await client.publishAsync('plant/a/1/celsius', Buffer.alloc(0), { qos: 1 });
  const afterMs = Date.now();

  const records = await readPartition(node.kafka, 'readings');

  const headersOf = (line: string, machine: number) => ({
    'mqtt.topic': `plant/${line}/${machine}/celsius`,
    node: 'edge',
    line,
  });
  expect(records.map(({ key, value, headers }) => ({ key, value, headers }))).toEqual([
    { key: 'a/1', value: '{"qos":1}', headers: headersOf('a', 1) },
    { key: 'a/1', value: '{"qos":2}', headers: headersOf('a', 1) },
    { key: 'b/2', value: 'plain', headers: headersOf('b', 2) },
    { key: 'a/1', value: '', headers: headersOf('a', 1) },
  ]);
  for (const { timestampMs } of records) {
    expect(timestampMs).toBeGreaterThanOrEqual(beforeMs);
    expect(timestampMs).toBeLessThanOrEqual(afterMs);
  }
});

test('without rules everything goes to the topic mqtt with the MQTT topic as key', async () => {
  node = await openNode();
  const client = await node.mqtt();
  for (const topic of ['a', '__proto__', 'ü/ñ', 'a//b']) await client.publishAsync(topic, topic, { qos: 1 });

  const records = await readPartition(node.kafka, 'mqtt');

  expect(records.map(({ key, value, headers }) => [key, value, headers])).toEqual([
    ['a', 'a', {}],
    ['__proto__', '__proto__', {}],
    ['ü/ñ', 'ü/ñ', {}],
    ['a//b', 'a//b', {}],
  ]);
});

test('a message that no rule takes reaches MQTT subscribers, is counted, and is not in the log', async () => {
  node = await openNode({ routes: ROUTES });
  const [client, subscriber] = [await node.mqtt(), await node.mqtt()];
  await subscriber.subscribeAsync('#', { qos: 1 });
  const arrived = new Promise((resolve) => {
    subscriber.once('message', (topic, payload) => resolve([topic, payload.toString()]));
  });
  await client.publishAsync('office/door', 'open', { qos: 1 });

  expect(await arrived).toEqual(['office/door', 'open']);
  const { rooms, log } = await statusOf(node);
  expect(rooms['intake']).toMatchObject({ records: 0, unrouted: 1 });
  expect(log.appended.records).toBe(0);
});

test('what a Kafka client writes lies beside what MQTT brought, in the order of the acknowledgements', async () => {
  node = await openNode({ topics: { mixed: { partitions: 1 } }, routes: [{ mqtt: '#', topic: 'mixed' }] });
  const client = await node.mqtt();
  const kafka = new kafkajs.Kafka({ brokers: [node.kafka], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  for (let number = 0; number < 5; number += 1) {
    await client.publishAsync('m', `mqtt ${number}`, { qos: 1 });
    const [sent] = await producer.send({
      topic: 'mixed',
      messages: [{ key: 'k', value: `kafka ${number}`, headers: { h: 'v' } }],
    });
    expect(sent?.baseOffset).toBe(String(2 * number + 1));
  }
  await producer.disconnect();

  const records = await readPartition(node.kafka, 'mixed');

  expect(records.map(({ value }) => value)).toEqual(
    [0, 1, 2, 3, 4].flatMap((each) => [`mqtt ${each}`, `kafka ${each}`]),
  );
  expect(records[1]).toMatchObject({ key: 'k', headers: { h: 'v' } });
  const { doors } = await statusOf(node);
  expect(doors.find(({ name }) => name === 'mqtt')).toMatchObject({ state: 'open', clients: 1, records: 5 });
  expect(doors.find(({ name }) => name === 'kafka')).toMatchObject({ state: 'open', records: 5 });
});

test('what comes and goes over HTTP is counted at its door, like that of all others', async () => {
  node = await openNode({ topics: { notes: {} } });
  const answer = await fetch(`${node.http}/topics/notes/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '[{"value":"one"},{"value":"two"}]',
  });
  expect(answer.status).toBe(200);
  expect(await readPartition(node.kafka, 'notes')).toHaveLength(2);

  const { doors } = await statusOf(node);
  const metrics = await (await fetch(`${node.http}/metrics`)).text();

  expect(doors.find(({ name }) => name === 'http')).toMatchObject({ state: 'open', records: 2 });
  expect(metrics).toMatch(/^headwater_http_appended_records_total 2$/m);
  expect(metrics).toMatch(/^headwater_kafka_fetched_records_total [2-9]$/m);
});

test('rules for MQTT subscribers without a door for them are told of', async () => {
  node = await openNode({ mqtt: { listen: 'off', publish: [{ topic: 'valves' }] } });
  expect(node.lines.join('\n')).toMatch(/warn .*mqtt\.publish has rules, and mqtt\.listen is off topics=valves/);
});

test('keys spread over partitions as Kafka spreads them, and each keeps its order', async () => {
  node = await openNode({ topics: { mqtt: { partitions: 4 } } });
  const client = await node.mqtt();
  const sent: Promise<unknown>[] = [];
  for (let number = 0; number < 400; number += 1) {
    sent.push(client.publishAsync(`s/${number % 16}`, String(number), { qos: number % 2 === 0 ? 1 : 2 }));
  }
  await Promise.all(sent);

  const partitions = await Promise.all([0, 1, 2, 3].map((index) => readPartition(node.kafka, 'mqtt', index)));

  expect(partitions.map(({ length }) => length).reduce((sum, length) => sum + length)).toBe(400);
  for (let sensor = 0; sensor < 16; sensor += 1) {
    const places = partitions.filter((records) => records.some(({ key }) => key === `s/${sensor}`));
    const { murmur2 } = kafkaHash;
    expect(places).toEqual([partitions[murmur2(`s/${sensor}`) % 4]]);
    const numbers = places[0]!.filter(({ key }) => key === `s/${sensor}`).map(({ value }) => Number(value));
    expect(numbers).toEqual(Array.from({ length: 25 }, (_, index) => sensor + 16 * index));
  }
});

/** kafkajs' own: it must agree with ours. */
const kafkaHash = {
  murmur2(key: string): number {
    const partitioner = kafkajs.Partitioners.JavaCompatiblePartitioner();
    const partitionMetadata = Array.from({ length: 4 }, (_, partitionId) => ({ partitionId, leader: 1 }));
    return partitioner({ topic: 't', partitionMetadata: partitionMetadata as never, message: { key, value: '' } });
  },
};
