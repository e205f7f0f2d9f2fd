import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors.ts';
import { openIntake } from '../../src/intake/intake.ts';
import { openSerial, type Serial } from '../../src/serial/serial.ts';
import { createTrace } from '../../src/trace.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';
import { gatherLog, type GatherLog } from '../fakes/gather-log.ts';
import { fakePorts, type FakePorts } from '../fakes/serial-port.ts';
import { serialPorts, type PortSettings } from '../parts/serial-settings.ts';

const BOILER = { path: '/dev/serial/by-id/usb-boiler', topic: 'boiler' } satisfies PortSettings;
const { path } = BOILER;
const UNO = { vid: '2341', pid: '0043' };

interface Bench {
  serial: Serial;
  ports: FakePorts;
  fake: GatherLog;
  clock: FakeClock;
  traced: string[];
}

async function bench(config: Partial<PortSettings> = {}, plugged = true): Promise<Bench> {
  const ports = fakePorts();
  const fake = gatherLog();
  const clock = fakeClock();
  const traced: string[] = [];
  const trace = createTrace({ write: (line) => void traced.push(line), clock });
  const intake = openIntake({ log: fake.log, routes: [], nodeName: 'n', clock, trace });
  if (plugged) ports.plug(path);
  const serial = await openSerial({
    ports: serialPorts({ ...BOILER, ...config }),
    intake,
    clock,
    trace,
    openPort: ports.openPort,
  });
  await settle();
  return { serial, ports, fake, clock, traced };
}

/** Lets what is promised happen. */
function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function values(fake: GatherLog): string[] {
  return fake.records('boiler').map((record) => String(record.value));
}

test('a line becomes a record that names its port and has the time of its arrival', async () => {
  const { ports, fake, clock } = await bench();
  ports.send(path, 't=21.5\r\n');
  fake.commit();
  expect(fake.records('boiler')).toEqual([
    {
      offset: 0,
      timestampMs: clock.wallMs(),
      key: Buffer.from('usb-boiler'),
      value: Buffer.from('t=21.5'),
      headers: [{ key: 'serial.port', value: Buffer.from('usb-boiler') }],
    },
  ]);
});

test('a name given in the configuration is the port’s name', async () => {
  const { serial, ports, fake } = await bench({ name: 'boiler-1' });
  ports.send(path, 'x\n');
  fake.commit();
  expect(String(fake.records('boiler')[0]?.key)).toBe('boiler-1');
  expect(serial.status()[0]).toMatchObject({ name: 'boiler-1', path, state: 'open', records: 1, bytes: 1 });
});

test.each<[Partial<PortSettings>, string, (string | undefined)[]]>([
  [{ key: { field: 1 } }, 'a, 1\n  b ,2\n', ['a', 'b']],
  [{ key: { field: 2, separator: ';' } }, 'x;k1\nx;k2;y\n', ['k1', 'k2']],
  [{ key: { field: 2 } }, 'none\nempty,,\n', ['usb-boiler', 'usb-boiler']],
  [{ key: 'none' }, 'x\n', [undefined]],
])('with %j the keys of %j are as they should be', async (config, text, keys) => {
  const { ports, fake } = await bench(config);
  ports.send(path, text);
  fake.commit();
  expect(fake.records('boiler').map((record) => record.key?.toString())).toEqual(keys);
});

test('each framing makes its records, with the time of their last byte', async () => {
  const cases: [Partial<PortSettings>, string, string[]][] = [
    [{ framing: 'delimited', delimiter: '00' }, '0102000300', ['0102', '03']],
    [{ framing: 'fixed', length: 2 }, '01020304', ['0102', '0304']],
    [{ framing: 'length-prefixed', lengthBytes: 1 }, '0201020103', ['0102', '03']],
    [{ framing: 'idle-gap' }, '010203', ['010203']],
  ];
  for (const [config, bytes, records] of cases) {
    const { serial, ports, fake, clock } = await bench(config);
    ports.send(path, Buffer.from(bytes, 'hex'));
    const wallMs = clock.wallMs();
    clock.advance(100);
    fake.commit();
    const stored = fake.records('boiler');
    expect(stored.map(({ value }) => value?.toString('hex'))).toEqual(records);
    expect(stored[0]?.timestampMs).toBe(wallMs);
    expect(serial.status()[0]).toMatchObject({ framing: config['framing'], received: bytes.length / 2, heardMs: 100 });
    await serial.close();
    expect(clock.timers()).toBe(0);
  }
});

