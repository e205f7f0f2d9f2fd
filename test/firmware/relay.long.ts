// The relay program on a board in QEMU, over a bad cable, with commands from a Kafka client while headwater is killed: each
// command is carried out at most once and answered exactly once.
//
// The program reports each switching as a reading, which comes once and in order, so the readings tell what it has done.
// Commands that follow one another are different from each other for sixteen of them, so it is told which ones it were.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BridgeDeviceStatus } from '../../src/serial/bridge/device.ts';
import type { DeviceStatus } from '../../src/serial/serial.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { elfOf, makePrograms, openBoard, uidOf, type Board } from '../parts/board.ts';
import { kcat, readTopic } from '../parts/kcat.ts';
import { openPty, type Pty } from '../parts/pty.ts';
import { openRelay, type SerialRelay } from '../parts/serial-relay.ts';
import { pause, until } from '../parts/until.ts';

const COMMANDS = 120;
const KILLS = 8;
const NOISE = {
  everyBytes: 115,
  weights: { flip: 90, lose: 4, double: 3, reorder: 3, garbage: 2, stall: 1, hangUp: 0.5 },
};

let folder: string;
let board: Board;
let pty: Pty;
let relay: SerialRelay;
let appliance: Appliance;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-relay-'));
  await makePrograms(folder, 1000, [['stm32vldiscovery', 'relay']]);
}, 120_000);
afterAll(async () => {
  await relay.close();
  await board.close();
  await appliance.remove();
  await pty.close();
  await rm(folder, { recursive: true, force: true });
});

/** What a command asks for, and what the program reports when it has done it. */
function switching(id: number): { payload: string; report: string } {
  const [number, on] = [id % 8, (id >> 3) & 1];
  return { payload: `0${number}0${on}`, report: `{"${number}":${on}}` };
}

async function give(id: number): Promise<void> {
  const order = JSON.stringify({ id, device: 'relay', code: 1, payload: switching(id).payload });
  await kcat(['-b', appliance.kafka, '-P', '-t', 'orders'], order);
}

interface Answer {
  id: number;
  outcome: string;
  reason?: string;
  payload?: string;
}

async function answers(): Promise<Answer[]> {
  const records = await readTopic(appliance.kafka, 'orders.results').catch(() => []);
  return records.map(({ value }) => JSON.parse(String(value)) as Answer);
}

async function isConnected(): Promise<boolean> {
  const [port] = (await appliance.status()).rooms['serial'] as DeviceStatus[];
  const devices = port?.details?.['devices'] as BridgeDeviceStatus[] | undefined;
  return devices?.[0]?.state === 'connected';
}

test(`${COMMANDS} commands over a bad cable, and ${KILLS} kills of headwater`, async () => {
  const seed = printedSeed('relay') % 2 ** 20;
  const random = openRandom(seed);
  pty = await openPty(['socat']);
  appliance = await createAppliance({
    serial: [
      {
        path: pty.path,
        topic: 'plant',
        framing: 'bridge',
        devices: { [uidOf(1)]: 'relay' },
        commands: { topic: 'orders', results: 'orders.results', maxAge: '1h', timeout: '3s' },
      },
    ],
  });
  await appliance.start();
  board = await openBoard('stm32vldiscovery', elfOf(folder, 'stm32vldiscovery', 'relay'), 1);
  relay = openRelay(board, pty, seed, NOISE);
  let given = 0;
  for (let round = 0; round <= KILLS; round += 1) {
    await until('the board has a session', isConnected, 120_000);
    const goal = Math.round((COMMANDS * (round + 1)) / (KILLS + 1));
    for (; given < goal; given += 1) await give(given);
    // Some are killed with a command under way, some with all answered.
    if (round % 2 === 0) await until('all are answered', async () => (await answers()).length >= given, 300_000);
    else await pause(random.below(1500));
    if (round === KILLS) break;
    await appliance.kill();
    await appliance.start();
  }
  relay.setNoise(undefined);
  await until('all are answered', async () => (await answers()).length >= given, 300_000);
  // What the last one did is a reading as well.
  await until('the board has a session', isConnected, 120_000);
  await appliance.kill();
  await appliance.start();
  await until('the board has a session', isConnected, 120_000);
}, 900_000);

test('each command has exactly one answer, most of them that it is done', async () => {
  const all = await answers();
  const ids = Array.from({ length: COMMANDS }, (_, id) => id);
  expect(all.map(({ id }) => id)).toEqual(ids);
  const counted = Object.entries(Object.groupBy(all, ({ outcome }) => outcome)).map(
    ([outcome, some]) => `${some?.length} ${outcome}`,
  );
  console.log(JSON.stringify({ answers: counted, cable: relay.counts }));
  for (const { id, outcome, payload } of all) {
    if (outcome === 'done') expect(payload).toBe(`0${(id >> 3) & 1}`);
    else expect(['unknown', 'offline']).toContain(outcome);
  }
  expect(all.filter(({ outcome }) => outcome === 'done').length).toBeGreaterThan(COMMANDS / 2);
});

test('each was carried out at most once, in order, and what was answered as done was done', async () => {
  const all = await answers();
  const done = (await readTopic(appliance.kafka, 'plant')).map(({ value }) => String(value));
  let at = 0;
  for (const { id, outcome } of all) {
    const isNext = done[at] === switching(id).report;
    if (outcome === 'done')
      expect(isNext, `the reading of command ${id} at ${at} of ${JSON.stringify(done)}`).toBe(true);
    if (isNext && outcome !== 'offline') at += 1;
  }
  expect(at, 'readings of commands').toBe(done.length);
  expect(await readTopic(appliance.kafka, 'plant.gaps').catch(() => [])).toEqual([]);
});
