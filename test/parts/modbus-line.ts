// A Modbus line without hardware: pymodbus as its units behind one pseudo terminal, headwater's port as another, and between
// them a relay that spoils answers as a test wants. pymodbus lies in .parts/python/pymodbus, where .ci/run puts it.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPty, type Pty } from './pty.ts';

const PYMODBUS = join(import.meta.dirname, '../../.parts/python/pymodbus');
const UNITS = [1, 2, 3];
const SERVER = join(import.meta.dirname, 'modbus_server.py');

/** What becomes of an answer: its bytes, or others, each piece after so many milliseconds. */
export type Spoil = (answer: Buffer) => { bytes: Buffer; afterMs: number }[];

export interface ModbusLine {
  /** The port for headwater. */
  readonly path: string;
  /** From here on. */
  spoil(by: Spoil): void;
  /** Requests that went over the line, and answers of the units, spoilt or not. */
  readonly requests: Buffer[];
  readonly answers: Buffer[];
  /** Writes that unit 2 carried out, as `function address values`. */
  writes(): Promise<string[]>;
  close(): Promise<void>;
}

export const unspoilt: Spoil = (bytes) => [{ bytes, afterMs: 0 }];

export async function openModbusLine(): Promise<ModbusLine> {
  if (!existsSync(PYMODBUS)) {
    throw new Error(`no pymodbus: python3 -m pip install --target ${PYMODBUS} pymodbus==3.16.1 pyserial==3.5`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'headwater-modbus-'));
  const file = join(folder, 'writes');
  const [ours, theirs] = [await openPty(), await openPty()];
  const server = await serve(theirs, file);
  const requests: Buffer[] = [];
  const answers: Buffer[] = [];
  const pending = new Set<NodeJS.Timeout>();
  let spoil = unspoilt;

  ours.onData((bytes) => {
    requests.push(bytes);
    void theirs.write(bytes);
  });
  onFrames(theirs, pending, (answer) => {
    // pymodbus refuses in the name of units that do not exist; an empty place on a line says nothing.
    if (!UNITS.includes(answer[0]!)) return;
    answers.push(answer);
    for (const { bytes, afterMs } of spoil(answer)) later(afterMs, () => void ours.write(bytes));
  });

  function later(afterMs: number, fn: () => void): void {
    const timer = setTimeout(() => {
      pending.delete(timer);
      fn();
    }, afterMs);
    pending.add(timer);
  }

  return {
    path: ours.path,
    requests,
    answers,
    spoil: (by) => void (spoil = by),
    async writes() {
      const text = await readFile(file, 'utf8').catch(() => '');
      return text.split('\n').filter((line) => line !== '');
    },
    async close() {
      for (const timer of pending) clearTimeout(timer);
      const gone = once(server, 'exit');
      server.kill('SIGKILL');
      await gone;
      await ours.close();
      await theirs.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Frames end where the line is silent. */
function onFrames(pty: Pty, pending: Set<NodeJS.Timeout>, onFrame: (frame: Buffer) => void): void {
  let held: Buffer[] = [];
  let timer: NodeJS.Timeout | undefined;
  pty.onData((bytes) => {
    held.push(bytes);
    if (timer !== undefined) {
      clearTimeout(timer);
      pending.delete(timer);
    }
    timer = setTimeout(() => {
      pending.delete(timer!);
      const frame = Buffer.concat(held);
      held = [];
      onFrame(frame);
    }, 4);
    pending.add(timer);
  });
}

async function serve(pty: Pty, file: string): Promise<ChildProcess> {
  const env = { ...process.env, PYTHONPATH: PYMODBUS };
  const server = spawn('python3', [SERVER, pty.path, file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  process.once('exit', () => void server.kill('SIGKILL'));
  let said = '';
  server.stderr.on('data', (bytes: Buffer) => void (said = (said + bytes.toString()).slice(-4000)));
  const first = once(server.stdout, 'data');
  const ended = once(server, 'exit').then(() => Promise.reject(new Error(`pymodbus has ended: ${said}`)));
  ended.catch(() => undefined);
  await Promise.race([first, ended]);
  return server;
}
