// Half-duplex: boards in QEMU that run the rs485-node program, and an address where nobody is, on one pair of wires
// (test/parts/serial-bus.ts) with headwater as the one that polls. Every reading is there once and in order, and the dead
// address has no more than its tenth of the line.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeFrame } from '../../src/formats/bridge-frame.ts';
import { createSections } from '../../src/formats/bridge-sections.ts';
import type { BridgeDeviceStatus } from '../../src/serial/bridge/device.ts';
import type { DeviceStatus } from '../../src/serial/serial.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { elfOf, makePrograms, openBoard, uidOf, type Board, type Machine } from '../parts/board.ts';
import { readTopic } from '../parts/kcat.ts';
import { openPty, type Pty } from '../parts/pty.ts';
import { openBus, type SerialBus } from '../parts/serial-bus.ts';
import { until } from '../parts/until.ts';

const READING_MS = 250;
const READINGS = 80;
/** A node's address is its chip's number, modulo 32, and one. */
const NODES: { machine: Machine; number: number }[] = [
  { machine: 'stm32vldiscovery', number: 1 },
  { machine: 'mps2-an385', number: 2 },
  { machine: 'stm32vldiscovery', number: 3 },
  { machine: 'mps2-an385', number: 31 },
];
const DEAD = 10;
/** What a loaded machine adds to the 20 ms that a node has. */
const SLACK_MS = 150;

const addressOf = (number: number): number => (number % 32) + 1;

let folder: string;
let appliance: Appliance;
let pty: Pty;
let bus: SerialBus;
const boards: Board[] = [];
/** When headwater asked each address. */
const asked = new Map<number, number[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-rs485-'));
  await makePrograms(
    folder,
    READING_MS,
    NODES.map(({ machine }) => [machine, 'rs485-node']),
  );
}, 120_000);
afterAll(async () => {
  bus.close();
  for (const board of boards) await board.close();
  await appliance.remove();
  await pty.close();
  await rm(folder, { recursive: true, force: true });
});

async function devices(): Promise<BridgeDeviceStatus[]> {
  const [port] = (await appliance.status()).rooms['serial'] as DeviceStatus[];
  return port!.details!['devices'] as BridgeDeviceStatus[];
}

/** Notes each frame of headwater's that gives somebody the line: of a keyed one only the head can be read. */
function noteTurns(bytes: Buffer): void {
  sections.push(bytes);
}

const sections = createSections({
  onBody(body) {
    const { frame, address, isFinal } = decodeFrame(body) ?? {};
    if (frame?.type !== 'who' || address === undefined || isFinal !== true) return;
    asked.set(address, [...(asked.get(address) ?? []), performance.now()]);
  },
  onText: () => undefined,
  onBad: () => undefined,
  keyOf: () => undefined,
});

let startMs = 0;
let endMs = 0;

test(`${READINGS} readings of each of ${NODES.length} nodes on one pair`, async () => {
  pty = await openPty(['socat']);
  appliance = await createAppliance({
    serial: [
      {
        path: pty.path,
        topic: 'plant',
        framing: 'bridge',
        addresses: [...NODES.map(({ number }) => addressOf(number)), DEAD],
        slack: `${SLACK_MS}ms`,
        devices: Object.fromEntries(NODES.map(({ number }) => [uidOf(number), `node-${number}`])),
      },
    ],
  });
  for (const { machine, number } of NODES) {
    boards.push(await openBoard(machine, elfOf(folder, machine, 'rs485-node'), number));
  }
  bus = openBus([pty, ...boards]);
  bus.onData((bytes, from) => from === 0 && noteTurns(bytes));
  await appliance.start();
  startMs = performance.now();
  const isEnough = async (): Promise<boolean> => {
    const all = await devices();
    return all.length === NODES.length && all.every(({ committed }) => committed >= 2 * READINGS);
  };
  await until('all nodes have enough readings', isEnough, 240_000, () => JSON.stringify([...asked.keys()]));
  endMs = performance.now();
  for (const board of boards) await board.powerOff();
}, 300_000);

test('every reading of each is there once and in order', async () => {
  const records = await readTopic(appliance.kafka, 'plant');
  expect((await devices()).map(({ gaps }) => gaps)).toEqual(NODES.map(() => 0));
  for (const { number } of NODES) {
    const uptimes = records
      .filter(({ key }) => String(key) === `node-${number}/uptime`)
      .map(({ value }) => Number(value));
    expect(uptimes.length).toBeGreaterThanOrEqual(READINGS);
    expect(uptimes.toSorted((a, b) => a - b)).toEqual(uptimes);
    expect(new Set(uptimes).size).toBe(uptimes.length);
    // The program makes one a READING_MS and catches up when it was late: were one missing, all after it were too late.
    const late = (from: number, to: number): number =>
      Math.min(...uptimes.slice(from, to).map((uptime, index) => uptime - (from + index + 1) * READING_MS));
    expect(late(uptimes.length - 20, uptimes.length) - late(0, 20)).toBeLessThan(READING_MS / 2);
  }
});

test('the dead address does not slow the others', async () => {
  const turns = asked.get(DEAD)!;
  const seconds = (endMs - startMs) / 1000;
  // Each costs the 20 ms of an answer and the slack; at first it is asked a few times more.
  const share = ((turns.length - 8) * (20 + SLACK_MS)) / 1000 / seconds;
  console.log(JSON.stringify({ seconds, turnsOfTheDead: turns.length, share }));
  expect(turns.length).toBeGreaterThan(1);
  expect(share).toBeLessThan(0.1);
  // A reading waits no longer than it takes to ask everybody.
  const latest = (await readTopic(appliance.kafka, 'plant')).length;
  expect(latest).toBeGreaterThanOrEqual(2 * READINGS * NODES.length);
});
