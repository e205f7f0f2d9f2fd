// Brokers that are killed and links that are cut in the middle of everything: each record upstream once, in order.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { expectOnce, openEdge, until, type Edge } from './real-upstream.ts';

const PARTITIONS = [0, 1, 2, 3];
/** The upstream forgets producers by the time of the records, so that old ones are forgotten at its next look. */
const FORGETFUL = { 'producer.id.expiration.check.interval.ms': '200' };
const DAY_AND_MORE_MS = 25 * 3_600_000;

let kafka: Kafka;
let edge: Edge;
beforeAll(async () => {
  kafka = await startKafka({ config: FORGETFUL });
});
afterAll(() => kafka.stop());
afterEach(async () => {
  kafka.link.restore();
  await edge.close();
});

async function load(
  topic: string,
  options: { turns: number; ageMs?: number },
  disturb: (turn: number) => Promise<void>,
) {
  await edge.folder.log.createTopic(topic, { partitions: PARTITIONS.length });
  for (let turn = 0; turn < options.turns; turn += 1) {
    const ageMs = options.ageMs ?? 0;
    await Promise.all(PARTITIONS.map((partition) => edge.append(topic, 1_000, { partition, each: 50, ageMs })));
    await disturb(turn);
  }
}

async function expectAll(topic: string, count: number): Promise<void> {
  await edge.drained();
  for (const partition of PARTITIONS) await expectOnce(kafka.bootstrap, `pump-7.${topic}`, count, partition);
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

test('Kafka is killed and started again under load', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap] });
  await load('killed', { turns: 12 }, async (turn) => {
    if (turn % 3 === 2) await kafka.restart();
  });
  await expectAll('killed', 12_000);
});

test('the link is reset at random points of requests and answers', async () => {
  edge = await openEdge({ bootstrap: [kafka.linkBootstrap] });
  await load('reset', { turns: 40 }, async (turn) => {
    if (turn % 2 === 0) kafka.link.resetAfter(Math.floor(Math.random() * 50_000));
    else kafka.link.reset();
    await sleep(Math.random() * 200);
  });
  await expectAll('reset', 40_000);
  expect(edge.status().reconciliations).toBeGreaterThan(0);
});

test('the link is half open: nothing passes and nobody says so', async () => {
  edge = await openEdge({ bootstrap: [kafka.linkBootstrap] }, { requestTimeoutMs: 1_000 });
  await load('half', { turns: 6 }, async () => {
    kafka.link.blackhole();
    await sleep(Math.random() * 3_000);
    kafka.link.restore();
    await sleep(Math.random() * 500);
  });
  await expectAll('half', 6_000);
});

test('the upstream has forgotten the producer when the link comes back', async () => {
  edge = await openEdge({ bootstrap: [kafka.linkBootstrap] });
  await load('forgotten', { turns: 15, ageMs: DAY_AND_MORE_MS }, async (turn) => {
    if (turn % 2 === 0) kafka.link.resetAfter(Math.floor(Math.random() * 20_000));
    else kafka.link.cut();
    await sleep(Math.random() * 600);
    kafka.link.restore();
  });
  await expectAll('forgotten', 15_000);
  expect(edge.lines.some((line) => line.includes('verdict=absent'))).toBe(true);
});

test('a broker that stands still and goes on has appended what was given up', async () => {
  edge = await openEdge({ bootstrap: [kafka.bootstrap] }, { requestTimeoutMs: 500 });
  await load('frozen', { turns: 8 }, async () => {
    kafka.freeze();
    await sleep(Math.random() * 2_000);
    kafka.thaw();
    await sleep(300);
  });
  await expectAll('frozen', 8_000);
});

test('while the upstream is gone the mirror waits quietly and holds no more than its budget', async () => {
  edge = await openEdge({ bootstrap: [kafka.linkBootstrap] });
  await edge.folder.log.createTopic('quiet', { partitions: 4 });
  kafka.link.cut();
  for (const partition of PARTITIONS) await edge.append('quiet', 20_000, { partition, each: 500 });
  await until(
    () => edge.status().state === 'down',
    10_000,
    () => JSON.stringify(edge.status()),
  );
  const before = process.cpuUsage();

  await sleep(5_000);

  const { user, system } = process.cpuUsage(before);
  // Half a second of five would be a loop that does not wait.
  expect((user + system) / 1_000).toBeLessThan(500);
  expect(edge.status().backlog.records).toBe(80_000);
  kafka.link.restore();
  await edge.drained();
  for (const partition of PARTITIONS) await expectOnce(kafka.bootstrap, 'pump-7.quiet', 20_000, partition);
});
