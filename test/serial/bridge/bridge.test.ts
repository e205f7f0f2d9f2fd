// The bridge framing on a port, with a device that the test plays frame by frame, over a log whose commits the test
// settles: what is acknowledged when, what is remembered, and what becomes of text, gaps, commands and turns.

import type { ClockDoubt } from '../../../src/clock.ts';
import { unsureBootIn } from '../../../src/formats/batch.ts';
import { expect, onTestFinished, test } from 'vitest';
import { HeadwaterError } from '../../../src/errors.ts';
import { decodeFrame, encodeFrame, type Frame, type Hello, type Welcome } from '../../../src/formats/bridge-frame.ts';
import { createSections } from '../../../src/formats/bridge-sections.ts';
import { openIntake } from '../../../src/intake/intake.ts';
import type { BridgeDeviceStatus } from '../../../src/serial/bridge/device.ts';
import { openSerial, type Serial } from '../../../src/serial/serial.ts';
import { createTrace } from '../../../src/trace.ts';
import { fakeClock, type FakeClock } from '../../fakes/clock.ts';
import { gatherLog, type GatherLog } from '../../fakes/gather-log.ts';
import { openLogFolder } from '../../log/open-log.ts';
import { fakePorts, type FakePorts } from '../../fakes/serial-port.ts';
import { serialPorts, type PortSettings } from '../../parts/serial-settings.ts';
import { until } from '../../parts/until.ts';
import { HELLO } from './session-words.ts';

const PATH = '/dev/ttyUSB0';
const OTHER = '/dev/ttyUSB1';
const BRIDGE = { path: PATH, topic: 'plant', framing: 'bridge' } satisfies PortSettings;

interface Bench {
  serial: Serial;
  ports: FakePorts;
  fake: GatherLog;
  clock: FakeClock;
  traced: string[];
}

async function bench(settings: Record<string, unknown> = {}, fake = gatherLog()): Promise<Bench> {
  const ports = fakePorts();
  const clock = fakeClock();
  const traced: string[] = [];
  const trace = createTrace({ write: (line) => void traced.push(line), clock });
  const intake = openIntake({ log: fake.log, routes: [], nodeName: 'n', clock, trace });
  ports.plug(PATH);
  ports.plug(OTHER);
  const serial = await openSerial({
    ports: serialPorts({ ...BRIDGE, ...settings }, { ...BRIDGE, path: OTHER, ...settings }),
    intake,
    marks: {
      entries: (prefix) => [...fake.marks].filter(([key]) => key.startsWith(prefix)),
      set: (key, value) => fake.log.mark(key, value),
    },
    clock,
    trace,
    openPort: ports.openPort,
  });
  await settle();
  return { serial, ports, fake, clock, traced };
}

const settle = () => new Promise<void>((resolve) => void setImmediate(resolve));

/** A device as the test plays it: says frames, and hears what the host says. */
class Player {
  private key = 0;
  readonly ports: FakePorts;
  readonly fake: GatherLog;
  readonly path: string;
  readonly hello: Hello;

  constructor(bench: Bench, hello: Partial<Hello> = {}, path = PATH) {
    this.ports = bench.ports;
    this.fake = bench.fake;
    this.path = path;
    this.hello = { ...HELLO, ...hello };
  }

  says(frame: Frame, turn: { address?: number; isFinal?: boolean } = {}): void {
    this.ports.send(this.path, encodeFrame({ frame, isFinal: false, ...turn }, this.key));
  }

  /** What the host said since the last call. */
  hears(): Frame[] {
    const frames: Frame[] = [];
    const sections = createSections({
      onBody: (body) => {
        const { frame } = decodeFrame(body)!;
        if (frame.type === 'welcome') this.key = frame.key;
        frames.push(frame);
      },
      onText: () => expect.unreachable(),
      onBad: () => expect.unreachable(),
      keyOf: () => this.key,
    });
    // One by one: a key is good for what comes after it.
    const bytes = this.ports.sent(this.path);
    for (let at = 0; at < bytes.length; at++) sections.push(bytes.subarray(at, at + 1));
    return frames;
  }

  acks(): string[] {
    return this.hears().flatMap((frame) =>
      frame.type === 'ack' ? [`${frame.committed} of ${frame.received}, window ${frame.window}`] : [],
    );
  }