test('a silence in a frame is told, and counted in the metrics of its port', async () => {
  const { serial, ports, clock, traced } = await bench({ framing: 'fixed', length: 4 });
  ports.send(path, 'abc');
  clock.advance(200);
  ports.send(path, 'defg');
  expect(serial.status()[0]).toMatchObject({ records: 1, invalid: 1, details: { skippedBytes: 3 } });
  expect(traced.filter((line) => line.includes('out of step'))).toHaveLength(1);
  expect(serial.metrics().find(({ name }) => name === 'serial_skipped_bytes_total')?.samples).toEqual([
    { labels: { port: 'usb-boiler' }, value: 3 },
  ]);
});

test('a port that is held back does not end its frame by it', async () => {
  const { ports, fake, clock } = await bench({ framing: 'idle-gap' });
  ports.send(path, 'ab');
  fake.setFull(true);
  clock.advance(1000);
  ports.send(path, 'cd');
  fake.setFull(false);
  await settle();
  clock.advance(1000);
  fake.commit();
  expect(values(fake)).toEqual(['abcd']);
});

test('a device that is missing at start is opened when it comes, and again after it was unplugged', async () => {
  const { serial, ports, fake, clock } = await bench({}, false);
  expect(serial.status()[0]).toMatchObject({ state: 'missing', lastError: 'no such device' });
  expect(serial.status()[0]?.problems).toEqual(['missing for 0s: no such device']);
  for (let second = 0; second < 20; second += 1) {
    clock.advance(1000);
    await settle();
  }
  expect(serial.status()[0]?.problems).toEqual(['missing for 20s: no such device']);
  ports.plug(path);
  clock.advance(10_000);
  await settle();
  expect(serial.status()[0]).toMatchObject({ state: 'open', openings: 1, problems: [] });
  ports.send(path, 'one\nunfini');
  ports.unplug(path);
  expect(serial.status()[0]).toMatchObject({ state: 'lost', lastError: 'unplugged' });
  ports.plug(path);
  clock.advance(1300);
  await settle();
  ports.send(path, 'two\n');
  fake.commit();
  expect(values(fake)).toEqual(['one', 'two']);
});

test('while a device is away it is tried seldom, and told of once', async () => {
  const { ports, clock, traced } = await bench({}, false);
  for (let second = 0; second < 100; second += 1) {
    clock.advance(1000);
    await settle();
  }
  expect(ports.attempts).toBeGreaterThan(15);
  expect(ports.attempts).toBeLessThan(32);
  expect(traced.filter((line) => line.includes('cannot be opened'))).toHaveLength(1);
});

test('a port that another process holds is refused with the reason, and taken when it is free', async () => {
  const { serial, ports, clock } = await bench({}, false);
  ports.plug(path);
  ports.refuse(path, 'in use by another process');
  clock.advance(1300);
  await settle();
  expect(serial.status()[0]).toMatchObject({ state: 'refused', lastError: 'in use by another process' });
  ports.refuse(path, undefined);
  clock.advance(6100);
  await settle();
  expect(serial.status()[0]?.state).toBe('open');
});

test('binary on a line port breaks nothing: it is counted and kept as it came', async () => {
  const { serial, ports, fake } = await bench();
  ports.send(path, Buffer.from([0xff, 0x00, 0xfe, 0x0a, 0x41, 0x0a]));
  fake.commit();
  expect(fake.records('boiler').map((record) => record.value?.toString('hex'))).toEqual(['ff00fe', '41']);
  expect(serial.status()[0]).toMatchObject({ records: 2, invalid: 1 });
});

test('lines that are not UTF-8 may be dropped, latin1 becomes UTF-8, raw is not looked at', async () => {
  const line = Buffer.from([0x35, 0xb0, 0x43, 0x0a]);
  const dropping = await bench({ invalid: 'drop' });
  dropping.ports.send(path, line);
  expect(dropping.serial.status()[0]).toMatchObject({ records: 0, invalid: 1 });
  const latin1 = await bench({ encoding: 'latin1' });
  latin1.ports.send(path, line);
  latin1.fake.commit();
  expect(values(latin1.fake)).toEqual(['5°C']);
  const raw = await bench({ encoding: 'raw' });
  raw.ports.send(path, line);
  raw.fake.commit();
  expect(raw.fake.records('boiler')[0]?.value).toEqual(line.subarray(0, 3));
  expect(raw.serial.status()[0]?.invalid).toBe(0);
});

