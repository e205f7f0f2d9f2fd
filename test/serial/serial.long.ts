// Serial lines over pseudo terminals, into a real log: what was fully received is there once and in order, whatever
// happens to the device. Needs script(1) of util-linux, python3 and socat.

import { execFileSync } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openIntake, type IntakeRoom } from '../../src/intake/intake.ts';
import { createLineSplitter } from '../../src/serial/lines.ts';
import { openSerialPort, portOpener, type OpenPort } from '../../src/serial/port.ts';
import { openSerial, type Serial } from '../../src/serial/serial.ts';
import type { LogRecord } from '../../src/formats/batch.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { openLogFolder, readAll, silent, type OpenLogFolder } from '../log/open-log.ts';
import { openPty, type Pty, type PtyTool } from '../parts/pty.ts';
import { openSysfs } from '../parts/sysfs.ts';
import { serialPorts, type PortSettings } from '../parts/serial-settings.ts';

let opened: OpenLogFolder;
let intake: IntakeRoom;
const ptys: Pty[] = [];
const rooms: Serial[] = [];

beforeEach(async () => {
  opened = await openLogFolder({ commitIntervalMs: 20, commitBurstMs: 1000 });
  const { log } = opened;
  intake = openIntake({ log, routes: [], nodeName: 'n', clock: systemClock, trace: silent });
});

afterEach(async () => {
  for (const serial of rooms.splice(0)) await serial.close();
  for (const pty of ptys.splice(0)) await pty.close();
  intake.close();
  await opened.remove();
});

async function plug(tool?: PtyTool): Promise<Pty> {
  const pty = await openPty(tool && [tool]);
  ptys.push(pty);
  return pty;
}

async function serve(ports: PortSettings[], openPort: OpenPort = openSerialPort): Promise<Serial> {
  const serial = await openSerial({
    ports: serialPorts(...ports),
    intake,
    clock: systemClock,
    trace: silent,
    openPort,
  });
  rooms.push(serial);
  return serial;
}

function records(topic: string): Promise<LogRecord[]> {
  return readAll(opened.log.ensureTopic(topic).partitions[0]!);
}

async function values(topic: string): Promise<string[]> {
  return (await records(topic)).map((record) => record.value!.toString('latin1'));
}

