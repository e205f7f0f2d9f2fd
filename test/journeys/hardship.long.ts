// The appliance where it is not wanted: a card that is in use or read-only, an upstream that refuses, and an end in the middle
// of everything. Each time it says what is wrong, and what was acknowledged is there. Needs root, for tmpfs.

import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createAppliance, type Appliance, type ApplianceConfig } from '../parts/appliance.ts';
import { startKafka } from '../parts/kafka.ts';
import { expectPublished, expectSame } from '../parts/ledger.ts';
import type { Publisher } from '../parts/publisher.ts';
import { until } from '../parts/until.ts';
import { keyOf, openSensors, plantConfig } from './sensors.ts';

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