test('a line of a megabyte is dropped and counted, and the next one is taken', async () => {
  const { serial, ports, fake, traced } = await bench();
  for (let count = 0; count < 16; count += 1) ports.send(path, Buffer.alloc(65_536, 'x'));
  ports.send(path, '\nnext\n');
  fake.commit();
  expect(values(fake)).toEqual(['next']);
  expect(serial.status()[0]).toMatchObject({ overlong: 1, records: 1 });
  expect(traced.filter((line) => line.includes('too long'))).toHaveLength(1);
});

test('while the log is full the port is not read, and what waited in the kernel comes later', async () => {
  const { serial, ports, fake } = await bench();
  fake.setFull(true);
  ports.send(path, 'one\n');
  expect(ports.isPaused(path)).toBe(true);
  expect(serial.status()[0]?.isPaused).toBe(true);
  ports.send(path, 'two\n');
  fake.setFull(false);
  await settle();
  expect(ports.isPaused(path)).toBe(false);
  fake.commit();
  expect(values(fake)).toEqual(['one', 'two']);
});

test('a port whose lines wait for their commit is paused at one MiB, and read again when they are committed', async () => {
  const { serial, ports, fake } = await bench();
  const line = `${'x'.repeat(999)}\n`;
  for (let count = 0; count < 2000; count += 1) ports.send(path, line);
  expect(ports.isPaused(path)).toBe(true);
  expect(serial.status()[0]?.waitingBytes).toBeLessThan(1024 * 1024 + 2000);
  while (fake.records('boiler').length < 2000) {
    fake.commit();
    await settle();
  }
  expect(ports.isPaused(path)).toBe(false);
  expect(serial.status()[0]).toMatchObject({ waitingBytes: 0, records: 2000 });
});

test('a port that is plugged in again while reading is held back is held back too', async () => {
  const { ports, fake, clock } = await bench();
  fake.setFull(true);
  ports.send(path, 'one\n');
  ports.unplug(path);
  ports.plug(path);
  clock.advance(1300);
  await settle();
  expect(ports.isPaused(path)).toBe(true);
  fake.setFull(false);
  await settle();
  expect(ports.isPaused(path)).toBe(false);
});

test('lines of a failed commit are handed in again before all that came after them', async () => {
  const { serial, ports, fake, clock } = await bench();
  ports.send(path, '1\n2\n');
  const settleFirst = fake.startCommit();
  ports.send(path, '3\n');
  settleFirst(new HeadwaterError('STORE_UNAVAILABLE', 'the card refuses writes'));
  ports.send(path, '4\n');
  expect(serial.status()[0]?.lastError).toMatch(/card refuses/);
  const settleSecond = fake.startCommit();
  clock.advance(1000);
  // What was handed in after the failed lines is still under way: they wait for it.
  fake.commit();
  settleSecond(new HeadwaterError('STORE_UNAVAILABLE', 'the card refuses writes'));
  clock.advance(1000);
  fake.commit();
  expect(values(fake)).toEqual(['1', '2', '3', '4']);
  expect(serial.status()[0]).toMatchObject({ records: 4, waitingBytes: 0 });
});

test('lines that the log refuses at present are handed in later, in order', async () => {
  const { ports, fake, clock } = await bench();
  fake.refuse(new HeadwaterError('TOPIC_INVALID', 'no'));
  ports.send(path, '1\n2\n');
  clock.advance(1000);
  fake.refuse(undefined);
  ports.send(path, '3\n');
  clock.advance(1000);
  fake.commit();
  expect(values(fake)).toEqual(['1', '2', '3']);
});

