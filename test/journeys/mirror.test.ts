// One headwater mirrors to others, through outages and restarts: every record is upstream once and in order, and status
// says meanwhile how it stands.

import { afterEach, expect, test } from 'vitest';
import type { MqttClient } from 'mqtt';
import { until } from '../parts/until.ts';
import { numbersOf, openNode, readPartition, statusOf, upTo, type Node } from './open-node.ts';

const nodes: Node[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0).toReversed()) await node.remove();
});

async function open(tree: Record<string, unknown> = {}): Promise<Node> {
  const node = await openNode(tree);
  nodes.push(node);
  return node;
}

function mirrorTo(upstream: Node, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { name: 'dc', bootstrap: [upstream.kafka], ...more };
}

async function publish(client: MqttClient, from: number, to: number): Promise<void> {
  // What waits for its connection in MQTT.js is sent one by one, each with a commit of its own.
  await until('the client is connected', () => client.connected);
  const sent: Promise<unknown>[] = [];
  for (let number = from; number < to; number += 1) {
    sent.push(client.publishAsync(`s/${number % 8}`, String(number), { qos: number % 2 === 0 ? 1 : 2 }));
  }
  await Promise.all(sent);
}

test('an outage of the upstream costs nothing, and status says so while it lasts', async () => {
  const upstream = await open();
  const edge = await open({ topics: { mqtt: { partitions: 2 } }, mirror: [mirrorTo(upstream)] });
  const client = await edge.mqtt();
  await publish(client, 0, 300);
  await edge.mirrored();
  expect(edge.mirror()).toMatchObject({ state: 'idle', sent: { records: 300 }, backlog: { records: 0 } });

  await upstream.stop();
  await publish(client, 300, 700);
  await until('the outage is noticed', () => edge.mirror().state === 'down');
  const during = await statusOf(edge);
  const ready = await fetch(`${edge.http}/health/ready`);
  await upstream.open();
  await publish(client, 700, 1_000);
  await edge.mirrored();

  expect(ready.status).toBe(200);
  expect(during.mirrors).toMatchObject([{ name: 'dc', state: 'down', backlog: { records: 400 } }]);
  expect(during.mirrors[0]!.problems).not.toEqual([]);
  expect(edge.mirror()).toMatchObject({ state: 'idle', lost: { gapRecords: 0, upstreamRecords: 0 } });
  expect((await statusOf(edge)).mirrors[0]!.problems).toEqual([]);
  expect(await numbersOf(upstream.kafka, 'edge.mqtt', 2)).toEqual(upTo(1_000));
});

test('records arrive upstream as they lie in the log: key, value, headers, time', async () => {
  const upstream = await open();
  const routes = [{ mqtt: 'a/+sensor', topic: 'readings', key: '{sensor}', node: true }];
  const edge = await open({ routes, mirror: [mirrorTo(upstream)] });
  const client = await edge.mqtt();
  for (let number = 0; number < 20; number += 1) await client.publishAsync(`a/${number}`, `v${number}`, { qos: 1 });
  await edge.mirrored();

  const own = await readPartition(edge.kafka, 'readings');

  expect(own).toHaveLength(20);
  expect(own[7]).toMatchObject({ key: '7', value: 'v7', headers: { 'mqtt.topic': 'a/7', node: 'edge' } });
  expect(await readPartition(upstream.kafka, 'edge.readings')).toEqual(own);
});

test('an edge that is stopped and started in the middle goes on where it was', async () => {
  const upstream = await open();
  const edge = await open({ mirror: [mirrorTo(upstream)] });
  const client = await edge.mqtt({ clientId: 'sensor', clean: false });
  for (let round = 0; round < 3; round += 1) {
    await publish(client, round * 200, round * 200 + 200);
    await edge.stop();
    await edge.open();
  }
  await edge.mirrored();

  expect(await numbersOf(upstream.kafka, 'edge.mqtt')).toEqual(upTo(600));
  expect(edge.mirror()).toMatchObject({ resentBatches: 0 });
});

test('an edge that is started while its upstream is away serves, and sends when it comes', async () => {
  const upstream = await open();
  await upstream.stop();
  const edge = await open({ mirror: [mirrorTo(upstream)] });
  await publish(await edge.mqtt(), 0, 100);
  const served = await numbersOf(edge.kafka, 'mqtt');
  await upstream.open();
  await edge.mirrored();

  expect(served).toEqual(upTo(100));
  expect(await numbersOf(upstream.kafka, 'edge.mqtt')).toEqual(upTo(100));
});

test('two mirrors each get everything they ask for, and one that is away does not hold up the other', async () => {
  const [near, far] = [await open(), await open()];
  await far.stop();
  const mirror = [
    mirrorTo(near, { name: 'near', rename: '{topic}' }),
    mirrorTo(far, { name: 'far', topics: ['mqtt'], rename: 'from-{node}-{topic}' }),
  ];
  const edge = await open({ mirror });
  const client = await edge.mqtt();
  await publish(client, 0, 200);
  await edge.mirrored('near');
  const behind = edge.mirror('far').backlog.records;
  await far.open();
  await edge.mirrored('far');

  expect(behind).toBe(200);
  expect(await numbersOf(near.kafka, 'mqtt')).toEqual(upTo(200));
  expect(await numbersOf(far.kafka, 'from-edge-mqtt')).toEqual(upTo(200));
});

test('a topic that is made later is mirrored, with its partitions, and one that is not asked for is not', async () => {
  const upstream = await open();
  const edge = await open({
    topics: { late: { partitions: 3 } },
    routes: [{ mqtt: '+where/#', topic: '{where}' }],
    mirror: [mirrorTo(upstream, { topics: ['l*'] })],
  });
  const client = await edge.mqtt();
  await client.publishAsync('private/x', '1', { qos: 1 });
  await edge.mirrored();

  for (let number = 0; number < 30; number += 1)
    await client.publishAsync(`late/${number}`, String(number), { qos: 1 });
  await edge.mirrored();

  const topics = (await (await fetch(`${upstream.http}/topics`)).json()) as { name: string; partitions: number }[];
  expect(topics.map(({ name, partitions }) => [name, partitions])).toEqual([['edge.late', 3]]);
  expect(await numbersOf(upstream.kafka, 'edge.late', 3)).toEqual(upTo(30));
});

test('a mirror to the node itself is refused with the reason, and makes no topics of topics', async () => {
  const mirror: Record<string, unknown>[] = [];
  const node = await open({ mirror });
  mirror.push(mirrorTo(node));
  await node.stop();
  await node.open();
  const client = await node.mqtt();

  await publish(client, 0, 10);
  await until('it is noticed', () => node.mirror().state === 'refused');

  const reason = expect.stringContaining('is this node itself') as string;
  expect(node.mirror()).toMatchObject({ reason, sent: { records: 0 }, backlog: { records: 10 } });
  expect(node.mirror().partitions.map(({ topic }) => topic)).toEqual(['mqtt']);
});
