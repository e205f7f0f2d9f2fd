// The appliance is killed (kill -9) at random moments, also in the middle of its start, under MQTT QoS 1 and QoS 2 load
// and serial input, while it mirrors to a real Kafka. At the end every acknowledged message is upstream as
// test/parts/ledger.ts says, and upstream has exactly what headwater's own log has, record for record.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openRandom, printedSeed, type Random } from '../fuzz/random.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { expectPublished, expectSame } from '../parts/ledger.ts';
import type { Publisher } from '../parts/publisher.ts';
import { openPty, type Pty } from '../parts/pty.ts';
import { pause, until } from '../parts/until.ts';
import { expectLines, keyOf, noisyReadingOf, openMachine, openSensors, plantConfig } from './sensors.ts';

const RUNNING_KILLS = 18;
const STARTING_KILLS = 8;
const REMOVED_SOON = { readings: { partitions: 4, retentionBytes: '4MiB' }, boiler: { retention: '5s' } };

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

interface Story {
  /** Name of the node, and so of its topics upstream. */
  node: string;
  isLinkBad?: boolean;
  doSensorsHangUp?: boolean;
  /** Messages so large that segments are filled, sealed and removed in between. */
  isLarge?: boolean;
}

test.each<[string, Story]>([
  ['over a good link', { node: 'good' }],
  ['while the link breaks and sensors hang up', { node: 'broken', isLinkBad: true, doSensorsHangUp: true }],
  ['while segments are filled and removed', { node: 'large', isLarge: true }],
])('killed 26 times %s', async (_how, story) => {
  const { node } = story;
  const random = openRandom(printedSeed(`kills, ${node}`));
  await given(story);
  const machine = openMachine(pty);

  await killAll(story, random);
  await appliance.start();
  for (const sensor of sensors) sensor.stop();
  await machine.stop();
  for (const sensor of sensors) await sensor.settled(120_000);
  await appliance.mirrored();

  const count = await expectPublished(kafka.bootstrap, `${node}.readings`, sensors, keyOf);
  const lines = await expectLines(kafka.bootstrap, `${node}.boiler`, 1 + RUNNING_KILLS + STARTING_KILLS);
  if (story.isLarge === true) await removed();
  const own = await expectSame([appliance.kafka, 'readings'], [kafka.bootstrap, `${node}.readings`]);
  console.log(JSON.stringify({ node, ...count, own, lines, linesWritten: machine.lines }));
  expect(count.acked).toBe(count.published);
  expect(count.acked).toBeGreaterThan(5_000);
  expect(lines).toBeGreaterThan(machine.lines / 4);
  if (story.isLarge !== true) {
    expect(own).toBe(count.found);
    const ownLines = await expectSame([appliance.kafka, 'boiler'], [kafka.bootstrap, `${node}.boiler`]);
    expect(ownLines).toBeGreaterThanOrEqual(lines);
  }
  expect(sensors.map(({ counts }) => counts.sessionsLost)).toEqual(sensors.map(() => 0));
});

async function given({ node, isLinkBad, isLarge }: Story): Promise<void> {
  pty = await openPty(['socat']);
  const topics = isLarge === true ? REMOVED_SOON : { readings: { partitions: 4 } };
  const more = {
    node: { name: node },
    serial: [{ path: pty.path, name: 'boiler', topic: 'boiler' }],
    topics,
  };
  const bootstrap = isLinkBad === true ? kafka.linkBootstrap : kafka.bootstrap;
  appliance = await createAppliance(plantConfig(bootstrap, more));
  await appliance.start();
  const load = { perSecond: 1_500, qos1: 4, qos2: 3 };
  sensors = openSensors(appliance.mqttPort, isLarge === true ? { ...load, payloadOf: noisyReadingOf } : load);
}

/** Waits until a segment was removed, kills it once more, and starts it again. */
async function removed(): Promise<void> {
  const { segments } = (await appliance.status()).log;
  expect(segments).toBeGreaterThan(2);
  await until('a segment is removed', async () => (await appliance.status()).log.segments < segments);
  await appliance.kill();
  await appliance.start();
}

/** Kills it at random moments: most while it runs, some in the middle of its start. */
async function killAll(story: Story, random: Random): Promise<void> {
  const kinds = [
    ...Array<'running'>(RUNNING_KILLS).fill('running'),
    ...Array<'starting'>(STARTING_KILLS).fill('starting'),
  ];
  while (kinds.length > 0) {
    const [kind] = kinds.splice(random.below(kinds.length), 1);
    if (kind === 'starting') {
      if (!appliance.isRunning()) appliance.launch();
      await pause(random.below(800));
    } else {
      if (!appliance.isRunning()) await appliance.start();
      await disturb(story, random);
    }
    expect(appliance.isRunning(), appliance.output()).toBe(true);
    await appliance.kill();
    kafka.link.restore();
  }
}

/** Lets it run for a random while, with what the story brings. */
async function disturb({ isLinkBad, doSensorsHangUp }: Story, random: Random): Promise<void> {
  if (isLinkBad === true) {
    const kind = random.below(4);
    if (kind === 0) kafka.link.cut();
    else if (kind === 1) kafka.link.blackhole();
    else if (kind === 2) kafka.link.resetAfter(random.below(60_000));
  }
  for (let rest = 3; rest > 0; rest -= 1) {
    await pause(random.below(500));
    if (doSensorsHangUp === true) random.pick(sensors).hangUp();
  }
}
