// The serial door: any number of ports whose bytes become records. A port that is missing at start or goes away is tried
// again for ever; none of them can keep the others, or the start of the node, from working.

import type { Clock } from '../clock.ts';
import type { FollowCommands } from '../commands/commands.ts';
import type { Intake } from '../intake/intake.ts';
import { counter, gauge, type Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { openDevice, type Device, type DeviceStatus } from './device.ts';
import { openSerialPort, type OpenPort } from './port.ts';
import { portConfigs, type SerialPort } from './settings.ts';

export type { DeviceStatus } from './device.ts';

export interface SerialNeeds {
  ports: readonly SerialPort[];
  intake: Intake;
  /** How a framing gets the commands of a topic. Only tests whose framings take none leave it out. */
  follow?: FollowCommands;
  clock: Clock;
  trace: Trace;
  /** For tests: what opens a port instead of the operating system. */
  openPort?: OpenPort;
}

export interface Serial {
  /** In the order of the configuration. */
  status(): DeviceStatus[];
  metrics(): Metric[];
  /** Stops reading. On return the ports are free and every record taken from them is committed, or five seconds are over. */
  stopIntake(): Promise<void>;
  /** The same, and forgets what was not committed. */
  close(): Promise<void>;
}

const STOP_MS = 5000;

/** Returns at once: the ports open in the background. Throws CONFIG_INVALID. */
export async function openSerial(needs: SerialNeeds): Promise<Serial> {
  const { intake, follow, clock, openPort = openSerialPort } = needs;
  const trace = needs.trace.room('serial');
  const configs = portConfigs(needs.ports);
  const devices = configs.map((config) =>
    openDevice({ config, intake, follow, clock, trace, openPort, random: Math.random }),
  );

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

  return { status, metrics: () => [...metricsOf(status()), ...framingMetrics(devices)], stopIntake, close };
}

/** Those of the framings: ports of the same framing share a metric, told apart by their label. */
function framingMetrics(devices: readonly Device[]): Metric[] {
  const metrics = new Map<string, Metric>();
  for (const device of devices) {
    const port = device.status().name;
    for (const metric of device.metrics()) {
      const samples = metric.samples.map(({ labels, value }) => ({ labels: { port, ...labels }, value }));
      const shared = metrics.get(metric.name);
      if (shared === undefined) metrics.set(metric.name, { ...metric, samples });
      else shared.samples.push(...samples);
    }
  }
  return [...metrics.values()];
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
      'serial_records_total',
      'Records taken in.',
      each((port) => port.records),
    ),
    counter(
      'serial_bytes_total',
      'Bytes of the records taken in.',
      each((port) => port.bytes),
    ),
    counter(
      'serial_received_bytes_total',
      'Bytes that came over the line.',
      each((port) => port.received),
    ),
    counter(
      'serial_sent_bytes_total',
      'Bytes that were sent over the line.',
      each((port) => port.sent),
    ),
    counter(
      'serial_overlong_total',
      'Records that were longer than allowed.',
      each((port) => port.overlong),
    ),
    counter(
      'serial_invalid_total',
      'Lines or frames that were not as they should be.',
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
