// The serial door: any number of ports whose lines become records. A port that is missing at start or goes away is tried
// again for ever; none of them can keep the others, or the start of the node, from working.

import type { Clock } from '../clock.ts';
import type { Intake } from '../intake/intake.ts';
import { counter, gauge, type Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { openDevice, type DeviceStatus } from './device.ts';
import { openSerialPort, type OpenPort } from './port.ts';
import { portConfigs, type SerialPortConfig } from './settings.ts';

export type { SerialPortConfig } from './settings.ts';
export type { DeviceStatus } from './device.ts';

export interface SerialNeeds {
  ports: readonly SerialPortConfig[];
  intake: Intake;
  clock: Clock;
  trace: Trace;
  /** For tests: what opens a port instead of the operating system. */
  openPort?: OpenPort;
}

export interface Serial {
  /** In the order of the configuration. */
  status(): DeviceStatus[];
  metrics(): Metric[];
  /** Stops reading. On return the ports are free and every line taken from them is committed, or five seconds are over. */
  stopIntake(): Promise<void>;
  /** The same, and forgets what was not committed. */
  close(): Promise<void>;
}

const STOP_MS = 5000;

/** Returns at once: the ports open in the background. Throws CONFIG_INVALID. */
export async function openSerial(needs: SerialNeeds): Promise<Serial> {
  const { intake, clock, openPort = openSerialPort } = needs;
  const trace = needs.trace.room('serial');
  const configs = portConfigs(needs.ports);
  const devices = configs.map((config) => openDevice({ config, intake, clock, trace, openPort, random: Math.random }));

  function status(): DeviceStatus[] {
    return devices.map((device) => device.status());
  }

  async function stopIntake(): Promise<void> {
    await Promise.all(devices.map((device) => device.stop()));
    const over = new AbortController();
    const committed = Promise.all(devices.map((device) => device.whenCommitted()));
    await Promise.race([committed, clock.sleep(STOP_MS, over.signal)]);
    over.abort();
  }

  async function close(): Promise<void> {
    await stopIntake();
    for (const device of devices) device.close();
  }

  return { status, metrics: () => metricsOf(status()), stopIntake, close };
}

function metricsOf(ports: DeviceStatus[]): Metric[] {
  const each = (valueOf: (port: DeviceStatus) => number) =>
    ports.map((port) => ({ labels: { port: port.name }, value: valueOf(port) }));
  return [
    gauge(
      'serial_port_open',
      '1 while the serial port is open.',
      each((port) => (port.state === 'open' ? 1 : 0)),
    ),
    counter(
      'serial_lines_total',
      'Lines taken in.',
      each((port) => port.lines),
    ),
    counter(
      'serial_bytes_total',
      'Bytes of the lines taken in.',
      each((port) => port.bytes),
    ),
    counter(
      'serial_overlong_total',
      'Lines that were longer than allowed.',
      each((port) => port.overlong),
    ),
    counter(
      'serial_invalid_total',
      'Lines that were not UTF-8 where they should be.',
      each((port) => port.invalid),
    ),
    counter(
      'serial_openings_total',
      'How often the port was opened.',
      each((port) => port.openings),
    ),
    gauge(
      'serial_waiting_bytes',
      'Bytes that wait for their commit.',
      each((port) => port.waitingBytes),
    ),
  ];
}
