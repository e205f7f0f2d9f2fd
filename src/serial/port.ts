// A serial port of the operating system. The only importer of serialport, which is loaded when the first port is opened:
// a node without serial ports does not pay for it.
//
// serialport does not always notice that a device has gone: when the kernel hangs up while a read is under way, every
// further read returns zero bytes and is repeated at once, for ever. So the path is looked at once a second, and a port
// whose path has gone or names another device is closed.

import { stat } from 'node:fs/promises';
import type { SerialPort } from 'serialport';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { OUTPUT_BYTES_MAX } from './framing.ts';
import type { PortConfig } from './settings.ts';

export interface PortListener {
  /** The chunk belongs to the listener. */
  onData(chunk: Buffer): void;
  /** Called once when the device has gone; nothing is called after it, nor after close(). */
  onLost(reason: string): void;
  /** After a write() that was refused: less than half of what may wait to be sent does. */
  onDrained(): void;
}

export interface Port {
  /** Reads no more than what the port buffers (64 KiB); the rest waits in the kernel, or in the device by flow control. */
  pause(): void;
  resume(): void;
  /** Sends bytes, which must not be changed any more. False: none of them was taken, as too much waits; see onDrained. */
  write(bytes: Buffer): boolean;
  /** On return the device is free for others. Never throws. */
  close(): Promise<void>;
}

/** Why a port was not opened: there is no such path, or it is there and was refused. */
export interface Refusal {
  kind: 'missing' | 'refused';
  message: string;
}

export type OpenPort = (config: PortConfig, listener: PortListener, clock: Clock) => Promise<Port | Refusal>;

const PRESENCE_MS = 1000;

/** Opens the device of `config` for this process alone. Never throws: what may happen is a Refusal. */
export const openSerialPort: OpenPort = async (config, listener, clock) => {
  try {
    const identity = await identityOf(config.path);
    if (identity === undefined) return { kind: 'missing', message: 'no such device' };
    const port = await openDevice(config);
    return watch(port, config.path, identity, listener, clock);
  } catch (error) {
    return refusalOf(error);
  }
};

async function openDevice(config: PortConfig): Promise<SerialPort> {
  // The package's own entry would load a dozen parsers that nothing here uses: 6 MiB of memory.
  const { SerialPort } = await import('serialport/dist/serialport.js');
  const { baud, dataBits, parity, stopBits, flowControl } = config.line;
  const port = new SerialPort({
    path: config.path,
    baudRate: baud,
    dataBits,
    parity,
    stopBits,
    rtscts: flowControl === 'rtscts',
    xon: flowControl === 'xonxoff',
    xoff: flowControl === 'xonxoff',
    lock: true,
    autoOpen: false,
  });
  return new Promise((resolve, reject) => port.open((error) => (error === null ? resolve(port) : reject(error))));
}

function watch(serial: SerialPort, path: string, identity: string, listener: PortListener, clock: Clock): Port {
  let isDone = false;
  let pendingBytes = 0;
  let wasRefused = false;

  const presence = clock.every(PRESENCE_MS, () => {
    identityOf(path).then(
      (current) => (current === identity ? undefined : lost('the device has gone')),
      (error: unknown) => lost(messageOf(error)),
    );
  });

  function lost(reason: string): void {
    if (isDone) return;
    void close().then(() => listener.onLost(reason));
  }

  function close(): Promise<void> {
    isDone = true;
    presence.cancel();
    return new Promise((resolve) => {
      // A port that has closed itself answers with an error, too; either way it is closed.
      if (serial.isOpen) serial.close(() => resolve());
      else resolve();
    });
  }

  function write(bytes: Buffer): boolean {
    if (isDone || (wasRefused = pendingBytes + bytes.length > OUTPUT_BYTES_MAX)) return false;
    pendingBytes += bytes.length;
    serial.write(bytes, () => sent(bytes.length));
    return true;
  }

  function sent(bytes: number): void {
    pendingBytes -= bytes;
    if (isDone || !wasRefused || pendingBytes > OUTPUT_BYTES_MAX / 2) return;
    wasRefused = false;
    listener.onDrained();
  }

  serial.on('data', (chunk: Buffer) => {
    if (!isDone) listener.onData(chunk);
  });
  serial.on('error', (error) => lost(error.message));
  serial.on('end', () => lost('the device has ended'));
  serial.on('close', (error?: Error | null) => lost(error?.message ?? 'closed'));
  return { pause: () => void serial.pause(), resume: () => void serial.resume(), write, close };
}

/** What device a path names at present; undefined when it names none. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, rdev } = await stat(path);
    return `${dev}:${ino}:${rdev}`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV') return undefined;
    throw error;
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