test('a line that no batch can hold is counted as too long and stops nothing', async () => {
  const ports = fakePorts();
  const fake = gatherLog();
  const clock = fakeClock();
  const trace = createTrace({ write: () => {} });
  const limits = { batchBytesMax: 1000 };
  const intake = openIntake({ log: fake.log, routes: [], nodeName: 'n', clock, trace, limits });
  ports.plug(path);
  const serial = await openSerial({ ports: serialPorts(BOILER), intake, clock, trace, openPort: ports.openPort });
  await settle();
  ports.send(path, `${'x'.repeat(1000)}\nnext\n`);
  fake.commit();
  expect(values(fake)).toEqual(['next']);
  expect(serial.status()[0]).toMatchObject({ overlong: 1, waitingBytes: 0 });
});

test('stopIntake frees the ports and waits for the commit of what was taken', async () => {
  const { serial, ports, fake } = await bench();
  ports.send(path, 'one\n');
  let isStopped = false;
  const stopped = serial.stopIntake().then(() => (isStopped = true));
  await settle();
  expect(ports.isOpen(path)).toBe(false);
  expect(isStopped).toBe(false);
  fake.commit();
  await stopped;
  expect(values(fake)).toEqual(['one']);
  expect(serial.status()[0]?.state).toBe('closed');
});

test('close ends within its time although a commit never ends, and leaves no timer', async () => {
  const { serial, ports, clock } = await bench();
  ports.send(path, 'one\n');
  const closed = serial.close();
  await settle();
  clock.advance(5000);
  await closed;
  expect(clock.timers()).toBe(0);
});

test('close while a device is missing ends at once', async () => {
  const { serial, clock } = await bench({}, false);
  await serial.close();
  expect(clock.timers()).toBe(0);
});

test('one port that is missing or floods keeps no other from working', async () => {
  const ports = fakePorts();
  const fake = gatherLog();
  const clock = fakeClock();
  const trace = createTrace({ write: () => {} });
  const intake = openIntake({ log: fake.log, routes: [], nodeName: 'n', clock, trace });
  const names = ['missing', 'flood', 'calm'];
  const configs = names.map((name) => ({ path: `/dev/${name}`, topic: 'boiler' }));
  ports.plug('/dev/flood');
  ports.plug('/dev/calm');
  const serial = await openSerial({ ports: serialPorts(...configs), intake, clock, trace, openPort: ports.openPort });
  await settle();
  for (let count = 0; count < 3000; count += 1) ports.send('/dev/flood', `${'x'.repeat(999)}\n`);
  ports.send('/dev/calm', 'steady\n');
  expect(serial.status().map((port) => [port.state, port.isPaused])).toEqual([
    ['missing', false],
    ['open', true],
    ['open', false],
  ]);
  fake.commit();
  expect(values(fake)).toContain('steady');
  const metric = serial.metrics().find(({ name }) => name === 'serial_port_open');
  expect(metric?.samples).toEqual([
    { labels: { port: 'missing' }, value: 0 },
    { labels: { port: 'flood' }, value: 1 },
    { labels: { port: 'calm' }, value: 1 },
  ]);
});

test.each<[Partial<PortSettings>[], RegExp]>([
  [[{ path: undefined }], /neither a path nor usb/],
  [[{ flowControl: 'rtscts', rts: 'off' }], /kernel sets RTS/],
  [[{ framing: 'fixed', length: 2, sync: 'aabbcc' }], /3 sync bytes do not fit/],
  [[{ framing: 'length-prefixed', sync: 'aa' }], /do not fit before its length/],
  [[{ framing: 'length-prefixed', frameMax: '1B' }], /no room for a header/],
  [
    [
      { name: 'a', usb: UNO, path: undefined },
      { name: 'b', usb: UNO, path: undefined },
    ],
    /device USB 2341:0043 is used/,
  ],
  [[{ delimiter: '°°°°°°°°°' }], /more than 16 bytes/],
  [[{}, { path: '/elsewhere/usb-boiler' }], /name usb-boiler is used by another port/],
])('the settings %j are refused', async (configs, message) => {
  const fake = gatherLog();
  const clock = fakeClock();
  const trace = createTrace({ write: () => {} });
  const intake = openIntake({ log: fake.log, routes: [], nodeName: 'n', clock, trace });
  const ports = serialPorts(...configs.map((config) => ({ ...BOILER, ...config })));
  await expect(openSerial({ ports, intake, clock, trace })).rejects.toThrow(message);
});
