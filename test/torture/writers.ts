// Who writes while faults come, and keeps a ledger: sensors over MQTT with QoS 1 and QoS 2, a device with firmware-bridge, a
// machine that writes lines (which nobody acknowledges), an idempotent Kafka producer and a transactional one.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { noisyReadingOf, openMachine } from '../journeys/sensors.ts';
import { writerOf } from '../parts/ledger.ts';
import { openPublisher } from '../parts/publisher.ts';
import { openPty } from '../parts/pty.ts';
import { openRelay } from '../parts/serial-relay.ts';
import type { Reading, Writer } from '../parts/sightings.ts';
import { until } from '../parts/until.ts';

export interface TortureWriter extends Writer {
  /** What it was told of so far. Undefined where nobody acknowledges. */
  readonly acked: number | undefined;
  /** What is no loss and no double, but must not be told without a reason. */
  readonly complaints: readonly string[];
  /** Makes no more; resolves when all that it made is acknowledged. */
  settle(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

export const TOPICS = { readings: 2, orders: 2, transfers: 2, bench: 1, lines: 1 } as const;
export const BRIDGE_UID = '0a0b0c0d';

const PYTHON_KAFKA = join(import.meta.dirname, '../../.parts/python/kafka');
const PYTHON_BRIDGE = join(import.meta.dirname, '../../firmware-bridge/python');
const KAFKA_WRITER = join(import.meta.dirname, 'kafka_writer.py');
const MACHINES = 4;
const MQTT_PER_SECOND = 150;
const MQTT_BYTES = 2_000;
const BRIDGE_PER_SECOND = 200;
/** Topics and speeds of the producers. */
const PRODUCERS = {
  idempotent: { topic: 'orders', perSecond: 200 },
  transactional: { topic: 'transfers', perSecond: 150 },
} as const;
const KAFKA_KEYS = 4;
const KAFKA_BYTES = 1_500;

// A run that ends in the middle of things leaves no program behind.
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** The words for what is missing for the writer over Kafka, or undefined. */
export function missingForKafka(): string | undefined {
  if (existsSync(join(PYTHON_KAFKA, 'confluent_kafka'))) return undefined;
  return `no Kafka client: python3 -m pip install --target ${PYTHON_KAFKA} confluent-kafka==2.16.1`;
}

/** What the records of these writers say of themselves. Cut lines are none of theirs, see `countCut`. */
export const readTorture: Reading = (topic, { value }) => {
  const text = String(value);
  if (topic === 'lines') {
    const [, digits] = /^line (\d{6}) x* end$/.exec(text) ?? [];
    return digits === undefined ? undefined : { from: 'machine', n: Number(digits) - 1 };
  }
  const { from = 'device', n, count } = JSON.parse(text) as { from?: string; n?: number; count?: number };
  return { from, n: n ?? count! };
};

/** A sensor. */
export function openMqttWriter(port: number, qos: 1 | 2): TortureWriter {
  const clientId = `mqtt-qos${qos}`;
  const publisher = openPublisher({
    port,
    clientId,
    qos,
    perSecond: MQTT_PER_SECOND,
    topicOf: (number) => `plant/${clientId}/${number % MACHINES}/x`,
    payloadOf: (from, number) => noisyReadingOf(from, number, MQTT_BYTES),
  });
  const writer = writerOf(publisher, 'readings', (mqttTopic) => mqttTopic.split('/').slice(1, 3).join('/'));
  return Object.defineProperties(writer as TortureWriter, {
    acked: { get: () => publisher.counts.acked },
    complaints: { value: [] },
    settle: {
      value: (timeoutMs: number) => {
        publisher.stop();
        return publisher.settled(timeoutMs);
      },
    },
    close: { value: async () => publisher.close() },
  });
}

/** The device, behind a cable without noise; `path` is headwater's end. */
export async function openBridgeWriter(): Promise<TortureWriter & { path: string }> {
  const devicePty = await openPty(['python3']);
  const hostPty = await openPty(['python3']);
  const relay = openRelay(devicePty, hostPty, 1);
  const rate = ['--rate', String(BRIDGE_PER_SECOND), '--tell', '0.02'];
  const child = start(['-m', 'headwater_bridge', devicePty.path, '--uid', BRIDGE_UID, ...rate], { cwd: PYTHON_BRIDGE });
  const complaints: string[] = [];
  let [made, acked, isEnded] = [0, 0, false];
  const said = lastWords(child);
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', (line) => {
    made = Number(/\bmade=(\d+)/.exec(line)?.[1] ?? made);
    acked = Number(/\backnowledged=(\d+)/.exec(line)?.[1] ?? acked);
  });
  lines.on('close', () => (isEnded = true));
  child.once('close', (code) => code !== null && complaints.push(`ended with ${code}: ${said()}`));
  return {
    name: 'device',
    topic: 'bench',
    rule: 'once',
    path: hostPty.path,
    connections: 1,
    complaints,
    get made() {
      return made;
    },
    get acked() {
      return acked;
    },
    sends: () => 1,
    isAcked: (number) => number < acked,
    keyOf: () => `${BRIDGE_UID}/temperature`,
    async settle(timeoutMs) {
      // It goes on making readings: what was made at this moment counts.
      const end = made;
      const isThere = (): boolean => acked >= end || isEnded;
      await until('the device has all acknowledged', isThere, timeoutMs, () => `${acked} of ${end}: ${said()}`);
    },
    async close() {
      child.kill('SIGKILL');
      await relay.close();
      await devicePty.close();
      await hostPty.close();
    },
  };
}

