// The real firmware on two kinds of boards in QEMU, over a bad cable each (test/parts/serial-relay.ts), through a whole
// headwater to a real Apache Kafka and to real MQTT subscribers, while the boards are reset and headwater is killed
// (kill -9) in turn. With the persistent ring every reading is there once and in order; without it, what a reset lost is
// told as gaps, to the reading.
//
//   QEMU -- noise -- pty -- headwater --+-- mirror -- Apache Kafka -- kcat
//                                       +-- MQTT -- the npm client with QoS 2, mosquitto_sub with QoS 1
//
// Each reading has its number in it, given by the program: by the ring, or by a counter that survives resets.
// ROUNDS=50 for the long form: a round takes some 20 s, as on such a cable it takes HELLO, WELCOME and a frame of records
// several attempts each. HEADWATER_SEED=N repeats the faults.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MqttStatus } from '../../src/mqtt/mqtt-status.ts';
import type { BridgeDeviceStatus } from '../../src/serial/bridge/device.ts';
import type { DeviceStatus } from '../../src/serial/serial.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { elfOf, makePrograms, openBoard, uidOf, type Board, type Machine, type Program } from '../parts/board.ts';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { readTopic } from '../parts/kcat.ts';
import { expectSame } from '../parts/ledger.ts';

import { openPty, type Pty } from '../parts/pty.ts';
import type { Noise } from '../parts/serial-noise.ts';
import { openRelay, type SerialRelay } from '../parts/serial-relay.ts';
import { subscribeAtLeastOnce, subscribeOnce, type MqttSubscriber } from '../parts/subscriber.ts';
import { pause, until } from '../parts/until.ts';

/** Resets of each board, and kills of headwater. */
const ROUNDS = Number(process.env['ROUNDS'] ?? 8);
const READING_MS = 20;
// One bit in a thousand is the other: a fault each 125 bytes. The rest is what else happens to cables.
const NOISE: Noise = {
  everyBytes: 115,
  weights: { flip: 92, lose: 3, double: 2, reorder: 2, garbage: 1, stall: 0.3, hangUp: 0.1 },
};

interface Place {
  name: string;
  machine: Machine;
  program: Program;
}
const PLACES: Place[] = [
  { name: 'small-ring', machine: 'stm32vldiscovery', program: 'pulse-counter' },
  { name: 'large-ring', machine: 'mps2-an385', program: 'pulse-counter' },
  { name: 'small-ram', machine: 'stm32vldiscovery', program: 'thermometer' },
  { name: 'large-ram', machine: 'mps2-an385', program: 'thermometer' },
];

let folder: string;
let kafka: Kafka;
let appliance: Appliance;
const boards: Board[] = [];
const ptys: Pty[] = [];
const relays: SerialRelay[] = [];
const subscribers: MqttSubscriber[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-firmware-'));
  await makePrograms(
    folder,
    READING_MS,
    PLACES.map(({ machine, program }) => [machine, program]),
  );
  kafka = await startKafka();
});
afterAll(async () => {
  for (const subscriber of subscribers) await subscriber.stop();
  for (const board of boards) await board.close();
  for (const relay of relays) await relay.close();
  await appliance.remove();
  for (const pty of ptys) await pty.close();
  await kafka.stop();
  await rm(folder, { recursive: true, force: true });
});

async function startNode(): Promise<void> {
  for (const _ of PLACES) ptys.push(await openPty(['socat']));
  appliance = await createAppliance({
    serial: PLACES.map(({ name }, index) => {
      const devices = { [uidOf(index + 1)]: name };
      return { path: ptys[index]!.path, name, topic: 'plant', framing: 'bridge', devices };
    }),
    mqtt: { publish: [{ topic: 'plant' }] },
    mirror: [{ name: 'dc', bootstrap: [kafka.bootstrap] }],
  });
  await appliance.start();
  // Who has subscribed gets what is retained.
  const client = await connectAsync(`mqtt://127.0.0.1:${appliance.mqttPort}`);
  await client.publishAsync('plant/ready', '{"n":0}', { qos: 1, retain: true });
  await client.endAsync();
  subscribers.push(await subscribeOnce(appliance.mqttPort, 'qos-2', 'plant/#'));
  subscribers.push(subscribeAtLeastOnce(appliance.mqttPort, 'qos-1', 'plant/#'));
  await until('both have subscribed', () => subscribers.every(({ messages }) => messages.length > 0));
}

async function mqtt(): Promise<MqttStatus> {
  return (await appliance.status()).rooms['mqtt'] as MqttStatus;
}

async function plugIn(seed: number): Promise<void> {
  for (const [index, { machine, program }] of PLACES.entries()) {
    const board = await openBoard(machine, elfOf(folder, machine, program), index + 1);
    boards.push(board);
    relays.push(openRelay(board, ptys[index]!, seed + index, NOISE));
  }
}

async function deviceOf(index: number): Promise<BridgeDeviceStatus | undefined> {
  const ports = (await appliance.status()).rooms['serial'] as DeviceStatus[];
  const devices = ports[index]?.details?.['devices'] as BridgeDeviceStatus[] | undefined;
  return devices?.find(({ uid }) => uid === boards[index]!.uid);
}