  /** Says hello until there is a session; returns the last welcome. */
  connects(turn: { address?: number } = {}): Welcome {
    let hello = this.hello;
    this.hears();
    for (;;) {
      this.says(hello, turn);
      const welcome = this.welcome() ?? this.welcomeOnceKept();
      if (welcome.status !== 1) {
        this.says({ type: 'channel', channel: 0, name: 'level' }, turn);
        return welcome;
      }
      hello = { ...hello, epoch: welcome.epoch, nonce: hello.nonce + 1 };
    }
  }

  welcome(): Welcome | undefined {
    return this.hears().find((frame) => frame.type === 'welcome');
  }

  private welcomeOnceKept(): Welcome {
    this.fake.commit();
    return this.welcome()!;
  }

  data(sequence: number, ...texts: string[]): void {
    const records = texts.map((text) => ({ boot: undefined, channel: 0, timeMs: 0, payload: Buffer.from(text) }));
    this.says({ type: 'data', sequence, records });
  }
}

const values = (fake: GatherLog, topic = 'plant') => fake.records(topic).map((record) => String(record.value));
const devices = (serial: Serial) => serial.status()[0]!.details!['devices'] as BridgeDeviceStatus[];

test('the port asks who is there', async () => {
  const at = await bench();
  expect(new Player(at).hears()).toEqual([{ type: 'who', version: 1 }]);
});

test('records are acknowledged as received at once, as committed after their commit', async () => {
  const at = await bench();
  const device = new Player(at);
  device.connects();
  device.data(0, 'a', 'b');
  at.clock.advance(20);
  expect(device.acks()).toEqual(['0 of 2, window 255']);
  at.fake.commit();
  await settle();
  expect(device.acks()).toEqual(['2 of 2, window 255']);
  expect(values(at.fake)).toEqual(['a', 'b']);
});

test('relaxed: records are acknowledged as committed before they can be read', async () => {
  const opened = await openLogFolder({ commitRelaxedMs: 3_600_000 });
  onTestFinished(() => opened.remove());
  const [partition] = (await opened.log.createTopic('plant', { durability: 'relaxed' })).partitions;
  const at = await bench({}, { ...gatherLog(), log: opened.log });
  const device = new Player(at);
  let welcome: Welcome | undefined;
  device.says(device.hello);
  await until('its epoch is kept', () => (welcome = device.welcome()) !== undefined);
  device.says({ ...device.hello, epoch: welcome!.epoch, nonce: device.hello.nonce + 1 });
  await until('there is a session', () => device.welcome()?.status === 0);
  device.says({ type: 'channel', channel: 0, name: 'level' });
  device.data(0, 'a', 'b');
  await settle();
  at.clock.advance(20);
  expect(device.acks()).toEqual(['2 of 2, window 255']);
  expect(partition!.highWatermark).toBe(0);
});

test('a newer device that still speaks this version has a session in it', async () => {
  const at = await bench();
  expect(new Player(at, { version: 9, versionMin: 1 }).connects()).toMatchObject({ status: 0, version: 1 });
});

test('a record has the device and the channel as key, and names the port', async () => {
  const at = await bench({ devices: { '6162': 'pump-7' } });
  const device = new Player(at);
  device.connects();
  device.data(0, 'a');
  at.fake.commit();
  const [record] = at.fake.records('plant');
  expect(String(record!.key)).toBe('pump-7/level');
  const headers = record!.headers.map(({ key, value }) => `${key}=${String(value)}`);
  expect(headers).toEqual(['serial.port=ttyUSB0', 'bridge.channel=level', 'time.error.ms=unknown']);
});

test('a commit that fails is repeated, and nothing is acknowledged before it is there', async () => {
  const at = await bench();
  const device = new Player(at);
  device.connects();
  device.data(0, 'a');
  at.fake.commit(new HeadwaterError('LOG_CLOSED', 'the card is away'));
  await settle();
  at.clock.advance(1000);
  expect(device.acks().every((ack) => ack.startsWith('0 of 1'))).toBe(true);
  at.fake.commit();
  await settle();
  expect(device.acks()).toEqual(['1 of 1, window 255']);
  expect(values(at.fake)).toEqual(['a']);
});