async function until(what: string, isSo: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  for (const startMs = Date.now(); !(await isSo());) {
    if (Date.now() - startMs > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await systemClock.sleep(5);
  }
}

function isIn(serial: Serial, state: string, port = 0): Promise<void> {
  return until(`port ${port} is ${state}`, () => serial.status()[port]?.state === state);
}

/** Remembers what the operating system gave, cut into lines by themselves for each opening. */
function recorder(): { openPort: OpenPort; received(): string[] } {
  const openings: Buffer[][] = [];
  return {
    openPort(config, listener, clock) {
      const chunks: Buffer[] = [];
      openings.push(chunks);
      const onData = (chunk: Buffer): void => {
        chunks.push(Buffer.from(chunk));
        listener.onData(chunk);
      };
      return openSerialPort(config, { ...listener, onData }, clock);
    },
    received() {
      const texts = openings.map((chunks) => Buffer.concat(chunks).toString('latin1'));
      return texts.flatMap((text) => text.split('\n').slice(0, -1)).filter((line) => line !== '');
    },
  };
}

function* numbered(bytes: number, from = 0): Generator<string> {
  for (let index = from; ; index += 1) yield `${index} `.padEnd(bytes, 'x') + '\n';
}

test.each<PtyTool>(['script', 'python3', 'socat'])(
  'through unplugging at random under load nothing fully received is lost or doubled, order is kept (%s)',
  async (tool) => {
    const random = openRandom(printedSeed('serial unplug'));
    const pty = await plug(tool);
    const { openPort, received } = recorder();
    const serial = await serve([{ path: pty.path, topic: 'readings' }], openPort);
    const lines = numbered(40);
    let isOver = false;
    const load = (async () => {
      while (!isOver) {
        await pty.write(Array.from({ length: 1 + random.below(50) }, () => lines.next().value as string).join(''));
        await systemClock.sleep(random.below(3));
      }
    })();
    for (let round = 0; round < 12; round += 1) {
      await isIn(serial, 'open');
      await systemClock.sleep(random.below(300));
      await pty.unplug();
      await isIn(serial, 'lost');
      await systemClock.sleep(random.below(500));
      await pty.replug();
    }
    await isIn(serial, 'open');
    await systemClock.sleep(100);
    isOver = true;
    await load;
    await serial.stopIntake();
    const stored = await values('readings');
    expect(stored.length).toBeGreaterThan(500);
    expect(stored).toEqual(received());
    expect(serial.status()[0]).toMatchObject({ openings: 13, waitingBytes: 0, records: stored.length });
  },
);

test('a flood of 20 MB is held back rather than lost while commits are slow', async () => {
  const pty = await plug();
  const serial = await serve([{ path: pty.path, topic: 'flood' }]);
  await isIn(serial, 'open');
  const lines = numbered(199);
  const count = 100_000;
  for (let sent = 0; sent < count; sent += 100) {
    await pty.write(Array.from({ length: 100 }, () => lines.next().value as string).join(''));
    expect(serial.status()[0]?.waitingBytes).toBeLessThan(1.5 * 1024 * 1024);
  }
  await until('all lines are in', () => serial.status()[0]?.records === count);
  await serial.stopIntake();
  const numbers = (await values('flood')).map((value) => Number.parseInt(value, 10));
  expect(numbers).toEqual(Array.from({ length: count }, (_, index) => index));
});

test('a line of a megabyte, and five megabytes of noise, break nothing', async () => {
  const random = openRandom(printedSeed('serial noise'));
  const pty = await plug();
  const serial = await serve([{ path: pty.path, topic: 'noise', lineMax: '1000B' }]);
  await isIn(serial, 'open');
  await pty.write('before\n');
  await pty.write(Buffer.alloc(1024 * 1024, 'y'));
  await pty.write('\nafter the long line\n');
  const noise = random.bytes(5 * 1024 * 1024);
  await pty.write(noise);
  await pty.write('\nafter the noise\n');
  await until('the last line is in', async () => (await values('noise')).at(-1) === 'after the noise');
  const alone = createLineSplitter({ delimiter: Buffer.from('\n'), lineBytesMax: 1000, overlong: 'drop' });
  const expected: string[] = [];
  alone.push(Buffer.concat([noise, Buffer.from('\n')]), (line) => expected.push(line.toString('latin1')));
  const stored = await values('noise');
  expect(stored.slice(0, 2)).toEqual(['before', 'after the long line']);
  expect(stored.slice(2, -1)).toEqual(expected);
  expect(serial.status()[0]).toMatchObject({ state: 'open', overlong: 1 + alone.overlong() });
  expect(serial.status()[0]?.invalid).toBeGreaterThan(1000);
});

test('of several ports one floods, one is missing, and the calm ones lose nothing', async () => {
  const [flood, calmA, calmB] = [await plug(), await plug(), await plug()];
  const serial = await serve([
    { path: flood.path, name: 'flood', topic: 'flood' },
    { path: '/dev/headwater-is-not-there', name: 'missing', topic: 'missing' },
    { path: calmA.path, name: 'a', topic: 'calm' },
    { path: calmB.path, name: 'b', topic: 'calm' },
  ]);
  for (const port of [0, 2, 3]) await isIn(serial, 'open', port);
  let isOver = false;
  const load = (async () => {
    const chunk = `${'x'.repeat(99)}\n`.repeat(600);
    while (!isOver) await flood.write(chunk);
  })();
  for (let index = 0; index < 200; index += 1) {
    await Promise.all([calmA.write(`a${index}\n`), calmB.write(`b${index}\n`)]);
    await systemClock.sleep(5);
  }
  await until('calm lines are in', () => serial.status()[2]?.records === 200 && serial.status()[3]?.records === 200);
  isOver = true;
  await load;
  await serial.stopIntake();
  const calm = await values('calm');
  for (const name of ['a', 'b']) {
    const ofPort = calm.filter((value) => value.startsWith(name));
    expect(ofPort).toEqual(Array.from({ length: 200 }, (_, index) => `${name}${index}`));
  }
  expect(serial.status().map((port) => port.openings)).toEqual([1, 0, 1, 1]);
});

test('a device that goes while its port is not being read is noticed, and costs no processor', async () => {
  const pty = await plug();
  let isFull = false;
  const room = { resolve: (): void => undefined };
  const held = {
    ...intake,
    isFull: () => isFull,
    whenRoom: () => new Promise<void>((resolve) => (room.resolve = resolve)),
  };
  const serial = await openSerial({
    ports: serialPorts({ path: pty.path, topic: 't' }),
    intake: held,
    clock: systemClock,
    trace: silent,
  });
  rooms.push(serial);
  await isIn(serial, 'open');
  isFull = true;
  await pty.write('one\n');
  await until('the port is paused', () => serial.status()[0]?.isPaused === true);
  await pty.write(`${'x'.repeat(99)}\n`.repeat(5000));
  await pty.unplug();
  isFull = false;
  room.resolve();
  await isIn(serial, 'lost');
  const before = process.cpuUsage();
  await systemClock.sleep(1000);
  const { user, system } = process.cpuUsage(before);
  // A read that is repeated for ever takes all of a core.
  expect((user + system) / 1000).toBeLessThan(500);
});

test('a port that is open elsewhere is refused with that reason, and opened when it is free', async () => {
  const pty = await plug();
  const first = await serve([{ path: pty.path, topic: 'first' }]);
  await isIn(first, 'open');
  const second = await serve([{ path: pty.path, topic: 'second' }]);
  await isIn(second, 'refused');
  expect(second.status()[0]?.lastError).toBe('in use by another process');
  await first.close();
  await isIn(second, 'open');
  await pty.write('to the second\n');
  await until('the line is in', async () => (await values('second'))[0] === 'to the second');
});

test('a port is opened as it is set, at any baud', async () => {
  const pty = await plug();
  const line = { baud: 74_880, stopBits: 2, flowControl: 'xonxoff' };
  await isIn(await serve([{ path: pty.path, topic: 't', ...line }]), 'open');
  // A pseudo terminal has eight data bits and no parity whatever it is told.
  expect(termiosOf(pty.path)).toEqual({ speed: 74_880, stopBits: 2, xonxoff: true, hupcl: true });
});

test('what stands between silences is a record', async () => {
  const pty = await plug();
  const serial = await serve([{ path: pty.path, topic: 'gaps', framing: 'idle-gap', gap: '30ms' }]);
  await isIn(serial, 'open');
  const frames = Array.from({ length: 20 }, (_, index) => `frame ${index} `.padEnd(20 + index * 100, 'x'));
  for (const [index, frame] of frames.entries()) {
    await pty.write(frame);
    await until('the silence is noticed', () => serial.status()[0]?.records === index + 1);
  }
  await serial.stopIntake();
  expect(await values('gaps')).toEqual(frames);
});

test('HUPCL may be left off', async () => {
  const pty = await plug();
  await isIn(await serve([{ path: pty.path, topic: 't', hupcl: false, baud: 9600 }]), 'open');
  expect(termiosOf(pty.path)).toMatchObject({ speed: 9600, hupcl: false });
});

test('a device without DTR that is to be set is refused, with what to do, and is free again', async () => {
  const pty = await plug();
  const first = await serve([{ path: pty.path, topic: 't', dtr: 'off' }]);
  await isIn(first, 'refused');
  expect(first.status()[0]?.lastError).toMatch(/DTR and RTS cannot be set .*leave dtr and rts out/);
  await first.close();
  await isIn(await serve([{ path: pty.path, topic: 't' }]), 'open');
});

test('USB devices that come back under another number are found, and none gets the port of another', async () => {
  const sysfs = await openSysfs();
  const [uno, meter] = [await plug(), await plug()];
  const ids = { uno: { vid: '2341', pid: '0043', serial: 'A1' }, meter: { vid: '0403', pid: '6001', serial: 'M7' } };
  const nodes = { uno: await realpath(uno.path), meter: await realpath(meter.path) };
  await sysfs.plug({ tty: 'ttyUSB0', ...ids.uno, node: nodes.uno });
  await sysfs.plug({ tty: 'ttyUSB1', ...ids.meter, node: nodes.meter });
  const serial = await serve(
    [
      { usb: ids.uno, name: 'uno', topic: 'uno' },
      { path: join(sysfs.roots.dev, 'ttyUSB1'), name: 'meter', topic: 'meter' },
    ],
    portOpener(sysfs.roots),
  );
  for (const port of [0, 1]) await isIn(serial, 'open', port);
  await uno.write('u1\n');
  await meter.write('m1\n');
  await until('both are heard', () => serial.status().every(({ records }) => records === 1));

  for (const tty of ['ttyUSB0', 'ttyUSB1']) await sysfs.unplug(tty);
  for (const port of [0, 1]) await isIn(serial, 'lost', port);
  await sysfs.plug({ tty: 'ttyUSB1', ...ids.uno, node: nodes.uno });
  await sysfs.plug({ tty: 'ttyUSB0', ...ids.meter, node: nodes.meter });
  await isIn(serial, 'open', 0);
  await isIn(serial, 'refused', 1);
  expect(serial.status()[0]).toMatchObject({ path: join(sysfs.roots.dev, 'ttyUSB1'), usb: ids.uno });
  expect(serial.status()[1]?.lastError).toMatch(/should be USB 0403:6001 serial M7 interface 0, as before/);
  await uno.write('u2\n');
  await meter.write('lost\n');
  await until('the Uno is heard', () => serial.status()[0]?.records === 2);

  for (const tty of ['ttyUSB0', 'ttyUSB1']) await sysfs.unplug(tty);
  await isIn(serial, 'lost', 0);
  await sysfs.plug({ tty: 'ttyUSB0', ...ids.uno, node: nodes.uno });
  await sysfs.plug({ tty: 'ttyUSB1', ...ids.meter, node: nodes.meter });
  for (const port of [0, 1]) await isIn(serial, 'open', port);
  await serial.stopIntake();
  expect(await values('uno')).toEqual(['u1', 'u2']);
  expect((await values('meter'))[0]).toBe('m1');
  await sysfs.remove();
});

/** What the kernel says of a terminal: termios2 of Linux. */
function termiosOf(path: string): unknown {
  return JSON.parse(execFileSync('python3', ['-c', TERMIOS, path], { encoding: 'utf8' }));
}

const TERMIOS = `
import fcntl, json, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
iflag, oflag, cflag, lflag, line, cc, ispeed, ospeed = struct.unpack('IIIIB19sII', fcntl.ioctl(fd, 0x802C542A, bytes(44)))
print(json.dumps({'speed': ospeed, 'stopBits': 2 if cflag & 0o100 else 1,
  'xonxoff': iflag & 0o12000 == 0o12000, 'hupcl': cflag & 0o2000 != 0}))
`;