/** New records of each device are on the card. */
async function allGoOn(): Promise<void> {
  for (const [index, { name }] of PLACES.entries()) {
    let seen: BridgeDeviceStatus | undefined;
    const tell = (): string => JSON.stringify([seen, relays[index]!.counts]);
    const isThere = async (): Promise<boolean> => (seen = await deviceOf(index))?.state === 'connected';
    await until(`${name} is there`, isThere, 300_000, tell);
    const before = seen!;
    const goesOn = async (): Promise<boolean> => {
      seen = await deviceOf(index);
      if (seen === undefined) return false;
      return seen.epoch === before.epoch ? seen.committed > before.committed : seen.committed > 0;
    };
    await until(`records of ${name} come`, goesOn, 300_000, tell);
  }
}

interface Gap {
  device: string;
  count: number | null;
  reason: string;
}

test(
  `${ROUNDS} resets of each board and ${ROUNDS} kills of headwater, in turn`,
  async () => {
    const seed = printedSeed('proof') % 2 ** 20;
    const random = openRandom(seed);
    await startNode();
    await plugIn(seed);
    for (let round = 0; round < ROUNDS; round += 1) {
      await allGoOn();
      await Promise.all(boards.map((board) => pause(random.below(500)).then(board.reset)));
      if (round % 2 === 0) await allGoOn();
      else await pause(random.below(1500));
      await appliance.kill();
      await pause(random.below(500));
      await appliance.start();
    }
    await allGoOn();
    for (const relay of relays) relay.setNoise(undefined);
    await allGoOn();
    for (const board of boards) await board.powerOff();
    await appliance.mirrored();
    let last: MqttStatus | undefined;
    const isHeard = async (): Promise<boolean> => {
      last = await mqtt();
      return last.published[0]!.waiting === 0 && last.queued.messages === 0;
    };
    await until('the subscribers have all', isHeard, 60_000, () => JSON.stringify(last));
  },
  600_000 + ROUNDS * 60_000,
);

test('with the ring every reading is there once and in order, upstream as well', async () => {
  const numbers = await numbersOf('edge.plant');
  for (const { name } of PLACES.filter(({ program }) => program === 'pulse-counter')) {
    const all = numbers.get(name) ?? [];
    console.log(JSON.stringify({ name, readings: all.length, resets: boards[0]!.resets() }));
    expect(all.length).toBeGreaterThan(ROUNDS * 20);
    expect(firstWrong(all, (number, index) => number === index)).toBeUndefined();
  }
  const same = await expectSame([appliance.kafka, 'plant'], [kafka.bootstrap, 'edge.plant']);
  expect(same).toBe([...numbers.values()].flat().length);
});

test('a real MQTT subscriber with QoS 2 heard the same, each reading once and in order, one with QoS 1 at least once', async () => {
  const numbers = await numbersOf('edge.plant');
  const [once, atLeastOnce] = subscribers.map(({ messages }) => byDevice(messages));
  for (const { name } of PLACES) {
    expect(once!.get(name)).toEqual(numbers.get(name));
    expect([...new Set(atLeastOnce!.get(name))]).toEqual(numbers.get(name));
  }
  console.log(JSON.stringify({ qos2: subscribers[0]!.messages.length, qos1: subscribers[1]!.messages.length }));
});

test('without it, what the resets lost is in gaps, to the reading', async () => {
  const numbers = await numbersOf('edge.plant');
  const gaps = await gapsOf('edge.plant.gaps');
  for (const { name } of PLACES) {
    const all = numbers.get(name) ?? [];
    const own = gaps.filter(({ device }) => device === name);
    const told = own.reduce((sum, { count }) => sum + (count ?? 0), 0);
    const missing = all.at(-1)! + 1 - all.length;
    const reasons = Object.groupBy(own, ({ reason }) => reason);
    const counted = Object.entries(reasons).map(([reason, some]) => `${some?.length} ${reason}`);
    console.log(JSON.stringify({ name, readings: all.length, missing, told, gaps: counted }));
    expect(own.filter(({ count }) => count === null)).toEqual([]);
    expect(firstWrong(all, (number, index) => index === 0 || number > all[index - 1]!)).toBeUndefined();
    expect(told).toBe(missing);
  }
  expect(gaps.length).toBeGreaterThan(0);
});

test('the cables were as bad as they should be', () => {
  for (const { counts } of relays) {
    console.log(JSON.stringify(counts));
    expect(counts.toHost.faults.flip).toBeGreaterThan(counts.toHost.bytes / 250);
    expect(counts.toDevice.faults.flip).toBeGreaterThan(0);
  }
});

function firstWrong(numbers: number[], isRight: (number: number, index: number) => boolean): unknown {
  const at = numbers.findIndex((number, index) => !isRight(number, index));
  return at === -1 ? undefined : { at, around: numbers.slice(Math.max(0, at - 3), at + 4) };
}

/** The numbers in the readings of each device, upstream, in the order of the log. */
async function numbersOf(topic: string): Promise<Map<string, number[]>> {
  const numbers = new Map<string, number[]>();
  for (const { key, value } of await readTopic(kafka.bootstrap, topic)) {
    addNumber(numbers, String(key).split('/')[0]!, String(value));
  }
  return numbers;
}

function addNumber(numbers: Map<string, number[]>, name: string, value: string): void {
  const all = numbers.get(name) ?? [];
  all.push((JSON.parse(value) as { n: number }).n);
  numbers.set(name, all);
}

function byDevice(messages: MqttSubscriber['messages']): Map<string, number[]> {
  const numbers = new Map<string, number[]>();
  for (const { topic, payload } of messages) addNumber(numbers, topic.split('/')[1]!, payload);
  return numbers;
}

async function gapsOf(topic: string): Promise<Gap[]> {
  return (await readTopic(kafka.bootstrap, topic)).map(({ value }) => JSON.parse(String(value)) as Gap);
}
