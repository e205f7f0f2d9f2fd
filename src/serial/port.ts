// A serial port of the operating system. The only importer of serialport, which is loaded when the first port is opened:
// a node without serial ports does not pay for it.
//
// A device that goes is mostly noticed by reading. Not always: nothing is read from a port that is held back. So the path is
// looked at once a second, and a port whose path has gone or names another device is closed.

import { readSync, writeSync } from 'node:fs';
import type { SerialPort } from 'serialport';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { OUTPUT_BYTES_MAX } from './framing.ts';
import type { LineConfig, PortConfig } from './settings.ts';
import type { UsbIdentity } from './usb.ts';
import { findDevice, lookAt, ROOTS, type Place, type Refusal, type Roots } from './whereabouts.ts';

export type { Refusal } from './whereabouts.ts';

export interface PortListener {
  /** The chunk belongs to the listener. */
  onData(chunk: Buffer): void;
  /** Called once when the device has gone; nothing is called after it, nor after close(). */
  onLost(reason: string): void;
  /** After a write() that was refused: less than half of what may wait to be sent does. */
  onDrained(): void;
  /** For how many milliseconds, up to `msMax`, nothing is gained by reading: what comes would only wait in here. */
  lull(msMax: number): number;
}

export interface Port {
  readonly path: string;
  /** What is behind it, if that is a USB device. */
  readonly usb: UsbIdentity | undefined;
  /** Reads no more; what comes waits in the kernel (4 KiB), or in the device by flow control. */
  pause(): void;
  resume(): void;
  /** Sends bytes, which must not be changed any more. False: none of them was taken, as too much waits; see onDrained. */
  write(bytes: Buffer): boolean;
  /** Resolves when all that was written has left, or when the port is closed. */
  flush(): Promise<void>;
  /** On return the device is free for others. Never throws. */
  close(): Promise<void>;
}

/** Opens a port's device. `known` is what it was when it was open before: another one is refused. */
export type OpenPort = (
  config: PortConfig,
  listener: PortListener,
  clock: Clock,
  known?: UsbIdentity,
) => Promise<Port | Refusal>;

const PRESENCE_MS = 1000;
/** What a kernel keeps of a port is 4 KiB. */
const READ_BYTES = 4096;
/** How long bytes of a steady stream gather in the kernel before they are read: at 1 Mbaud some 500 of them. */
const GATHER_MS = 5;
/** And how long while there is nothing to gain by reading them, if the line is slow enough for the kernel to hold them. */
const LULL_MS = 20;
const LULL_BYTES = READ_BYTES / 2;
const BITS_A_BYTE = 10;
/** Long enough for the capacitor by which boards couple DTR to their reset. */
const PULSE_MS = 100;

/** Opens the device of `config` for this process alone. Never throws: what may happen is a Refusal. */
export const openSerialPort: OpenPort = portOpener(ROOTS);

export function portOpener(roots: Roots): OpenPort {
  return async (config, listener, clock, known) => {
    try {
      const place = await findDevice(config, known, roots);
      if ('kind' in place) return place;
      const serial = await openDevice(place.path, config.line);
      const wrong = await checkAndSet(serial, place, config, { clock, known, roots });
      if (wrong === undefined) return watch(serial, place, listener, { clock, baud: config.line.baud });
      await close(serial);
      return wrong;
    } catch (error) {
      return refusalOf(error);
    }
  };
}

async function openDevice(path: string, line: LineConfig): Promise<SerialPort> {
  // The package's own entry would load a dozen parsers that nothing here uses: 6 MiB of memory.
  const { SerialPort } = await import('serialport/dist/serialport.js');
  const { baud, dataBits, parity, stopBits, flowControl, hupcl } = line;
  const port = new SerialPort({
    path,
    baudRate: baud,
    dataBits,
    parity,
    stopBits,
    rtscts: flowControl === 'rtscts',
    xon: flowControl === 'xonxoff',
    xoff: flowControl === 'xonxoff',
    hupcl,
    lock: true,
    autoOpen: false,
  });
  return new Promise((resolve, reject) => port.open((error) => (error === null ? resolve(port) : reject(error))));
}

/** What is left to do before a port that is open is in use: undefined when all is well. */
async function checkAndSet(
  serial: SerialPort,
  place: Place,
  config: PortConfig,
  needs: { clock: Clock; known: UsbIdentity | undefined; roots: Roots },
): Promise<Refusal | undefined> {
  // Between the look and the opening another device may have come in its place.
  const now = await findDevice({ ...config, path: place.path }, needs.known, needs.roots);
  if ('kind' in now) return now;
  if (now.node !== place.node) return { kind: 'missing', message: 'another device came while it was opened' };
  const { dtr, rts } = config.line;
  if (dtr === 'on' && rts === 'on') return undefined;
  try {
    await setSignals(serial, { dtr: dtr === 'on', rts: rts === 'on' });
    if (dtr !== 'pulse') return undefined;
    await needs.clock.sleep(PULSE_MS);
    await setSignals(serial, { dtr: true, rts: rts === 'on' });
    return undefined;
  } catch (error) {
    return {
      kind: 'refused',
      message: `its DTR and RTS cannot be set (${messageOf(error)}): leave dtr and rts out if the device has none`,
    };
  }
}

function setSignals(serial: SerialPort, signals: { dtr: boolean; rts: boolean }): Promise<void> {
  return new Promise((resolve, reject) =>
    serial.set(signals, (error) => (error === null || error === undefined ? resolve() : reject(error))),
  );
}

/** On return the device is free. Never throws. */
function close(serial: SerialPort): Promise<void> {
  return new Promise((resolve) => {
    // A port that has closed itself answers with an error, too; either way it is closed.
    if (serial.isOpen) serial.close(() => resolve());
    else resolve();
  });
}

