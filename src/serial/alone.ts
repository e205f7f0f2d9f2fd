// A port that no node holds, opened for one command: to look on at it, or to send something.

import type { Clock } from '../clock.ts';
import { HeadwaterError } from '../errors.ts';
import type { Intake } from '../intake/intake.ts';
import type { Commit } from '../log/log.ts';
import type { Trace } from '../trace.ts';
import { openDevice } from './device.ts';
import type { EventsPage } from './monitor.ts';
import { openSerialPort, type OpenPort, type Port } from './port.ts';
import { portConfigs, type PortConfig, type SerialPort } from './settings.ts';
import type { Refusal } from './whereabouts.ts';

export interface AloneNeeds {
  port: SerialPort;
  clock: Clock;
  trace: Trace;
  signal: AbortSignal;
  /** For tests. */
  openPort?: OpenPort;
}

const FLUSH_MS = 10_000;

/**
 * Hands on what happens at the port, with the records that its framing makes of it (of a framing that speaks to the
 * device: with what stands between silences), until `signal` aborts; a device that
 * goes away is waited for. Throws PORT_MISSING, PORT_REFUSED or NOT_PERMITTED when it cannot be opened at first.
 */
export async function monitorPort(needs: AloneNeeds, onEvents: (page: EventsPage) => Promise<void>): Promise<void> {
  const { clock, trace, signal, openPort = openSerialPort } = needs;
  const config = listening(configOf(needs.port));
  let refusal: Refusal | undefined;
  const device = openDevice({
    config,
    intake: NO_INTAKE,
    follow: undefined,
    // Nothing is acknowledged here, so nothing has to be remembered.
    deviceMemory: undefined,
    clock,
    trace,
    random: Math.random,
    async openPort(...given) {
      const opened = await openPort(...given);
      if ('kind' in opened) refusal = opened;
      return opened;
    },
  });
  try {
    let page = await device.monitor.read(undefined, 0, signal);
    while (!signal.aborted) {
      const { openings } = device.status();
      if (openings === 0 && refusal !== undefined) throw errorOf(refusal, config);
      page = await device.monitor.read(page.next, 1000, signal);
      await onEvents(page);
    }
  } finally {
    await device.stop();
    device.close();
  }
}

/** Opens the port, sends, and closes it when the bytes have left. Throws as monitorPort, and TIMED_OUT. */
export async function sendToPort(needs: AloneNeeds, data: Buffer): Promise<void> {
  const { clock, signal, openPort = openSerialPort } = needs;
  const config = configOf(needs.port);
  const quiet = { onData() {}, onLost() {}, onDrained() {}, lull: () => 0 };
  const port = await openPort(config, quiet, clock);
  if ('kind' in port) throw errorOf(port, config);
  try {
    await send(port, data, clock, signal);
  } finally {
    await port.close();
  }
}

async function send(port: Port, data: Buffer, clock: Clock, signal: AbortSignal): Promise<void> {
  if (!port.write(data)) throw new HeadwaterError('USAGE', `${data.length} bytes are too much for one sending`);
  const over = new AbortController();
  const inTime = await Promise.race([
    port.flush().then(() => true),
    clock.sleep(FLUSH_MS, AbortSignal.any([over.signal, signal])).then(() => false),
  ]);
  over.abort();
  if (!inTime) throw new HeadwaterError('TIMED_OUT', `the device took the bytes not within ${FLUSH_MS / 1000} s`);
}

/** Framings that only listen. The others speak: what is acknowledged here would be lost, and a bus has one master. */
const LISTENERS = new Set<string>(['lines', 'delimited', 'fixed', 'length-prefixed', 'idle-gap']);
const GAP_MS = 50;
const GAP_BYTES_MAX = 64 * 1024;

function listening(config: PortConfig): PortConfig {
  if (LISTENERS.has(config.framing.kind)) return config;
  const framing = { kind: 'idle-gap', idleMs: GAP_MS, frameBytesMax: GAP_BYTES_MAX, overlong: 'cut' } as const;
  // Rules for decoding are for the frames of the framing, not for what stands between silences.
  return { ...config, framing, decoding: { topic: undefined, decoder: undefined, channels: [] } };
}

function configOf(port: SerialPort): PortConfig {
  const [config] = portConfigs([port]);
  return config!;
}

function errorOf({ kind, message }: Refusal, { path, name }: PortConfig): HeadwaterError {
  const text = `${path ?? name}: ${message}`;
  if (kind === 'missing')
    return new HeadwaterError('PORT_MISSING', `${text}; \`headwater serial list\` shows what is plugged in`);
  return new HeadwaterError(message.startsWith('permission denied') ? 'NOT_PERMITTED' : 'PORT_REFUSED', text);
}

/** Takes every record, and forgets it. */
const TAKEN: Commit = { grow() {}, whenDone: (callback) => callback(), done: () => Promise.resolve() };
const NO_INTAKE: Intake = {
  acceptMqtt: () => TAKEN,
  accept: () => TAKEN,
  isFull: () => false,
  refusal: () => undefined,
  whenRoom: () => Promise.resolve(),
  lull: () => 0,
};
