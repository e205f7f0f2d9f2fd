// Serial ports without an operating system: the test plugs devices in and out, and speaks as them.

import { OUTPUT_BYTES_MAX } from '../../src/serial/framing.ts';
import type { OpenPort, Port, PortListener, Refusal } from '../../src/serial/port.ts';

export interface FakePorts {
  openPort: OpenPort;
  plug(path: string): void;
  /** The device goes; whoever had it open is told. */
  unplug(path: string): void;
  /** From here on an attempt to open is refused so. Undefined: not any more. */
  refuse(path: string, message: string | undefined): void;
  /** Sends as the device. Nothing is delivered while the port is paused: it waits, as in the kernel. */
  send(path: string, bytes: Buffer | string): void;
  /** What was written into the port since the last call. */
  sent(path: string): Buffer;
  /** From here on nothing that is written leaves, or, with false, all that waits does. */
  deafen(path: string, isDeaf: boolean): void;
  isOpen(path: string): boolean;
  isPaused(path: string): boolean;
  /** Attempts to open so far. */
  attempts: number;
}

interface Device {
  isPlugged: boolean;
  refusal: string | undefined;
  sent: Buffer[];
  isDeaf: boolean;
  opened: { listener: PortListener; isPaused: boolean; waiting: Buffer[] } | undefined;
}

export function fakePorts(): FakePorts {
  const devices = new Map<string, Device>();

  function deviceAt(path: string): Device {
    let device = devices.get(path);
    if (device === undefined)
      devices.set(
        path,
        (device = { isPlugged: false, refusal: undefined, sent: [], isDeaf: false, opened: undefined }),
      );
    return device;
  }

  function open(path: string, listener: PortListener): Port | Refusal {
    const device = deviceAt(path);
    if (!device.isPlugged) return { kind: 'missing', message: 'no such device' };
    if (device.refusal !== undefined) return { kind: 'refused', message: device.refusal };
    const opened = { listener, isPaused: false, waiting: [] as Buffer[] };
    device.opened = opened;
    return {
      path,
      usb: undefined,
      pause: () => void (opened.isPaused = true),
      resume() {
        opened.isPaused = false;
        for (let chunk = opened.waiting.shift(); chunk !== undefined; chunk = opened.waiting.shift()) {
          listener.onData(chunk);
          if (opened.isPaused) return;
        }
      },
      write(bytes) {
        const whole = device.sent.reduce((total, { length }) => total + length, bytes.length);
        if (device.isDeaf && whole > OUTPUT_BYTES_MAX) return false;
        device.sent.push(bytes);
        return true;
      },
      flush: () => Promise.resolve(),
      close() {
        device.opened = undefined;
        return Promise.resolve();
      },
    };
  }

  const ports: FakePorts = {
    attempts: 0,
    openPort(config, listener) {
      ports.attempts += 1;
      return Promise.resolve(open(config.path!, listener));
    },
    plug: (path) => void (deviceAt(path).isPlugged = true),
    unplug(path) {
      const device = deviceAt(path);
      const { opened } = device;
      device.isPlugged = false;
      device.opened = undefined;
      opened?.listener.onLost('unplugged');
    },
    refuse: (path, message) => void (deviceAt(path).refusal = message),
    send(path, bytes) {
      const { opened } = deviceAt(path);
      if (opened === undefined) return;
      if (opened.isPaused) opened.waiting.push(Buffer.from(bytes));
      else opened.listener.onData(Buffer.from(bytes));
    },
    sent: (path) => Buffer.concat(deviceAt(path).sent.splice(0)),
    deafen(path, isDeaf) {
      const device = deviceAt(path);
      device.isDeaf = isDeaf;
      if (!isDeaf) device.opened?.listener.onDrained();
    },
    isOpen: (path) => deviceAt(path).opened !== undefined,
    isPaused: (path) => deviceAt(path).opened?.isPaused === true,
  };
  return ports;
}