function watch(
  serial: SerialPort,
  { path, node, usb }: Place,
  listener: PortListener,
  { clock, baud }: { clock: Clock; baud: number },
): Port {
  const binding = serial.port as unknown as UnixBinding;
  const lullMs = Math.min(LULL_MS, (LULL_BYTES * BITS_A_BYTE * 1000) / baud);
  let isDone = false;
  let pendingBytes = 0;
  let wasRefused = false;

  const presence = clock.every(PRESENCE_MS, () => {
    lookAt(path).then(
      (current) => (current?.node === node ? undefined : lost('the device has gone')),
      (error: unknown) => lost(messageOf(error)),
    );
  });

  function lost(reason: string): void {
    if (isDone) return;
    void shut().then(() => listener.onLost(reason));
  }

  function shut(): Promise<void> {
    isDone = true;
    presence.cancel();
    return close(serial);
  }

  function write(bytes: Buffer): boolean {
    if (isDone || (wasRefused = pendingBytes + bytes.length > OUTPUT_BYTES_MAX)) return false;
    // Mostly all of it fits the kernel's buffer at once; the package writes what does not.
    const rest = pendingBytes === 0 ? bytes.subarray(writeNow(binding, bytes)) : bytes;
    if (rest.length === 0) return true;
    pendingBytes += rest.length;
    serial.write(rest, () => sent(rest.length));
    return true;
  }

  function sent(bytes: number): void {
    pendingBytes -= bytes;
    if (isDone || !wasRefused || pendingBytes > OUTPUT_BYTES_MAX / 2) return;
    wasRefused = false;
    listener.onDrained();
  }

  function flush(): Promise<void> {
    return new Promise((resolve) => serial.drain(() => resolve()));
  }

  const reading = readOn(binding, clock, {
    onData: (chunk) => listener.onData(chunk),
    gatherMs: () => Math.max(GATHER_MS, listener.lull(lullMs)),
    onEnd: (error) => lost(messageOf(error)),
    isDone: () => isDone,
  });
  serial.on('error', (error) => lost(error.message));
  serial.on('close', (error?: Error | null) => lost(error?.message ?? 'closed'));
  return { pause: reading.pause, resume: reading.resume, write, flush, close: shut, path, usb };
}

/** What the package's binding is on every Unix, beyond what its interface tells. */
interface UnixBinding {
  fd: number | null;
  /** Emits once for each call; with an error when the port is closed. */
  poller: { once(event: 'readable', listener: (error: Error | null) => void): unknown };
}

/**
 * Reads until the port is closed. The package's own stream costs a buffer of 64 KiB, a way through the thread pool and some
 * 20 us for each chunk, and a device that sends steadily makes a chunk of every few bytes. So the descriptor, which never
 * blocks, is read when it is readable, into one buffer; and while chunks follow one another closely, the next one is left
 * to gather for a moment.
 */
function readOn(
  binding: UnixBinding,
  clock: Clock,
  needs: {
    onData: (chunk: Buffer) => void;
    onEnd: (error: unknown) => void;
    gatherMs: () => number;
    isDone: () => boolean;
  },
): { pause: () => void; resume: () => void } {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let isPaused = false;
  let resumed: (() => void) | undefined;

  async function read(): Promise<void> {
    let lastMs = -Infinity;
    while (!needs.isDone()) {
      if (isPaused) await new Promise<void>((resolve) => (resumed = resolve));
      await readable(binding);
      if (clock.monotonicMs() - lastMs < GATHER_MS * 2) await clock.sleep(needs.gatherMs());
      // Both may have changed while it waited.
      if (needs.isDone() || isPaused) continue;
      const count = readNow(binding, buffer);
      if (count > 0) needs.onData(Buffer.from(buffer.subarray(0, count)));
      lastMs = count < READ_BYTES / 2 ? clock.monotonicMs() : -Infinity;
    }
  }

  read().catch((error: unknown) => {
    if (!needs.isDone()) needs.onEnd(error);
  });
  return {
    pause: () => void (isPaused = true),
    resume() {
      isPaused = false;
      resumed?.();
    },
  };
}

function readable({ poller }: UnixBinding): Promise<void> {
  return new Promise((resolve, reject) => {
    poller.once('readable', (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Bytes that were there; 0 if none were. Throws when the device has gone. */
function readNow({ fd }: UnixBinding, buffer: Buffer): number {
  if (fd === null) return 0;
  try {
    const count = readSync(fd, buffer, 0, buffer.length, null);
    // A terminal that is readable and has nothing to read has been hung up.
    if (count === 0) throw new Error('the device has gone');
    return count;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}

/** How many of the bytes the kernel has taken; what is wrong with the port, if anything, the package's own write tells. */
function writeNow({ fd }: UnixBinding, bytes: Buffer): number {
  if (fd === null) return 0;
  try {
    return writeSync(fd, bytes, 0, bytes.length, null);
  } catch {
    return 0;
  }
}

/** serialport tells what went wrong in words only. */
function refusalOf(error: unknown): Refusal {
  const message = messageOf(error);
  if (/no such (file|device)/i.test(message)) return { kind: 'missing', message: 'no such device' };
  if (/cannot lock port/i.test(message)) return { kind: 'refused', message: 'in use by another process' };
  if (/permission denied/i.test(message)) {
    return {
      kind: 'refused',
      message: 'permission denied: the user must be in the group of the device, often dialout',
    };
  }
  if (/inappropriate ioctl/i.test(message)) return { kind: 'refused', message: 'not a serial device' };
  return { kind: 'refused', message: message.replace(/^Error:? /, '') };
}