test('after a crash a device goes on where the card stands, and what it sends again is not stored again', async () => {
  const before = await bench();
  const first = new Player(before);
  const { epoch } = first.connects();
  first.data(0, 'a', 'b');
  before.fake.commit();
  first.data(2, 'lost with the process');
  const card = gatherLog();
  for (const [key, value] of before.fake.marks) card.marks.set(key, value);
  const after = await bench({}, card);
  const again = new Player(after, { epoch, end: 4, nonce: 9 });
  expect(again.connects()).toMatchObject({ status: 0, epoch, expected: 2 });
  again.data(0, 'a', 'b', 'c', 'd');
  after.fake.commit();
  await settle();
  expect(again.acks().at(-1)).toBe('4 of 4, window 255');
  expect([...values(before.fake), ...values(after.fake)]).toEqual(['a', 'b', 'c', 'd']);
});

test('a gap is a record of its own, in the commit that moves the sequence past it', async () => {
  const at = await bench({ devices: { '6162': 'pump-7' } });
  const device = new Player(at);
  const { epoch } = device.connects();
  device.data(0, 'a');
  device.says({ type: 'skip', first: 5 });
  device.data(5, 'f');
  at.fake.commit();
  await settle();
  expect(values(at.fake)).toEqual(['a', 'f']);
  expect(values(at.fake, 'plant.gaps').map((value) => JSON.parse(value) as unknown)).toEqual([
    {
      device: 'pump-7',
      uid: '6162',
      port: 'ttyUSB0',
      epoch,
      first: 1,
      count: 4,
      reason: 'skipped',
      words: 'the device no longer had them',
    },
  ]);
  expect(devices(at.serial)[0]).toMatchObject({ gaps: 1, lostRecords: 4, next: 6, committed: 6 });
});

