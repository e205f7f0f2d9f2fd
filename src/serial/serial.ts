// The serial door: any number of ports whose bytes become records. A port that is missing at start or goes away is tried
// again for ever; none of them can keep the others, or the start of the node, from working.

import type { Clock } from '../clock.ts';
import type { FollowCommands } from '../commands/commands.ts';
import { HeadwaterError } from '../errors.ts';
import type { Intake } from '../intake/intake.ts';
import { counter, gauge, type Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { openDeviceMemory, type DeviceMarks } from './bridge/memory.ts';
import { openDevice, type Device, type DeviceStatus } from './device.ts';
import type { EventsPage } from './monitor.ts';
import { openSerialPort, type OpenPort } from './port.ts';
import { portConfigs, type SerialPort } from './settings.ts';

export { monitorPort, sendToPort } from './alone.ts';
export type { DeviceStatus } from './device.ts';
export type { EventsPage } from './monitor.ts';
export { listPlugged, type PluggedPort } from './plugged.ts';
export { tryDecoding, type Trial } from './trial.ts';

export interface SerialNeeds {
  ports: readonly SerialPort[];
  intake: Intake;
  /** How a framing gets the commands of a topic. Only tests whose framings take none leave it out. */
  follow?: FollowCommands;
  /** The log's marks: what is remembered of bridge devices. Only tests without such a port leave it out. */
  marks?: DeviceMarks;
  clock: Clock;
  trace: Trace;
  /** For tests: what opens a port instead of the operating system. */
  openPort?: OpenPort;
}

export interface Serial {
  /** In the order of the configuration. */
  status(): DeviceStatus[];
  metrics(): Metric[];
  /** What happens at a port, see Monitor. Throws PORT_MISSING when no port has this name. */
  events(name: string, from: number | undefined, waitMs: number, signal: AbortSignal): Promise<EventsPage>;
  /** Sends bytes to the device of a port. Throws PORT_MISSING, and PORT_REFUSED with the reason. */
  send(name: string, data: Buffer): void;
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
  const deviceMemory = needs.marks && openDeviceMemory(needs.marks);
  const devices = configs.map((config) =>
    openDevice({ config, intake, follow, deviceMemory, clock, trace, openPort, random: Math.random }),
  );

  function status(): DeviceStatus[] {
    return devices.map((device) => device.status());
  }

  function deviceOf(name: string): Device {
    const device = devices[configs.findIndex((config) => config.name === name)];
    if (device !== undefined) return device;
    const names = configs.map((config) => config.name).join(', ') || 'none';
    throw new HeadwaterError('PORT_MISSING', `there is no serial port ${JSON.stringify(name)}; there are ${names}`);
  }

  function send(name: string, data: Buffer): void {
    const refusal = deviceOf(name).send(data);
    if (refusal !== undefined) throw new HeadwaterError('PORT_REFUSED', `serial port ${name}: ${refusal}`);
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

  return {
    status,
    metrics: () => [...metricsOf(status()), ...framingMetrics(devices)],
    events: async (name, from, waitMs, signal) => deviceOf(name).monitor.read(from, waitMs, signal),
    send,
    stopIntake,
    close,
  };
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
      'serial_silent_seconds',
      'Time since the device was last heard; not there if it never was.',
      ports.flatMap(({ name, heardMs }) => {
        return heardMs === undefined ? [] : [{ labels: { port: name }, value: heardMs / 1000 }];
      }),
    ),
    gauge(
      'serial_waiting_bytes',
      'Bytes that wait for their commit.',
      each((port) => port.waitingBytes),
    ),
  ];
}
