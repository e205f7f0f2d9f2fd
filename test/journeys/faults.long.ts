// The fault schedules that every peer fails, and some more: a link that is down for 65 s under load, refused or half open;
// a link down while headwater is killed and started; Kafka killed under load; Kafka down at the start. Each time nothing
// that was acknowledged is lost, nothing is doubled, and order is kept by key: read back from Kafka by kcat, and compared
// with what the sensors were told and with headwater's own log.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { expectPublished, expectSame } from '../parts/ledger.ts';
import type { Publisher } from '../parts/publisher.ts';
import { pause, until } from '../parts/until.ts';
import { keyOf, openSensors, plantConfig, type Load } from './sensors.ts';

const OUTAGE_MS = 65_000;

let kafka: Kafka;
let appliance: Appliance;
let sensors: Publisher[] = [];

beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(() => kafka.stop());
afterEach(async () => {
  kafka.link.restore();
  for (const sensor of sensors) sensor.close();
  await appliance.remove();
});

async function given(node: string, bootstrap: string): Promise<void> {
  appliance = await createAppliance({ ...plantConfig(bootstrap), node: { name: node } });
  await appliance.start();
}

function load(totals: Load): void {
  sensors = openSensors(appliance.mqttPort, totals);
}

async function acked(count: number): Promise<void> {
  const sum = (): number => sensors.reduce((all, { counts }) => all + counts.acked, 0);
  await until(
    `${count} messages are acknowledged`,
    () => sum() >= count,
    120_000,
    () => String(sum()),
  );
}

/** All that was published is acknowledged and upstream; `again` is what QoS 1 had to send twice. */
async function expectAll(node: string, published: number, again = 0): Promise<void> {
  for (const sensor of sensors) await sensor.settled(120_000);
  await appliance.mirrored();
  const count = await expectPublished(kafka.bootstrap, `${node}.readings`, sensors, keyOf);
  expect(count).toEqual({ published, acked: published, found: published + again, again });
  const same = await expectSame([appliance.kafka, 'readings'], [kafka.bootstrap, `${node}.readings`]);
  expect(same).toBe(count.found);
  console.log(node, JSON.stringify(count));
}

test.each(['refused', 'half open'])('the link is %s for 65 s under load', async (how) => {
  const node = how === 'refused' ? 'refused' : 'half';
  await given(node, kafka.linkBootstrap);
  load({ perSecond: 600, total: 43_200, qos1: 3, qos2: 3 });
  await acked(600);

  if (how === 'refused') kafka.link.cut();
  else kafka.link.blackhole();
  const before = kafka.link.counts.upBytes;
  await pause(OUTAGE_MS);
  const { state, backlog } = await appliance.mirror();
  const { health } = await appliance.status();
  const passed = kafka.link.counts.upBytes - before;
  kafka.link.restore();

  expect(passed).toBe(0);
  expect(state).toBe('down');
  expect(backlog.records).toBeGreaterThan(30_000);
  expect(health.ok).toBe(true);
  await expectAll(node, 43_200);
});

test('the link is down, headwater is killed and started, the link comes up', async () => {
  await given('killed', kafka.linkBootstrap);
  load({ perSecond: 8_000, total: 36_000, qos1: 6, qos2: 4 });
  await acked(8_000);

  kafka.link.cut();
  await acked(16_000);
  await appliance.kill();
  await appliance.start();
  await acked(36_000);
  kafka.link.restore();

  for (const sensor of sensors) await sensor.settled();
  const found = await appliance
    .mirrored()
    .then(() => expectPublished(kafka.bootstrap, 'killed.readings', sensors, keyOf));
  await expectAll('killed', 36_000, found.again);
});

test('Kafka is killed under load and started again', async () => {
  await given('broker', kafka.bootstrap);
  load({ perSecond: 2_000, total: 36_000, qos1: 5, qos2: 5 });

  for (const at of [4_000, 12_000, 20_000]) {
    await acked(at);
    await kafka.kill();
    await pause(1_000);
    await kafka.restart();
  }

  await expectAll('broker', 36_000);
});

test('Kafka is down at the start, for a minute', async () => {
  await kafka.kill();
  await given('late', kafka.bootstrap);
  load({ perSecond: 500, total: 30_000, qos1: 3, qos2: 3 });
  await acked(30_000);
  const { state, reason } = await appliance.mirror();

  await kafka.restart();

  expect({ state, reason }).toMatchObject({ state: 'down', reason: expect.stringContaining('ECONNREFUSED') as string });
  await expectAll('late', 30_000);
});
