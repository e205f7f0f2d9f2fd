// The appliance is killed (kill -9) at random moments, also in the middle of its start, under MQTT QoS 1 and QoS 2 load
// and serial input, while it mirrors to a real Kafka. At the end every acknowledged message is upstream as
// test/parts/ledger.ts says, and upstream has exactly what headwater's own log has, record for record.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { expectPublished, expectSame } from '../parts/ledger.ts';
import type { Publisher } from '../parts/publisher.ts';
import { openPty, type Pty } from '../parts/pty.ts';
import { pause } from '../parts/until.ts';
import { expectLines, keyOf, openMachine, openSensors, plantConfig } from './sensors.ts';

const RUNNING_KILLS = 18;
const STARTING_KILLS = 8;

let kafka: Kafka;
let pty: Pty;
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
  await pty.close();
});

test.each(['a good link', 'a link that breaks'])('killed 26 times over %s', async (link) => {
  const random = openRandom(printedSeed(`kills over ${link}`));
  const isGood = link === 'a good link';
  const node = isGood ? 'good' : 'broken';
  pty = await openPty(['socat']);
  const serial = [{ path: pty.path, name: 'boiler', topic: 'boiler' }];
  const bootstrap = isGood ? kafka.bootstrap : kafka.linkBootstrap;
  appliance = await createAppliance({ ...plantConfig(bootstrap, { serial }), node: { name: node } });
  await appliance.start();
  sensors = openSensors(appliance.mqttPort, { perSecond: 1_500, qos1: 4, qos2: 3 });
  const machine = openMachine(pty);

  const kinds = [
    ...Array<'running'>(RUNNING_KILLS).fill('running'),
    ...Array<'starting'>(STARTING_KILLS).fill('starting'),
  ];
  for (let kills = 0; kinds.length > 0; kills += 1) {
    const [kind] = kinds.splice(random.below(kinds.length), 1);
    if (kind === 'starting') {
      if (!appliance.isRunning()) appliance.launch();
      await pause(random.below(800));
    } else {
      if (!appliance.isRunning()) await appliance.start();
      if (!isGood) disturb(random.below(4), random.below(60_000));
      await pause(random.below(1_500));
    }
    expect(appliance.isRunning(), appliance.output()).toBe(true);
    await appliance.kill();
    kafka.link.restore();
  }
  await appliance.start();
  for (const sensor of sensors) sensor.stop();
  await machine.stop();
  for (const sensor of sensors) await sensor.settled();
  await appliance.mirrored();

  const count = await expectPublished(kafka.bootstrap, `${node}.readings`, sensors, keyOf);
  const lines = await expectLines(kafka.bootstrap, `${node}.boiler`, 1 + RUNNING_KILLS + STARTING_KILLS);
  expect(await expectSame([appliance.kafka, 'readings'], [kafka.bootstrap, `${node}.readings`])).toBe(count.found);
  expect(await expectSame([appliance.kafka, 'boiler'], [kafka.bootstrap, `${node}.boiler`])).toBeGreaterThanOrEqual(
    lines,
  );
  expect(count.acked).toBe(count.published);
  expect(count.acked).toBeGreaterThan(5_000);
  expect(lines).toBeGreaterThan(machine.lines / 4);
  expect(sensors.map(({ counts }) => counts.sessionsLost)).toEqual(sensors.map(() => 0));
  console.log(JSON.stringify({ link, ...count, lines, linesWritten: machine.lines }));
});

function disturb(kind: number, afterBytes: number): void {
  if (kind === 0) kafka.link.cut();
  else if (kind === 1) kafka.link.blackhole();
  else if (kind === 2) kafka.link.resetAfter(afterBytes);
}
