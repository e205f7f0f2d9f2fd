// A board in QEMU that runs a program of firmware-bridge, for long tests: its UART is an end for a relay (serial-relay.ts) or
// a bus (serial-bus.ts), its reset and its power are switched here. A reset keeps RAM, so that what the program has put
// into .noinit, and the flash that ports/cortex-m/simulated.c makes of it, survive as they do on a chip.
//
//   QEMU: UART <-- stdio --> here       monitor (QMP) <-- socket in a temporary folder --> here

import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import type { RelayEnd } from './serial-relay.ts';
import { until } from './until.ts';

const LIBRARY = join(import.meta.dirname, '../../firmware-bridge');

/** Boards that ports/ has, and where their startup code looks for the chip's number. */
const UID_ADDRESSES = { stm32vldiscovery: 0x2000_1ff0, 'mps2-an385': 0x203f_fff0 };
export type Machine = keyof typeof UID_ADDRESSES;
export type Program = 'thermometer' | 'pulse-counter' | 'rs485-node' | 'relay';

export interface Board extends RelayEnd {
  /** As the configuration and the records have it: hex, lower case. */
  readonly uid: string;
  resets(): number;
  /** Presses the reset button. RAM keeps its content; on return the program begins again. */
  reset(): Promise<void>;
  /** Pulls the power plug: RAM is forgotten. */
  powerOff(): Promise<void>;
  /** Power on: the program begins. Rejects if QEMU can't be run. */
  powerOn(): Promise<void>;
  /** Power off, and the temporary folder goes. */
  close(): Promise<void>;
}

/** Makes programs in a folder of their own, with a reading each `readingMs`, by the library's own Makefile. Throws with its words. */
export async function makePrograms(folder: string, readingMs: number, of: [Machine, Program][]): Promise<void> {
  const targets = of.map(([machine, program]) => elfOf(folder, machine, program));
  const settings = [`B=${folder}`, `READING_MS=${readingMs}`];
  await promisify(execFile)('make', ['-C', LIBRARY, '--no-print-directory', ...settings, ...targets]);
}

export function elfOf(folder: string, machine: Machine, program: Program): string {
  return join(folder, machine, `${program}.elf`);
}

// A test that ends in the middle of things leaves no emulator behind.
const running = new Set<Emulator>();
process.once('exit', () => {
  for (const emulator of running) emulator.kill('SIGKILL');
});

type Emulator = ChildProcessByStdio<Writable, Readable, Readable>;

/** The uid of a chip with that number, 0 to 2^32 - 1. */
export function uidOf(number: number): string {
  const uid = Buffer.alloc(8);
  uid.writeUInt32LE(number, 0);
  uid.writeUInt32LE(0x0b0a_4d51, 4);
  return uid.toString('hex');
}

/** Power is on when it resolves. `number` is the chip's. */
export async function openBoard(machine: Machine, elf: string, number: number): Promise<Board> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-board-'));
  const uid = uidOf(number);
  const listeners = new Set<(bytes: Buffer) => void>();
  let emulator: Emulator | undefined;
  let monitor: Socket | undefined;
  let resets = 0;

  async function powerOn(): Promise<void> {
    if (emulator !== undefined) return;
    const path = join(folder, 'monitor');
    await rm(path, { force: true });
    const loader = `loader,addr=0x${UID_ADDRESSES[machine].toString(16)},data=0x${Buffer.from(uid, 'hex').readBigUInt64LE().toString(16)},data-len=8`;
    const args = ['-M', machine, '-kernel', elf, '-device', loader, '-display', 'none'];
    const started = spawn(
      'qemu-system-arm',
      [
        ...args,
        '-chardev',
        'stdio,id=uart,signal=off',
        '-serial',
        'chardev:uart',
        '-qmp',
        `unix:${path},server=on,wait=off`,
      ],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    emulator = started;
    running.add(started);
    let said = '';
    started.once('error', (error) => (said += `install qemu-system-arm: ${error.message}`));
    started.once('exit', () => running.delete(started));
    started.stdin.on('error', () => undefined);
    started.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    started.stdout.on('data', (bytes: Buffer) => {
      for (const listener of listeners) listener(bytes);
    });
    await until(
      'QEMU answers',
      async () => (monitor = await greeted(path)) !== undefined,
      30_000,
      () => said,
    );
  }

  async function powerOff(): Promise<void> {
    const stopped = emulator;
    emulator = undefined;
    monitor?.destroy();
    monitor = undefined;
    if (stopped === undefined || stopped.exitCode !== null || stopped.signalCode !== null) return;
    const exited = once(stopped, 'exit');
    stopped.kill('SIGKILL');
    await exited;
  }

  await powerOn();
  return {
    uid,
    resets: () => resets,
    async reset() {
      const answered = once(monitor!, 'data');
      monitor!.write('{"execute":"system_reset"}\n');
      await answered;
      resets += 1;
    },
    powerOff,
    powerOn,
    onData: (listener) => void listeners.add(listener),
    async write(bytes) {
      const stdin = emulator?.stdin;
      if (stdin !== undefined) await new Promise<void>((resolve) => void stdin.write(bytes, () => resolve()));
    },
    async close() {
      await powerOff();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** QEMU's monitor, ready for commands; undefined while it does not listen yet. */
async function greeted(path: string): Promise<Socket | undefined> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
  } catch {
    return undefined;
  }
  socket.on('error', () => undefined);
  await once(socket, 'data');
  socket.write('{"execute":"qmp_capabilities"}\n');
  await once(socket, 'data');
  return socket;
}
