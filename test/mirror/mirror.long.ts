import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { freePort, startKafka, type Kafka } from '../parts/kafka.ts';
import { readTopic } from '../parts/kcat.ts';
import { expectOnce, openEdge, until, type Edge } from './real-upstream.ts';

const PARTITIONS = [0, 1, 2, 3];

let kafka: Kafka;
let edge: Edge;
beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(() => kafka.stop());
afterEach(() => edge.close());

test('a backlog over several partitions is drained into created topics', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap], create: { configs: { 'retention.ms': '123456789' } } });
  await edge.folder.log.createTopic('drain', { partitions: 4 });
  for (const partition of PARTITIONS) await edge.append('drain', 5_000, { partition });

  await edge.drained();

  for (const partition of PARTITIONS) await expectOnce(kafka.bootstrap, 'pump-7.drain', 5_000, partition);
  expect(edge.status()).toMatchObject({ state: 'idle', sent: { records: 20_000 }, backlog: { records: 0, ageMs: 0 } });
  const described = await kafka.tool('TopicCommand', ['--describe', '--topic', 'pump-7.drain']);
  expect(described).toContain('retention.ms=123456789');
});

test('records that come while it runs arrive, and after a restart it goes on where it was', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap] });
  await edge.folder.log.createTopic('live');
  for (let turn = 0; turn < 20; turn += 1) {
    await edge.append('live', 70, { each: 7 });
    if (turn % 5 === 4) await edge.restart();
  }

  await edge.drained();

  await expectOnce(kafka.bootstrap, 'pump-7.live', 1_400);
  expect(edge.status().resentBatches).toBe(0);
});

test('a topic that is made later is mirrored, one that is excluded or internal is not', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap], topics: ['yes-*'] });
  for (const topic of ['yes-1', 'no-1', '__yes-2']) await edge.folder.log.createTopic(topic);
  for (const topic of ['yes-1', 'no-1', '__yes-2']) await edge.append(topic, 10);

  await edge.drained();

  expect(edge.status().partitions.map(({ upstreamTopic }) => upstreamTopic)).toEqual(['pump-7.yes-1']);
  await expectOnce(kafka.bootstrap, 'pump-7.yes-1', 10);
});

test('two nodes share an upstream topic, each with every record once and in order', async () => {
  const second = await openEdge({ bootstrap: [kafka.bootstrap], rename: '{topic}' }, { nodeName: 'pump-8' });
  edge = await openEdge({ bootstrap: [kafka.bootstrap], rename: '{topic}' });
  for (const each of [edge, second]) await each.folder.log.createTopic('shared');
  for (const each of [edge, second, edge, second]) await each.append('shared', 500);
  await Promise.all([edge.drained(), second.drained()]);
  await second.close();

  const numbers = (await readTopic(kafka.bootstrap, 'shared')).map(({ value }) => Number(String(value)));

  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2_000 }, (_, index) => index >> 1));
});

test('several topics that are fed into one upstream partition do not disturb each other', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap], rename: 'all-of-{node}', partition: 2 });
  for (const topic of ['a', 'b', 'c']) await edge.folder.log.createTopic(topic, { partitions: 2 });
  for (const topic of ['a', 'b', 'c']) {
    for (const partition of [0, 1]) await edge.append(topic, 300, { partition });
  }
  await edge.drained();

  const records = await readTopic(kafka.bootstrap, 'all-of-pump-7', 2);

  expect(records.length).toBe(1_800);
});

test('an upstream that is down at the start is waited for, and the backlog says how much and how old', async () => {
  const port = await freePort();
  edge = await openEdge({ bootstrap: [`127.0.0.1:${port}`] });
  await edge.folder.log.createTopic('late');
  await edge.append('late', 3_000, { ageMs: 60_000 });
  await until(
    () => edge.status().state === 'down' && edge.status().backlog.ageMs > 0,
    10_000,
    () => 'not down',
  );

  const { backlog, sinceMs, reason } = edge.status();
  const late = await startKafka({ port });
  await edge.drained();

  expect(backlog.records).toBe(3_000);
  expect(backlog.ageMs).toBeGreaterThan(59_000);
  expect(sinceMs).toBeGreaterThan(Date.now() - 60_000);
  expect(reason).toContain('ECONNREFUSED');
  await expectOnce(late.bootstrap, 'pump-7.late', 3_000);
  await late.stop();
});

test('records that retention removed before they were sent are counted, and the rest follows', async () => {
  const port = await freePort();
  edge = await openEdge({ bootstrap: [`127.0.0.1:${port}`] });
  const topic = await edge.folder.log.createTopic('gap');
  await edge.append('gap', 1_000);
  await topic.partitions[0]!.deleteRecords(300);
  const late = await startKafka({ port });

  await edge.drained();

  const numbers = (await readTopic(late.bootstrap, 'pump-7.gap')).map(({ value }) => Number(String(value)));
  // What was read before it was removed still goes.
  const { gapRecords } = edge.status().lost;
  const kept = Array.from({ length: 1_000 }, (_, number) => number);
  kept.splice(300 - gapRecords, gapRecords);
  expect(gapRecords).toBeGreaterThan(0);
  expect(numbers).toEqual(kept);
  await late.stop();
});
