// The Python peer, which was written from the specification alone, against a whole headwater: a simulated device on a
// pseudo terminal, a bad cable (test/parts/serial-relay.ts), and headwater killed in between. Every reading is in the log
// once and in order, and no command is executed twice.

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { createAppliance, type Appliance } from '../../parts/appliance.ts';
import { kcat, readTopic } from '../../parts/kcat.ts';
import { openPty, type Pty } from '../../parts/pty.ts';
import { seeded, type Noise } from '../../parts/serial-noise.ts';
import { openRelay, type SerialRelay } from '../../parts/serial-relay.ts';
import { pause, until } from '../../parts/until.ts';

const PYTHON = join(import.meta.dirname, '../../../firmware-bridge/python');
const UID = '0a0b0c0d';
const READINGS = 6000;
const COMMANDS = 30;
const KILLS = 6;

const WEIGHTS = { flip: 6, lose: 4, double: 3, reorder: 3, garbage: 3, stall: 1, hangUp: 0.5 };
// Twenty times as many bytes go up as down: each way gets its share of faults.
const UP: Noise = { everyBytes: 1500, weights: WEIGHTS };
const DOWN: Noise = { everyBytes: 150, weights: { ...WEIGHTS, hangUp: 0 } };

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

test('the unit tests of the peer', async () => {
  const { stderr } = await promisify(execFile)('python3', ['-m', 'unittest', 'discover', '-s', 'tests'], {
    cwd: PYTHON,
  });
  expect(stderr).toMatch(/Ran \d\d+ tests[^]*OK/);
}, 120_000);

test(`${READINGS} readings through noise and ${KILLS} kills: each once and in order`, async () => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`noise of the cable: SEED=${seed}`);
  const { devicePty, hostPty, relay } = await openCable(seed);
  const appliance = await openNode(hostPty);
  const random = seeded(seed);
  const device = startDevice(devicePty.path);

  await appliance.start();
  const sent: number[] = [];
  let kills = 0;
  while (device.count('acknowledged') < READINGS && device.isRunning()) {
    await pause(100 + random() * 300);
    if (sent.length < COMMANDS) await sendCommand(appliance, sent);
    const isTime = device.count('acknowledged') > ((kills + 1) * READINGS) / (KILLS + 2);
    if (kills < KILLS && isTime) {
      await appliance.kill();
      kills += 1;
      await pause(random() * 500);
      await appliance.start();
    }
  }
  await device.ended();
  relay.setNoise(undefined);
  expect(kills).toBe(KILLS);
  expect(device.output()).toMatch(new RegExp(`made=${READINGS} waiting=0 .* acknowledged=${READINGS} `));

  const records = await readTopic(appliance.kafka, 'bench');
  const seen = records.map(({ value }) => (JSON.parse(value!.toString()) as { count: number }).count);
  const told = `SEED=${seed}\n${JSON.stringify(relay.counts)}\n${device.output()}`;
  expect(seen, told).toEqual(Array.from({ length: READINGS }, (_, index) => index));
  expect(new Set(records.map(({ key }) => key!.toString()))).toEqual(new Set([`${UID}/temperature`]));
  expect(await gapsOf(appliance)).toEqual([]);
  await expectAnswers(appliance, sent, device.count('commands'));
  const { toHost, toDevice } = relay.counts;
  for (const kind of ['flip', 'lose', 'double', 'reorder', 'garbage'] as const) {
    expect(Math.min(toHost.faults[kind], toDevice.faults[kind]), kind).toBeGreaterThan(0);
  }
  console.log(device.output().trim().split('\n').at(-1), JSON.stringify(relay.counts), `sent commands ${sent.length}`);
}, 600_000);

test('over a good cable no frame is bad', async () => {
  const { devicePty, hostPty } = await openCable(1, false);
  const appliance = await openNode(hostPty);
  await appliance.start();
  const device = startDevice(devicePty.path, ['--count', '500']);
  await device.ended();
  expect(device.count('acknowledged')).toBe(500);
  expect(device.count('bad')).toBe(0);
  expect(await readTopic(appliance.kafka, 'bench')).toHaveLength(500);
}, 120_000);

async function openCable(seed: number, isNoisy = true): Promise<{ devicePty: Pty; hostPty: Pty; relay: SerialRelay }> {
  const devicePty = await openPty(['python3']);
  stops.push(() => devicePty.close());
  const hostPty = await openPty(['python3']);
  stops.push(() => hostPty.close());
  const relay = openRelay(devicePty, hostPty, seed, ...(isNoisy ? [UP, DOWN] : []));
  stops.push(() => relay.close());
  return { devicePty, hostPty, relay };
}

async function openNode(port: Pty): Promise<Appliance> {
  const appliance = await createAppliance({
    serial: [
      {
        path: port.path,
        topic: 'bench',
        framing: 'bridge',
        commands: { topic: 'orders', results: 'orders.results', maxAge: '10m', timeout: '3s' },
      },
    ],
  });
  stops.push(() => appliance.remove());
  return appliance;
}

interface RunningDevice {
  count(name: string): number;
  output(): string;
  isRunning(): boolean;
  ended(): Promise<void>;
}

/** `python3 -m headwater_bridge`, which ends when all is acknowledged. */
function startDevice(path: string, more: string[] = ['--count', String(READINGS)]): RunningDevice {
  const args = ['-m', 'headwater_bridge', path, '--uid', UID, '--rate', '400', ...more];
  const child: ChildProcess = spawn('python3', args, { cwd: PYTHON, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const onOutput = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-8192));
  child.stdout!.on('data', onOutput);
  child.stderr!.on('data', onOutput);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  stops.push(async () => void child.kill('SIGKILL'));
  return {
    // The last line that is whole.
    count: (name) => Number(output.match(new RegExp(`${name}=(\\d+)(?![^]*\\n[^]*${name}=\\d+)`))?.[1] ?? 0),
    output: () => output,
    isRunning,
    async ended() {
      await until(
        'the device has all acknowledged',
        () => !isRunning(),
        400_000,
        () => output,
      );
      expect(child.exitCode, output).toBe(0);
    },
  };
}

/** Command 1 gives its payload back. */
async function sendCommand(appliance: Appliance, sent: number[]): Promise<void> {
  const id = sent.length;
  const order = JSON.stringify({ id, device: UID, code: 1, payload: id.toString(16).padStart(4, '0') });
  await kcat(['-b', appliance.kafka, '-P', '-t', 'orders'], order);
  sent.push(id);
}

async function gapsOf(appliance: Appliance): Promise<string[]> {
  const records = await readTopic(appliance.kafka, 'bench.gaps').catch(() => []);
  return records.map(({ value }) => String(value));
}

/** Each command has one answer; those that were done are what the device counted, or fewer. */
async function expectAnswers(appliance: Appliance, sent: number[], executed: number): Promise<void> {
  const read = async () =>
    (await readTopic(appliance.kafka, 'orders.results').catch(() => [])).map(
      ({ value }) => JSON.parse(value!.toString()) as { id: number; outcome: string; payload?: string },
    );
  await until('each command has its answer', async () => (await read()).length >= sent.length, 120_000);
  const answers = await read();
  expect(answers.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(sent);
  const done = answers.filter(({ outcome }) => outcome === 'done');
  expect(done.length).toBeGreaterThan(0);
  expect(done.length).toBeLessThanOrEqual(executed);
  expect(executed).toBeLessThanOrEqual(sent.length);
}
