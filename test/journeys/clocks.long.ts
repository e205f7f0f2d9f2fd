// A whole headwater under libfaketime, which shows it another wall clock and leaves the monotonic one alone: it starts in
// 1970, takes MQTT and a serial line, and then the network comes. kcat reads right times on the site and upstream. Later
// the clock jumps by ten years and back: nothing is deleted, and nothing stalls.

import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import type { Status } from '../../src/http/status.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { readTopic, type KcatRecord } from '../parts/kcat.ts';
import { openPty, type Pty } from '../parts/pty.ts';
import { pause, until } from '../parts/until.ts';
import { openNode, type Node } from './open-node.ts';

const YEAR_MS = 31_536_000_000;
/** Retention looks each half minute. */
const RETENTION_LOOK_MS = 31_000;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

/** libfaketime's path. Throws, saying what to install. */
async function findFaketime(): Promise<string> {
  for (const folder of readdirSync('/usr/lib')) {
    const path = join('/usr/lib', folder, 'faketime/libfaketime.so.1');
    if (await access(path).then(() => true, () => false)) return path; // prettier-ignore
  }
  throw new Error('libfaketime is missing: install the package faketime');
}

/** The environment of a process whose wall clock is what `set` was given last, as an offset of the true one in seconds. */
async function fakedTime() {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-faketime-'));
  ends.push(() => rm(folder, { recursive: true }));
  const file = join(folder, 'offset');
  const env = {
    LD_PRELOAD: await findFaketime(),
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    // Nobody is asked who knows more than this clock tells.
    PATH: '/nonexistent',
  };
  return { env, set: (seconds: number) => writeFile(file, `${seconds < 0 ? '' : '+'}${Math.round(seconds)}\n`) };
}

async function started(upstream: Node, line: Pty, env: Record<string, string>): Promise<Appliance> {
  const config = {
    serial: [{ name: 'boiler', path: line.path, framing: 'lines', topic: 'boiler' }],
    mirror: [{ name: 'dc', bootstrap: [upstream.kafka] }],
    topics: { mqtt: { retention: '1h' }, boiler: { retention: '1h' } },
  };
  const appliance = await createAppliance(config, env);
  ends.push(() => appliance.remove());
  await appliance.start();
  return appliance;
}

async function publisherTo(appliance: Appliance): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${appliance.mqttPort}`, { reconnectPeriod: 50 });
  ends.push(() => client.endAsync(true));
  return client;
}

function clockIs(appliance: Appliance, isMet: (clock: Status['clock']) => boolean): () => Promise<boolean> {
  return async () => isMet((await appliance.status()).clock);
}

function offMs({ timestampMs }: KcatRecord): number {
  return Math.abs(timestampMs - Date.now());
}

test('from 1970 to the present, and ten years ahead and back', async () => {
  const upstream = await openNode({ node: { name: 'center' } });
  ends.push(() => upstream.remove());
  const line = await openPty();
  ends.push(() => line.close());
  const faked = await fakedTime();
  await faked.set(-Date.now() / 1000 + 100);
  const appliance = await started(upstream, line, faked.env);
  const client = await publisherTo(appliance);
  const records = (topic: string): Promise<KcatRecord[]> => readTopic(appliance.kafka, topic);
  let published = 0;
  const publish = async (): Promise<void> => {
    await client.publishAsync('s', String(published), { qos: 1 });
    published += 1;
  };

  for (let count = 0; count < 20; count += 1) await publish();
  await line.write('one\ntwo\n');
  await until('the line is read', async () => (await appliance.status()).log.appended.records >= 22);
  const before = await appliance.status();
  expect(before.clock).toMatchObject({ state: 'unsure', unsureRecords: 22 });
  expect(before.clock.systemMs).toBeLessThan(YEAR_MS);
  expect(before.clock.timeMs).toBeGreaterThan(Date.UTC(2026, 0, 1));
  const numbers = (found: KcatRecord[]): number[] => found.map(({ value }) => Number(value));
  const first = await records('mqtt');
  expect(upstream.headwater.status().log.appended.records).toBe(0);

  // kill -9, in the same boot, and then the network comes.
  await appliance.kill();
  await appliance.start();
  await faked.set(0);
  await until(
    'the time is known',
    clockIs(appliance, ({ state }) => state !== 'unsure'),
    30_000,
  );
  await publish();
  await appliance.mirrored();
  for (const bootstrap of [appliance.kafka, upstream.kafka]) {
    const prefix = bootstrap === upstream.kafka ? 'edge.' : '';
    const [mqtt, boiler] = [await readTopic(bootstrap, `${prefix}mqtt`), await readTopic(bootstrap, `${prefix}boiler`)];
    expect(numbers(mqtt)).toEqual(Array.from({ length: 21 }, (_, index) => index));
    expect(boiler.map(({ value }) => String(value))).toEqual(['one', 'two']);
    expect(Math.max(...[...mqtt, ...boiler].map(offMs))).toBeLessThan(120_000);
    // What lay between two records lies between them.
    expect(mqtt[19]!.timestampMs - mqtt[0]!.timestampMs).toBe(first[19]!.timestampMs - first[0]!.timestampMs);
  }

  await faked.set((10 * YEAR_MS) / 1000);
  await until(
    'the jump is seen',
    clockIs(appliance, ({ jumps }) => jumps === 1),
    30_000,
  );
  const untilMs = performance.now() + RETENTION_LOOK_MS;
  while (performance.now() < untilMs) {
    await publish();
    await pause(500);
  }
  await faked.set(0);
  await until(
    'the way back is seen',
    clockIs(appliance, ({ jumps }) => jumps === 2),
    30_000,
  );
  await publish();
  await appliance.mirrored();
  const all = Array.from({ length: published }, (_, index) => index);
  expect(numbers(await records('mqtt'))).toEqual(all);
  expect(numbers(await readTopic(upstream.kafka, 'edge.mqtt'))).toEqual(all);
}, 180_000);
