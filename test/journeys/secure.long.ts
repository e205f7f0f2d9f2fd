// The whole way to a Kafka that wants TLS and a login, over a link that breaks, while headwater is killed (kill -9) and the
// password is changed on both sides: every acknowledged message is upstream exactly once, and the password nowhere.

import { writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { createAccess, setScramPassword, type Access } from '../parts/kafka-access.ts';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { expectPublished, expectSame } from '../parts/ledger.ts';
import type { Publisher } from '../parts/publisher.ts';
import { pause } from '../parts/until.ts';
import { keyOf, openSensors, plantConfig } from './sensors.ts';

const KILLS = 10;
const CHANGED_AT = KILLS / 2;

let access: Access;
let kafka: Kafka;
let appliance: Appliance;
let sensors: Publisher[] = [];

beforeAll(async () => {
  access = await createAccess();
  // A login holds for some seconds, so that it is renewed under load.
  kafka = await startKafka({ config: access.saslSsl(8_000) });
  await setScramPassword(kafka, 'pump-7', 'gurgling-4711');
});
afterAll(async () => {
  await kafka.stop();
  await access.remove();
});
afterEach(async () => {
  kafka.link.restore();
  for (const sensor of sensors) sensor.close();
  await appliance.remove();
});

test(`killed ${KILLS} times over a TLS link that breaks, with another password from the middle on`, async () => {
  const random = openRandom(printedSeed('secure'));
  const file = await access.write('password', 'gurgling-4711\n');
  const mirror = {
    name: 'dc',
    bootstrap: [kafka.linkBootstrap],
    tls: { ca: access.ca },
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'pump-7', password: { file } },
  };
  const more = { node: { name: 'secure' }, topics: { readings: { partitions: 4 } }, mirror: [mirror] };
  appliance = await createAppliance(plantConfig(kafka.linkBootstrap, more));
  await appliance.start();
  sensors = openSensors(appliance.mqttPort, { perSecond: 1_500, qos1: 4, qos2: 3 });

  for (let kill = 0; kill < KILLS; kill += 1) {
    await pause(random.below(2_000));
    const kind = random.below(3);
    if (kind === 0) kafka.link.resetAfter(random.below(60_000));
    else if (kind === 1) kafka.link.blackhole();
    await pause(random.below(2_000));
    if (kill === CHANGED_AT) {
      await setScramPassword(kafka, 'pump-7', 'gurgling-4712');
      await writeFile(file, 'gurgling-4712');
    }
    await appliance.kill();
    kafka.link.restore();
    await appliance.start();
  }
  // Longer than a login holds.
  await pause(10_000);
  for (const sensor of sensors) sensor.stop();
  for (const sensor of sensors) await sensor.settled(120_000);
  await appliance.mirrored();

  const count = await expectPublished(kafka.bootstrap, 'secure.readings', sensors, keyOf);
  const own = await expectSame([appliance.kafka, 'readings'], [kafka.bootstrap, 'secure.readings']);
  console.log(JSON.stringify({ ...count, own }));
  expect(count.acked).toBe(count.published);
  expect(count.acked).toBeGreaterThan(5_000);
  expect(own).toBe(count.found);
  expect(appliance.output()).not.toContain('gurgling-471');
});
