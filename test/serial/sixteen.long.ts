// A million frames through sixteen ports at once into a real log, while half of the ports are unplugged at random: what
// the process read is stored, once and in order, and the ports that nobody touched have every frame. Needs script(1) of
// util-linux, python3 or socat.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openIntake, type IntakeRoom } from '../../src/intake/intake.ts';
import { openSerialPort, type OpenPort } from '../../src/serial/port.ts';
import { openSerial } from '../../src/serial/serial.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { openLogFolder, readAll, silent, type OpenLogFolder } from '../log/open-log.ts';
import { openPty, type Pty } from '../parts/pty.ts';
import { serialPorts, type PortSettings } from '../parts/serial-settings.ts';
import { pause, until } from '../parts/until.ts';

const PORTS = 16;
const FRAMES = 1_000_000 / PORTS;
/** The first so many ports are unplugged, the others are not. */
const VICTIMS = 8;

/** A framing, how a frame is written in it, and where the frames are in what was read, found in another way than ours. */
interface Kind {
  settings: Record<string, unknown>;
  frame(text: string): string;
  frames(stream: string): string[];
}

const KINDS: Kind[] = [
  {
    settings: { framing: 'lines' },
    frame: (text) => `${text}\r\n`,
    frames: (stream) => stream.match(/\d+(?=\r\n)/g) ?? [],
  },
  {
    settings: { framing: 'delimited', delimiter: '00' },
    frame: (text) => `${text}\0`,
    frames: (stream) => stream.split('\0').slice(0, -1),
  },
  {
    settings: { framing: 'fixed', length: 10, sync: 'aa', idle: '10s' },
    frame: (text) => `\xaa${text.padStart(9, '0')}`,
    frames: (stream) => stream.match(/(?<=\xaa)\d{9}/g) ?? [],
  },
  {
    settings: { framing: 'length-prefixed', lengthBytes: 1, sync: 'aa55', lengthOffset: 2, idle: '10s' },
    frame: (text) => `\xaa\x55${String.fromCharCode(text.length)}${text}`,
    // A stream may end in the middle of the sync bytes, right behind a frame that is all there.
    frames: (stream) => stream.replace(/\xaa$/, '').split('\xaa\x55').flatMap(whole),
  },
];

/** The text behind a length, unless it is not all there. */
function whole(part: string): string[] {
  const text = part.slice(1);
  return part !== '' && text.length === part.charCodeAt(0) ? [text] : [];
}

let opened: OpenLogFolder;
let intake: IntakeRoom;
const ptys: Pty[] = [];

beforeEach(async () => {
  opened = await openLogFolder({ commitIntervalMs: 20, commitBurstMs: 1000 });
  intake = openIntake({ log: opened.log, routes: [], nodeName: 'n', clock: systemClock, trace: silent });
});

afterEach(async () => {
  await Promise.all(ptys.splice(0).map((pty) => pty.close()));
  intake.close();
  await opened.remove();
});

/** What the operating system gave of each port, one stream for each opening. */
function recorder(): { openPort: OpenPort; streams: Map<string, Buffer[][]> } {
  const streams = new Map<string, Buffer[][]>();
  return {
    streams,
    openPort(config, listener, clock, known) {
      const chunks: Buffer[] = [];
      streams.set(config.name, [...(streams.get(config.name) ?? []), chunks]);
      const onData = (chunk: Buffer): void => {
        chunks.push(Buffer.from(chunk));
        listener.onData(chunk);
      };
      return openSerialPort(config, { ...listener, onData }, clock, known);
    },
  };
}

test('a million frames through sixteen ports, half of them unplugged at random', async () => {
  const random = openRandom(printedSeed('serial sixteen'));
  for (let index = 0; index < PORTS; index += 1) ptys.push(await openPty());
  const kindOf = (index: number): Kind => KINDS[index % KINDS.length]!;
  const settings = ptys.map((pty, index): PortSettings => {
    return { path: pty.path, name: `p${index}`, topic: `t${index}`, ...kindOf(index).settings };
  });
  const { openPort, streams } = recorder();
  const ports = serialPorts(...settings);
  const serial = await openSerial({ ports, intake, clock: systemClock, trace: silent, openPort });
  await until('all ports are open', () => serial.status().every(({ state }) => state === 'open'));

  const away = new Set<number>();
  let writing = PORTS;
  async function speak(index: number): Promise<void> {
    const { frame } = kindOf(index);
    for (let next = 0; next < FRAMES;) {
      const end = Math.min(FRAMES, next + 100 + random.below(400));
      const frames = Array.from({ length: end - next }, (_, at) => frame(String(next + at)));
      await ptys[index]!.write(Buffer.from(frames.join(''), 'latin1'));
      next = end;
      // In all about ten seconds: time for several unpluggings.
      await pause(random.below(80));
      // A device that was unplugged does not go on before it is plugged in again.
      while (away.has(index)) await pause(20);
    }
    writing -= 1;
  }
  async function unplugAgain(index: number): Promise<number> {
    let count = 0;
    for (;;) {
      await until('it is open', () => serial.status()[index]?.state === 'open');
      await pause(random.below(500));
      if (writing === 0) return count;
      away.add(index);
      await ptys[index]!.unplug();
      await until('it is lost', () => serial.status()[index]?.state !== 'open');
      await ptys[index]!.replug();
      away.delete(index);
      count += 1;
    }
  }
  const victims = ptys.slice(0, VICTIMS).map((_, index) => unplugAgain(index));
  await Promise.all(ptys.map((_, index) => speak(index)));
  const unplugs = await Promise.all(victims);

  const calm = (): boolean =>
    serial
      .status()
      .slice(VICTIMS)
      .every(({ records }) => records === FRAMES);
  await until('the others have all their frames', calm, 120_000, () => JSON.stringify(serial.status().slice(VICTIMS)));
  let readBefore = -1;
  await until('nothing more comes from the victims', async () => {
    const read = serial.status().reduce((total, { received }) => total + received, 0);
    const isQuiet = read === readBefore;
    readBefore = read;
    await pause(500);
    return isQuiet;
  });
  await serial.stopIntake();
  const status = serial.status();
  await serial.close();

  let stored = 0;
  for (let index = 0; index < PORTS; index += 1) {
    const records = await readAll(opened.log.ensureTopic(`t${index}`).partitions[0]!);
    const numbers = records.map(({ value }) => Number(value!.toString('latin1').replace('\xaa', '')));
    stored += numbers.length;
    if (index >= VICTIMS) {
      expect(numbers).toEqual(Array.from({ length: FRAMES }, (_, number) => number));
      expect(status[index]).toMatchObject({ openings: 1, overlong: 0, invalid: 0, records: FRAMES });
    } else {
      const read = (streams.get(`p${index}`) ?? []).map((chunks) =>
        kindOf(index).frames(Buffer.concat(chunks).toString('latin1')).map(Number),
      );
      expect(numbers).toEqual(read.flat());
      // What came before an opening is dropped by the kernel at any byte: of lines the first may be half a one.
      const certain = read.flatMap((opening) => opening.slice(1));
      expect(certain.every((number, at) => at === 0 || number > certain[at - 1]!)).toBe(true);
    }
  }
  const openings = status.slice(0, VICTIMS).map((port) => port.openings);
  console.log(JSON.stringify({ frames: FRAMES * PORTS, stored, unplugs, openings }));
  expect(Math.min(...unplugs)).toBeGreaterThan(1);
});