/** The machine; `path` is headwater's end. Nobody acknowledges a line, so none counts as lost. */
export async function openLinesWriter(): Promise<TortureWriter & { path: string }> {
  const pty = await openPty();
  const machine = openMachine(pty);
  return {
    name: 'machine',
    topic: 'lines',
    rule: 'once',
    path: pty.path,
    connections: 1,
    complaints: [],
    acked: undefined,
    get made() {
      return machine.lines;
    },
    sends: () => 1,
    isAcked: () => false,
    keyOf: () => 'machine',
    settle: () => Promise.resolve(),
    async close() {
      // It may be waiting for somebody to read the line.
      const stopped = machine.stop();
      await pty.close();
      await stopped;
    },
  };
}

/** A producer. What it aborts was never sent, as kcat reads committed records only. */
export function openKafkaWriter(bootstrap: string, name: keyof typeof PRODUCERS): TortureWriter {
  const { topic, perSecond } = PRODUCERS[name];
  const sizes = [perSecond, KAFKA_KEYS, KAFKA_BYTES].map(String);
  const child = start([KAFKA_WRITER, name, bootstrap, topic, name, ...sizes], {
    env: { ...process.env, PYTHONPATH: PYTHON_KAFKA },
  });
  const acks: boolean[] = [];
  const aborts: boolean[] = [];
  const complaints: string[] = [];
  let [made, acked, givenUp, isEnded] = [0, 0, 0, false];
  const said = lastWords(child);
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', (line) => {
    const told = JSON.parse(line) as Told;
    made = told.made ?? made;
    for (const number of told.acked ?? []) acks[number] = true;
    acked += told.acked?.length ?? 0;
    for (const number of told.aborted ?? []) aborts[number] = true;
    givenUp += (told.given_up?.length ?? 0) + (told.aborted?.length ?? 0);
    if (told.fatal !== undefined) complaints.push(`it was told: ${told.fatal}`);
  });
  lines.on('close', () => (isEnded = true));
  child.once('close', (code) => (code ?? 0) !== 0 && complaints.push(`ended with ${code}: ${said()}`));
  return {
    name,
    topic,
    rule: 'once',
    connections: 1,
    complaints,
    get made() {
      return made;
    },
    get acked() {
      return acked;
    },
    sends: (number) => (aborts[number] === true ? 0 : 1),
    isAcked: (number) => acks[number] === true,
    keyOf: (number) => `${name}-${number % KAFKA_KEYS}`,
    async settle(timeoutMs) {
      child.kill('SIGTERM');
      const isThere = (): boolean => isEnded && acked + givenUp === made;
      await until('the producer has all acknowledged', isThere, timeoutMs, () => `${acked} of ${made}: ${said()}`);
    },
    async close() {
      child.kill('SIGKILL');
    },
  };
}

/** A line of kafka_writer.py. */
interface Told {
  made?: number;
  acked?: number[];
  aborted?: number[];
  given_up?: number[];
  fatal?: string;
}

function start(args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv }): ChildProcess {
  const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** What a program has said for itself, the end of it. */
function lastWords(child: ChildProcess): () => string {
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)));
  child.once('error', (error) => (said += error.message));
  return () => said;
}
