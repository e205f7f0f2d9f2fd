// What survives a restart besides records, and what health and status say.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { until } from '../parts/until.ts';
import { numbersOf, openNode, readPartition, statusOf, upTo, type Node } from './open-node.ts';

let node: Node;
afterEach(() => node.remove());

test('a retained message is delivered after a restart', async () => {
  node = await openNode();
  const publisher = await node.mqtt();
  await publisher.publishAsync('state/pump', 'on', { qos: 1, retain: true });
  await publisher.publishAsync('state/gone', 'x', { qos: 1, retain: true });
  await publisher.publishAsync('state/gone', '', { qos: 1, retain: true });
  await node.stop();
  await node.open();

  const arrived: string[] = [];
  const subscriber = await node.mqtt({}, arrived);
  await subscriber.subscribeAsync('state/#', { qos: 1 });

  await until('the retained message arrives', () => arrived.length > 0);
  expect(arrived).toEqual(['state/pump on retained']);
});

test('a persistent session keeps its subscription and what came while its client was away', async () => {
  node = await openNode();
  const sleeper = await node.mqtt({ clientId: 'sleeper', clean: false });
  await sleeper.subscribeAsync('news/#', { qos: 1 });
  await sleeper.endAsync();
  const publisher = await node.mqtt({ clientId: 'p' });
  for (let number = 0; number < 5; number += 1) await publisher.publishAsync('news/a', String(number), { qos: 1 });
  await publisher.endAsync();
  await node.stop();
  await node.open();

  const arrived: string[] = [];
  await node.mqtt({ clientId: 'sleeper', clean: false }, arrived);
  await until('all news arrive', () => arrived.length >= 5);
  const again = await node.mqtt();
  await again.publishAsync('news/b', 'live', { qos: 1 });
  await until('live news arrive', () => arrived.length >= 6);
  expect(arrived).toEqual(['news/a 0', 'news/a 1', 'news/a 2', 'news/a 3', 'news/a 4', 'news/b live']);
});

test('without the folder of the tables sessions and retained messages are gone, records and topics are not', async () => {
  node = await openNode();
  const sleeper = await node.mqtt({ clientId: 'sleeper', clean: false });
  await sleeper.subscribeAsync('news/#', { qos: 1 });
  await sleeper.endAsync();
  const publisher = await node.mqtt({ clientId: 'p' });
  await publisher.publishAsync('state/pump', '0', { qos: 1, retain: true });
  await publisher.publishAsync('news/a', '1', { qos: 1 });
  await publisher.endAsync();
  await node.stop();
  await rm(join(node.folder, 'tables'), { recursive: true });
  await node.open();

  expect((await statusOf(node)).rooms['mqtt']).toMatchObject({ sessions: 0, retained: 0, queued: { messages: 0 } });
  const arrived: string[] = [];
  const again = await node.mqtt({ clientId: 'sleeper', clean: false }, arrived);
  await again.subscribeAsync('state/#', { qos: 1 });
  await again.publishAsync('state/fan', 'live', { qos: 1 });
  await until('what is published arrives', () => arrived.length > 0);
  expect(arrived).toEqual(['state/fan live']);
  expect((await readPartition(node.kafka, 'mqtt')).map(({ value }) => value)).toEqual(['0', '1', 'live']);
  expect((await statusOf(node)).log).toMatchObject({ topics: 1, losses: { gaps: 0 } });
});

test('the records, the topics and their offsets are as they were', async () => {
  node = await openNode({ topics: { mqtt: { partitions: 2 } } });
  const client = await node.mqtt();
  for (let number = 0; number < 50; number += 1) await client.publishAsync(`s/${number}`, String(number), { qos: 1 });
  const before = await numbersOf(node.kafka, 'mqtt', 2);
  await node.stop();
  await node.open();

  expect(before).toEqual(upTo(50));
  expect(await numbersOf(node.kafka, 'mqtt', 2)).toEqual(before);
  expect((await statusOf(node)).log).toMatchObject({ topics: 1, partitions: 2 });
});

test('health, status and metrics are there from the first moment and gone after the last', async () => {
  node = await openNode();
  const client = await node.mqtt();
  await client.publishAsync('a', 'x', { qos: 1 });

  expect((await fetch(`${node.http}/health/live`)).status).toBe(200);
  expect((await fetch(`${node.http}/health/ready`)).status).toBe(200);
  const status = await statusOf(node);
  expect(status).toMatchObject({ node: 'edge', pid: process.pid, health: { ok: true, reasons: [] } });
  expect(status.log).toMatchObject({ state: 'ok', appended: { records: 1 }, waitingBytes: 0 });
  expect(status.listening).toEqual(node.headwater.addresses);
  const metrics = await (await fetch(`${node.http}/metrics`)).text();
  expect(metrics).toMatch(/^headwater_ready 1$/m);
  expect(metrics).toMatch(/^headwater_intake_records_total\{door="mqtt"\} 1$/m);

  await node.stop();
  await expect(fetch(`${node.http}/health/live`)).rejects.toThrow('fetch failed');
});

test('a stop under load keeps all that was acknowledged', async () => {
  node = await openNode();
  const client = await node.mqtt({ reconnectPeriod: 0 });
  const acked: number[] = [];
  for (let number = 0; number < 2_000; number += 1) {
    client.publishAsync('s', String(number), { qos: 1 }).then(
      () => acked.push(number),
      () => undefined,
    );
  }
  await until('some are acknowledged', () => acked.length > 50);
  await node.stop();
  await node.open();

  const found = await numbersOf(node.kafka, 'mqtt');

  // All from the first on: what is missing at the end was not acknowledged.
  expect(found).toEqual(upTo(found.length));
  expect(found.length).toBeGreaterThanOrEqual(acked.length);
});

test('a second node on the same folder is told who has it, and takes nothing from the first', async () => {
  node = await openNode();
  const { log } = await statusOf(node);
  expect(log.state).toBe('ok');
  const dir = node.folder;

  await expect(openNode({ data: { dir } })).rejects.toThrow(`in use by process ${process.pid}`);

  const client = await node.mqtt();
  await client.publishAsync('a', '0', { qos: 1 });
  expect(await numbersOf(node.kafka, 'mqtt')).toEqual([0]);
});