test('an epoch is given when it is on the card, together with the gap before it', async () => {
  const at = await bench();
  const device = new Player(at);
  const { epoch } = device.connects();
  device.data(0, 'a');
  at.fake.commit();
  await settle();
  device.hears();
  const hello = { ...device.hello, nonce: 5, lastEpoch: epoch, lastEnd: 3 };
  device.says(hello);
  device.says(hello);
  expect(device.hears()).toEqual([]);
  at.fake.commit();
  await settle();
  expect(at.fake.records('plant.gaps')).toHaveLength(1);
  const { status, epoch: given } = device.welcome()!;
  expect(status).toBe(1);
  // Whoever starts with this card knows both: a second reset before the device had the epoch costs nothing unsaid.
  const after = await bench({}, at.fake);
  const again = new Player(after, { nonce: 6, lastEpoch: epoch, lastEnd: 7 });
  again.says(again.hello);
  after.fake.commit();
  await settle();
  expect(again.welcome()).toMatchObject({ status: 1, epoch: given });
  const gaps = values(after.fake, 'plant.gaps').map((value) => JSON.parse(value) as { first: number; count: number });
  expect(gaps.map(({ first, count }) => [first, count])).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

test('text between frames is a line of the log, and a record where a topic is given', async () => {
  const at = await bench({ text: 'plant.text' });
  const device = new Player(at);
  at.ports.send(PATH, 'Booting\r\nread');
  at.ports.send(PATH, 'y\n');
  device.connects();
  at.fake.commit();
  expect(values(at.fake, 'plant.text')).toEqual(['Booting', 'ready']);
  expect(at.traced.filter((line) => line.includes('printed'))).toHaveLength(2);
});

test('while too much waits for its commit the window is closed and the line is read on', async () => {
  const at = await bench();
  const device = new Player(at);
  device.connects();
  at.fake.setFull(true);
  device.says({ type: 'ping' });
  expect(device.acks()).toEqual(['0 of 0, window 0']);
  expect(at.ports.isPaused(PATH)).toBe(false);
  at.fake.setFull(false);
  await settle();
  expect(device.acks()).toEqual(['0 of 0, window 255']);
});

test('a device that is on another port is refused, and had when all of it is on the card', async () => {
  const at = await bench();
  const there = new Player(at);
  const { epoch } = there.connects();
  there.data(0, 'a');
  const here = new Player(at, { epoch, end: 1, nonce: 7 }, OTHER);
  expect(here.connects()).toMatchObject({ status: 2 });
  at.ports.unplug(PATH);
  await settle();
  expect(here.connects()).toMatchObject({ status: 2 });
  at.fake.commit();
  await settle();
  expect(here.connects()).toMatchObject({ status: 0, epoch, expected: 1 });
});

test('a record has the time of its measurement once the clocks are matched', async () => {
  const at = await bench();
  const device = new Player(at);
  device.hears();
  device.says({ ...device.hello, epoch: 7 });
  const time = device.hears().find((frame) => frame.type === 'time')!;
  device.says({ type: 'channel', channel: 0, name: 'level' });
  at.clock.advance(10);
  device.says({ type: 'echo', id: time.id, uptimeMs: 50_000 });
  device.says({
    type: 'data',
    sequence: 0,
    records: [{ boot: undefined, channel: 0, timeMs: 20_000, payload: Buffer.from('a') }],
  });
  at.fake.commit();
  const [record] = at.fake.records('plant');
  // The device's 50,000 was between 0 and 10 ms ago.
  expect(at.clock.wallMs() - record!.timestampMs).toBe(30_005);
  expect(String(record!.headers.at(-1)!.value)).toBe('8');
});

test('the status and the metrics tell of each device what came from it, what is missing, and how good its clock is', async () => {
  const at = await bench({ devices: { '6162': 'pump-7' } });
  const device = new Player(at);
  device.hears();
  device.says({ ...device.hello, epoch: 7 });
  const time = device.hears().find((frame) => frame.type === 'time')!;
  at.clock.advance(10);
  device.says({ type: 'channel', channel: 0, name: 'level' });
  device.says({ type: 'echo', id: time.id, uptimeMs: 50_000 });
  device.data(0, 'a');
  device.data(0, 'a');
  device.says({ type: 'skip', first: 4 });
  at.ports.send(PATH, Buffer.of(0, 5, 1, 2, 3, 4, 0));
  at.clock.advance(2000);
  const [port] = at.serial.status();
  expect(port).toMatchObject({ invalid: 1 });
  const pump = {
    name: 'pump-7',
    state: 'connected',
    frames: 6,
    again: 1,
    gaps: 1,
    lost: 3,
    heardMs: 2000,
    clockErrorMs: 6,
  };
  expect(port!.devices).toEqual([pump]);
  const samples = at.serial.metrics().flatMap(({ name, samples }) => samples.map((sample) => ({ name, ...sample })));
  const own = samples.filter(({ labels }) => labels?.['device'] === 'pump-7' && labels['port'] === 'ttyUSB0');
  expect(Object.fromEntries(own.map(({ name, value }) => [name, value]))).toEqual({
    bridge_device_connected: 1,
    bridge_device_frames_total: 6,
    bridge_repeated_total: 1,
    bridge_asked_total: 0,
    bridge_gaps_total: 1,
    bridge_lost_records_total: 3,
    bridge_device_silent_seconds: 2,
    bridge_device_clock_error_seconds: 0.006,
  });
});

test('who looks on at the port is shown the frames, too', async () => {
  const at = await bench();
  const look = async (from?: number) => at.serial.events('ttyUSB0', from, 0, new AbortController().signal);
  const { next } = await look();
  const device = new Player(at);
  device.connects();
  device.data(0, 'a', 'b');
  const { events } = await look(next);
  const frames = events.filter(({ kind }) => kind === 'frame').map(({ way, words }) => `${way} ${words}`);
  expect(frames.map((line) => line.replace(/[0-9a-f]{8}/, 'E'))).toEqual([
    'received HELLO from 6162 test 1: no epoch, 0 waiting',
    'sent WELCOME take this epoch, epoch E',
    'received HELLO from 6162 test 1: epoch E, 0 to 0 waiting',
    'sent WELCOME go on from 0, window 255, epoch E',
    'sent TIME 1: 2027-01-15T08:00:00.000Z, within 1000 ms',
    'received CHANNEL 0 is level',
    'received DATA 0: level, 1 byte at 0 ms; level, 1 byte at 0 ms',
  ]);
});

test('a record of an earlier boot has its time, when that boot is known, also after a restart of the host', async () => {
  const before = await bench();
  const device = new Player(before, { boot: 5, epoch: 7 });
  device.connects();
  before.ports.unplug(PATH);
  before.ports.plug(PATH);
  before.clock.advance(6000);
  await settle();
  const player = new Player(before, { boot: 5, epoch: 7, nonce: 3 });
  player.hears();
  player.says(player.hello);
  const time = player.hears().find((frame) => frame.type === 'time')!;
  player.says({ type: 'echo', id: time.id, uptimeMs: 1000 });
  player.says({ type: 'channel', channel: 0, name: 'level' });
  player.data(0, 'a');
  before.fake.commit();
  const zeroMs = before.clock.wallMs() - 1000;
  const after = await bench({}, before.fake);
  const again = new Player(after, { boot: 6, epoch: 7, first: 1, end: 2, nonce: 8 });
  again.connects();
  again.says({
    type: 'data',
    sequence: 1,
    records: [{ boot: 5, channel: 0, timeMs: 2500, payload: Buffer.from('b') }],
  });
  after.fake.commit();
  expect(after.fake.records('plant')[1]!.timestampMs).toBe(zeroMs + 2500);
});

test('while the host does not know the time it says so, and keeps no time of a device over restarts', async () => {
  const before = await bench();
  const doubt: ClockDoubt = { boot: 7, bootId: '5f1d', upMs: () => 0, records: 0 };
  Object.assign(before.clock, { doubt });
  const device = new Player(before, { boot: 5, epoch: 7 });
  device.connects();
  before.ports.unplug(PATH);
  before.ports.plug(PATH);
  before.clock.advance(6000);
  await settle();
  const player = new Player(before, { boot: 5, epoch: 7, nonce: 3 });
  player.hears();
  player.says(player.hello);
  const time = player.hears().find((frame) => frame.type === 'time')!;
  expect(time.errorMs).toBe(0xffff);
  player.says({ type: 'echo', id: time.id, uptimeMs: 1000 });
  player.says({ type: 'channel', channel: 0, name: 'level' });
  player.data(0, 'a');
  before.fake.commit();
  expect(before.fake.batches('plant').map(unsureBootIn)).toEqual([7]);
  const after = await bench({}, before.fake);
  const again = new Player(after, { boot: 6, epoch: 7, first: 1, end: 2, nonce: 8 });
  again.connects();
  const record = { boot: 5, channel: 0, timeMs: 2500, payload: Buffer.from('b') };
  again.says({ type: 'data', sequence: 1, records: [record] });
  after.fake.commit();
  const [, arrived] = after.fake.records('plant');
  expect(arrived!.headers.find(({ key }) => key === 'time.error.ms')).toMatchObject({ value: Buffer.from('unknown') });
});

test('devices on a half-duplex line are polled: those that answer at once again, silent ones ever more rarely', async () => {
  const at = await bench({ addresses: [1, 2] });
  const device = new Player(at, { isPolled: true });
  // Address 1 is asked first and says nothing; then it is the turn of 2.
  expect(device.hears()).toEqual([{ type: 'who', version: 1 }]);
  at.clock.advance(60);
  expect(device.hears()).toEqual([{ type: 'who', version: 1 }]);
  device.says({ ...device.hello, epoch: 7 }, { address: 2, isFinal: true });
  at.clock.advance(2);
  const turn = device.hears();
  expect(turn.map((frame) => frame.type)).toEqual(['welcome', 'time', 'ack']);
  device.says({ type: 'channel', channel: 0, name: 'level' }, { address: 2 });
  const record = { boot: undefined, channel: 0, timeMs: 0, payload: Buffer.from('a') };
  device.says({ type: 'data', sequence: 0, records: [record] }, { address: 2, isFinal: true });
  at.fake.commit();
  await settle();
  at.clock.advance(2);
  expect(device.acks()).toEqual(['1 of 1, window 64']);
  let asked = 0;
  for (let ms = 0; ms < 5000; ms += 2) {
    at.clock.advance(2);
    for (const frame of device.hears()) {
      if (frame.type === 'who') asked += 1;
      else device.says({ type: 'ping' }, { address: 2, isFinal: true });
    }
  }
  expect(asked).toBeGreaterThan(1);
  expect(asked).toBeLessThan(12);
});
