// The appliance where it is not wanted: a card that is in use, read-only or full, an upstream that refuses, and an end in
// the middle of everything. Each time it says what is wrong, and what was acknowledged is there. Needs root, for tmpfs.

import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createAppliance, type Appliance, type ApplianceConfig } from '../parts/appliance.ts';
import { readTopic } from '../parts/kcat.ts';
import { freePort, startKafka } from '../parts/kafka.ts';
import { expectPublished, expectSame } from '../parts/ledger.ts';
import { openPublisher, type Publisher } from '../parts/publisher.ts';
import { until } from '../parts/until.ts';
import { keyOf, noisyReadingOf, openSensors, plantConfig } from './sensors.ts';

const appliances: Appliance[] = [];
const sensors: Publisher[] = [];
const mounts: string[] = [];

afterEach(async () => {
  for (const sensor of sensors.splice(0)) sensor.close();
  for (const appliance of appliances.splice(0)) await appliance.remove();
  for (const folder of mounts.splice(0)) {
    execFileSync('umount', [folder]);
    await rm(folder, { recursive: true });
  }
});

async function given(config: ApplianceConfig): Promise<Appliance> {
  const appliance = await createAppliance(config);
  appliances.push(appliance);
  return appliance;
}

/** A card of its own, of that size. */
async function mountCard(options: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-card-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  mounts.push(folder);
  return folder;
}

function remount(folder: string, options: string): void {
  execFileSync('mount', ['-o', `remount,${options}`, folder]);
}

async function healthOf(appliance: Appliance, of: 'live' | 'ready'): Promise<{ code: number; reasons: string[] }> {
  const answer = await fetch(`${appliance.http}/health/${of}`);
  return { code: answer.status, reasons: ((await answer.json()) as { reasons: string[] }).reasons };
}

test('a data folder that is in use: the second one names the first and ends, the first does not notice', async () => {
  const first = await given({});
  await first.start();
  const pid = (await first.status()).pid;
  const second = await given({ data: { dir: join(first.folder, 'data') } });

  const { code, said } = await second.fail();

  expect(code).toBe(75);
  expect(said).toContain(`is in use by process ${pid}`);
  expect(await healthOf(first, 'ready')).toEqual({ code: 200, reasons: [] });
});

test('a read-only card ends the start with what is wrong', async () => {
  const card = await mountCard('size=64m');
  const appliance = await given({ data: { dir: join(card, 'data') } });
  remount(card, 'ro');

  const { code, said } = await appliance.fail();

  expect(code).toBe(77);
  expect(said).toMatch(/^headwater: .*read-only/im);
  expect(said.trim().split('\n')).toHaveLength(1);
});

test('a full card: sensors are held back, reading goes on, nothing acknowledged is lost, and it mends itself', async () => {
  const card = await mountCard('size=40m');
  const appliance = await given(plantConfig('127.0.0.1:1', { data: { dir: join(card, 'data') }, mirror: [] }));
  await appliance.start();
  for (const [clientId, qos] of [
    ['line-a', 1],
    ['line-b', 2],
  ] as const) {
    sensors.push(
      openPublisher({ port: appliance.mqttPort, clientId, qos, perSecond: 2_000, topicOf, payloadOf: noisyReadingOf }),
    );
  }

  await until('the card is full', async () => (await healthOf(appliance, 'ready')).code === 503, 120_000);
  const { reasons } = await healthOf(appliance, 'ready');
  const live = await healthOf(appliance, 'live');
  const ackedBefore = sensors.map(({ counts }) => counts.acked);
  const whileFull = await expectPublished(appliance.kafka, 'readings', sensors, keyOf);
  remount(card, 'size=400m');
  await until('it goes on', () => sensors.every(({ counts }, index) => counts.acked > ackedBefore[index]! + 1_000));
  for (const sensor of sensors) sensor.stop();
  for (const sensor of sensors) await sensor.settled();

  expect(reasons.join()).toMatch(/full/);
  expect(live.code).toBe(200);
  expect(whileFull.found).toBeGreaterThan(5_000);
  expect((await healthOf(appliance, 'ready')).code).toBe(200);
  const count = await expectPublished(appliance.kafka, 'readings', sensors, keyOf);
  expect(count).toMatchObject({ acked: count.published, again: 0 });
});

