// Half-duplex, with all 32 addresses: boards in QEMU that run the rs485-node program, simulated nodes in Python, and an
// address where nobody is, on one pair of wires (test/parts/serial-bus.ts) with headwater as the one that polls. One of the
// boards loses its power on the way. Every reading is there once and in order, and the dead address has no more than its
// tenth of the line.

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
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
import { streamEnd } from '../parts/serial-relay.ts';
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
/** The one that loses its power when it has this many readings on the card. */
const VICTIM = 3;
const VICTIM_READINGS = 40;
/** What a loaded machine adds to the 20 ms that a node has. */
const SLACK_MS = 150;

const addressOf = (number: number): number => (number % 32) + 1;
const ADDRESSES = Array.from({ length: 32 }, (_, index) => index + 1);
const SIMULATED = ADDRESSES.filter((at) => at !== DEAD && !NODES.some(({ number }) => addressOf(number) === at));
const uidOfSimulated = (address: number): string => Buffer.from([...Buffer.from('node'), address]).toString('hex');

let folder: string;
let appliance: Appliance;
let pty: Pty;
let bus: SerialBus;
const boards: Board[] = [];
let simulated: ChildProcessByStdio<Writable, Readable, null> | undefined;
process.once('exit', () => simulated?.kill('SIGKILL'));
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
  simulated?.kill('SIGKILL');
  for (const board of boards) await board.close();
  await appliance.remove();
  await pty.close();
  await rm(folder, { recursive: true, force: true });
});

async function devices(): Promise<BridgeDeviceStatus[]> {
  const [port] = (await appliance.status()).rooms['serial'] as DeviceStatus[];
  return port!.details!['devices'] as BridgeDeviceStatus[];
}

function simulate(): ChildProcessByStdio<Writable, Readable, null> {
  const args = [String(READING_MS), String(READINGS), ...SIMULATED.map(String)];
  const env = { ...process.env, PYTHONPATH: join(import.meta.dirname, '../../firmware-bridge/python') };
  const program = join(import.meta.dirname, '../parts/bus_nodes.py');
  return spawn('python3', [program, ...args], { env, stdio: ['pipe', 'pipe', 'inherit'] });
}

/** Records on the card of the device with that name. */
function committedOf(all: BridgeDeviceStatus[], name: string): number {
  return all.find((device) => device.name === name)?.committed ?? 0;
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

test(`${READINGS} readings of each of ${NODES.length} boards and ${SIMULATED.length} simulated nodes on one pair`, async () => {
  pty = await openPty(['socat']);
  appliance = await createAppliance({
    serial: [
      {
        path: pty.path,
        topic: 'plant',
        framing: 'bridge',
        addresses: ADDRESSES,
        slack: `${SLACK_MS}ms`,
        devices: Object.fromEntries([
          ...NODES.map(({ number }) => [uidOf(number), `board-${addressOf(number)}`]),
          ...SIMULATED.map((address) => [uidOfSimulated(address), `node-${address}`]),
        ]),
      },
    ],
  });
  for (const { machine, number } of NODES) {
    boards.push(await openBoard(machine, elfOf(folder, machine, 'rs485-node'), number));
  }
  simulated = simulate();
  bus = openBus([pty, ...boards, streamEnd(simulated.stdout, simulated.stdin)]);
  bus.onData((bytes, from) => from === 0 && noteTurns(bytes));
  await appliance.start();
  startMs = performance.now();
  const victim = `board-${addressOf(NODES[VICTIM]!.number)}`;
  let all: BridgeDeviceStatus[] = [];
  const tell = (): string => JSON.stringify(all.map(({ name, committed }) => [name, committed]));
  const mayDie = async (): Promise<boolean> => {
    all = await devices();
    return committedOf(all, victim) >= 2 * VICTIM_READINGS;
  };
  await until('half of the readings are there', mayDie, 240_000, tell);
  await boards[VICTIM]!.powerOff();
  const others = NODES.filter((_, index) => index !== VICTIM).map(({ number }) => `board-${addressOf(number)}`);
  const haveAll = async (): Promise<boolean> => {
    all = await devices();
    return (
      others.every((name) => committedOf(all, name) >= 2 * READINGS) &&
      SIMULATED.every((address) => committedOf(all, `node-${address}`) >= READINGS)
    );
  };
  await until('all that have power have given theirs', haveAll, 240_000, tell);
  endMs = performance.now();
  for (const board of boards) await board.powerOff();
}, 600_000);

test('every reading of each is there once and in order', async () => {
  const records = await readTopic(appliance.kafka, 'plant');
  const valuesOf = (key: string): string[] =>
    records.filter((record) => String(record.key) === key).map(({ value }) => String(value));
  expect((await devices()).map(({ gaps }) => gaps)).toEqual(ADDRESSES.slice(1).map(() => 0));
  for (const address of SIMULATED) {
    const numbers = valuesOf(`node-${address}/n`).map((value) => (JSON.parse(value) as { n: number }).n);
    expect(numbers, `of node ${address}`).toEqual(Array.from({ length: READINGS }, (_, number) => number));
  }
  for (const [index, { number }] of NODES.entries()) {
    const uptimes = valuesOf(`board-${addressOf(number)}/uptime`).map(Number);
    expect(uptimes.length).toBeGreaterThanOrEqual(index === VICTIM ? VICTIM_READINGS : READINGS);
    expect(uptimes.toSorted((a, b) => a - b)).toEqual(uptimes);
    expect(new Set(uptimes).size).toBe(uptimes.length);
    // The program makes one a READING_MS and catches up when it was late: were one missing, all after it were too late.
    const late = (from: number, to: number): number =>
      Math.min(...uptimes.slice(from, to).map((uptime, at) => uptime - (from + at + 1) * READING_MS));
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
});