test('killed on a full card: it can not start, says so, and has everything when there is room', async () => {
  const card = await mountCard('size=40m');
  const appliance = await given(plantConfig('127.0.0.1:1', { data: { dir: join(card, 'data') }, mirror: [] }));
  await appliance.start();
  sensors.push(
    openPublisher({
      port: appliance.mqttPort,
      clientId: 'line-a',
      qos: 2,
      perSecond: 4_000,
      topicOf,
      payloadOf: noisyReadingOf,
    }),
  );
  await until('the card is full', async () => (await healthOf(appliance, 'ready')).code === 503, 120_000);
  sensors[0]!.stop();
  await appliance.kill();
  execFileSync('sh', ['-c', `cat /dev/zero > ${card}/ballast || true`], { stdio: 'ignore' });

  const { code, said } = await appliance.fail();
  await rm(join(card, 'ballast'));
  remount(card, 'size=400m');
  await appliance.start();
  await sensors[0]!.settled();

  expect(code).toBe(75);
  expect(said).toMatch(/^headwater: .*the disk is full/m);
  const count = await expectPublished(appliance.kafka, 'readings', sensors, keyOf);
  expect(count).toMatchObject({ acked: count.published, again: 0 });
});

test('a Kafka that is away for good: sensors do not notice, the oldest records go at the budget, and that is said', async () => {
  const budgetBytes = 128 * 1024 * 1024;
  const appliance = await given(plantConfig(`127.0.0.1:${await freePort()}`, { data: { budget: '128MiB' } }));
  await appliance.start();
  const load = { perSecond: 5_000, total: 42_000, qos1: 4, qos2: 3 };
  const payloadOf = (clientId: string, number: number): string => noisyReadingOf(clientId, number, 6_000);
  sensors.push(...openSensors(appliance.mqttPort, { ...load, payloadOf }));

  for (const sensor of sensors) await sensor.settled(120_000);
  await until('the folder is within its budget', async () => (await appliance.status()).log.diskBytes <= budgetBytes);
  const { health, log, mirrors } = await appliance.status();
  const left = await readTopic(appliance.kafka, 'readings');

  expect(health).toEqual({ ok: true, reasons: [] });
  expect(appliance.output()).toContain('the budget is reached: records are removed that a mirror has not sent');
  expect(log.droppedUnsent.bytes).toBeGreaterThan(budgetBytes / 4);
  expect(mirrors).toMatchObject([{ state: 'down', records: 0, backlog: { records: left.length } }]);
  const gone = 42_000 - left.length;
  expect(gone).toBeGreaterThan(5_000);
  expect(mirrors[0]!.problems).toContain(`${gone} records were removed here before they were sent`);
  const ends = left.map(({ value }) => String(value).slice(0, 40)).join();
  for (const { clientId, ledger } of sensors) expect(ends).toContain(`{"from":"${clientId}","n":${ledger.length - 1},`);
});

function topicOf(number: number): string {
  return `plant/a/${number % 4}/x`;
}

test('SIGTERM under load: ends well within ten seconds, and all that was acknowledged is there', async () => {
  const kafka = await startKafka();
  try {
    const appliance = await given(plantConfig(kafka.bootstrap));
    await appliance.start();
    sensors.push(...openSensors(appliance.mqttPort, { perSecond: 6_000, qos1: 4, qos2: 4 }));
    for (let stops = 0; stops < 3; stops += 1) {
      const acked = sensors.map(({ counts }) => counts.acked);
      await until('messages are acknowledged', () =>
        sensors.every(({ counts }, index) => counts.acked > acked[index]! + 500),
      );
      const { code, tookMs } = await appliance.terminate();
      expect(code, appliance.output()).toBe(0);
      expect(tookMs).toBeLessThan(10_000);
      await appliance.start();
    }
    for (const sensor of sensors) sensor.stop();
    for (const sensor of sensors) await sensor.settled();
    await appliance.mirrored();

    const count = await expectPublished(kafka.bootstrap, 'edge.readings', sensors, keyOf);
    // What was taken before the end was acknowledged before the end.
    expect(count).toEqual({ published: count.acked, acked: count.acked, found: count.acked, again: 0 });
    expect(await expectSame([appliance.kafka, 'readings'], [kafka.bootstrap, 'edge.readings'])).toBe(count.found);
  } finally {
    await kafka.stop();
  }
});
