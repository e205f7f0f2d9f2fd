// One serial device at work: drives its link, lets its framing make records of what comes, and hands them in. Reading
// stops while the intake is full or too many of this port's records wait for their commit; the device then waits in the
// kernel's buffer.

import type { Clock, Timer } from '../clock.ts';
import type { FollowCommands } from '../commands/commands.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import type { RecordHeader } from '../formats/batch.ts';
import type { Intake } from '../intake/intake.ts';
import type { Commit } from '../log/log.ts';
import type { Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import type { DeviceMemory } from './bridge/memory.ts';
import type { FramedRecord } from './framing.ts';
import { openFraming } from './framings.ts';
import { createMonitor, type Monitor } from './monitor.ts';
import { FIRST_LINK, step, type LinkAction, type LinkInput, type LinkState } from './link.ts';
import type { OpenPort, Port } from './port.ts';
import type { PortConfig } from './settings.ts';
import { createTaken, type TakenRecord } from './taken.ts';
import { wordsOf, type UsbIdentity } from './usb.ts';
import { problemsOf } from './words.ts';

export interface DeviceStatus {
  name: string;
  /** Where it is, or, of a USB device that was not found yet, what it is. */
  path: string;
  /** The USB device that it is, or was when it was last open. */
  usb?: UsbIdentity;
  state: LinkState;
  /** How long it has been in this state. */
  sinceMs: number;
  framing: string;
  /** True while reading is held back. */
  isPaused: boolean;
  /** Records and the bytes of their values taken in. */
  records: number;
  bytes: number;
  /** Bytes that came over the line, and that were sent. */
  received: number;
  sent: number;
  /** How long ago the device was last heard; not there if it never was. */
  heardMs?: number;
  /** Records that were longer than allowed. */
  overlong: number;
  /** What came and was not as it should be. */
  invalid: number;
  /** Bytes that wait for their commit. */
  waitingBytes: number;
  /** How often the port was opened. */
  openings: number;
  lastError?: string;
  /** What needs somebody's attention, one sentence each. */
  problems: string[];
  /** What else the framing has to say. */
  details?: Record<string, unknown>;
}

export interface Device {
  /** Looks on at the port. */
  readonly monitor: Monitor;
  /** Sends bytes of somebody's choice, if the framing does not speak to the device itself; else says why not. */
  send(data: Buffer): string | undefined;
  status(): DeviceStatus;
  /** Of its framing, beyond what is in the status. */
  metrics(): Metric[];
  /** Closes the port for good. On return it is free, and nothing more is taken from it. */
  stop(): Promise<void>;
  /** Resolves when every record that was taken is committed. */
  whenCommitted(): Promise<void>;
  /** Forgets records that were not committed. */
  close(): void;
}

export interface DeviceNeeds {
  config: PortConfig;
  intake: Intake;
  follow: FollowCommands | undefined;
  deviceMemory: DeviceMemory | undefined;
  clock: Clock;
  trace: Trace;
  openPort: OpenPort;
  /** From 0 to 1. */
  random: () => number;
}

/** Bytes of records of one port that may wait for their commits. */
const TAKEN_BYTES_MAX = 1024 * 1024;

export function openDevice(needs: DeviceNeeds): Device {
  const { config, intake, clock, trace } = needs;
  const name = Buffer.from(config.name);
  const headers: RecordHeader[] = [{ key: 'serial.port', value: name }];
  const framing = openFraming(config, {
    portName: config.name,
    clock,
    trace,
    take,
    isFull() {
      // Whoever is told so is told of room, too.
      throttle();
      return isPaused;
    },
    write,
    follow: needs.follow,
    deviceMemory: needs.deviceMemory,
  });
  const taken = createTaken({ accept, clock, bytesMax: TAKEN_BYTES_MAX, onFailure });
  const stopping = new AbortController();
  const monitor = createMonitor(clock);
  let link = FIRST_LINK;
  let sinceMs = clock.monotonicMs();
  let port: Port | undefined;
  let path = config.path ?? (config.usb === undefined ? '' : wordsOf(config.usb));
  let known: UsbIdentity | undefined;
  let attempt: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let due: Timer | undefined;
  let isPaused = false;
  let records = 0;
  let bytes = 0;
  let received = 0;
  let sent = 0;
  let heardAtMs: number | undefined;
  let refused = 0;
  let openings = 0;
  let lastError: string | undefined;

  function move(input: LinkInput, reason?: string): void {
    const before = link.state;
    const { link: next, action } = step(link, input, needs.random());
    link = next;
    if (reason !== undefined) lastError = reason;
    if (before !== link.state) {
      sinceMs = clock.monotonicMs();
      tell(before);
      showState(reason);
    }
    act(action);
  }

  /** One line a change that matters: not for each attempt while a device stays away. */
  function tell(before: LinkState): void {
    const fields = { port: config.name, path };
    if (link.state === 'open') trace.info('serial port is open', fields);
    else if (link.state === 'lost') trace.warn('serial port is lost', { ...fields, reason: lastError });
    else if (before === 'opening' && link.failures === 1) {
      trace.warn('serial port cannot be opened, trying on', { ...fields, reason: lastError });
    }
  }

  function showState(reason: string | undefined): void {
    if (!monitor.isOn()) return;
    const { state } = link;
    monitor.add({ atMs: clock.wallMs(), kind: 'state', state, ...(reason !== undefined && { reason }) });
  }

  function act(action: LinkAction): void {
    if (action.kind === 'open') attempt = tryToOpen();
    else if (action.kind === 'wait') due = clock.after(action.delayMs, () => move('due'));
    else if (action.kind === 'shut') shut();
  }

  async function tryToOpen(): Promise<void> {
    const opened = await needs.openPort(config, { onData, onLost, onDrained: () => framing.drained?.() }, clock, known);
    if ('kind' in opened) {
      move(opened.kind, opened.message);
      return;
    }
    port = opened;
    path = opened.path;
    known ??= opened.usb;
    openings += 1;
    move('opened');
    if (link.state !== 'open') return;
    if (isPaused && framing.pacesItself !== true) port.pause();
    framing.opened();
    throttle();
  }

  function shut(): void {
    due?.cancel();
    closing = port?.close();
    port = undefined;
  }

  function onLost(reason: string): void {
    port = undefined;
    framing.lost();
    move('lost', reason);
  }

  function onData(chunk: Buffer): void {
    received += chunk.length;
    heardAtMs = clock.monotonicMs();
    const atMs = clock.wallMs();
    if (monitor.isOn()) monitor.add({ atMs, kind: 'received', data: chunk });
    framing.chunk(chunk, atMs);
    throttle();
  }

  function write(data: Buffer): boolean {
    if (link.state !== 'open' || port?.write(data) !== true) return false;
    sent += data.length;
    if (monitor.isOn()) monitor.add({ atMs: clock.wallMs(), kind: 'sent', data });
    return true;
  }

  function send(data: Buffer): string | undefined {
    if (framing.isMaster === true) return `framing: ${config.framing.kind} speaks to this device by itself`;
    if (link.state !== 'open') return `the port is ${link.state}${lastError === undefined ? '' : `: ${lastError}`}`;
    return write(data) ? undefined : 'too many bytes wait to be sent';
  }

  function take(record: FramedRecord): void {
    records += 1;
    bytes += record.value.length;
    const { key = name, topic = config.topic, value, timestampMs } = record;
    if (monitor.isOn()) monitor.add({ atMs: timestampMs, kind: 'record', topic, key, data: value });
    taken.add({
      ...record,
      key,
      topic,
      headers: record.headers === undefined ? headers : [...headers, ...record.headers],
    });
    throttle();
  }

  function accept(record: TakenRecord): Commit | undefined {
    const { topic, key, value, timestampMs } = record;
    try {
      return intake.accept({ topic, key, value, headers: record.headers, timestampMs, door: 'serial' }, record.marks);
    } catch (error) {
      if (!isHeadwaterError(error, 'RECORD_TOO_LARGE')) throw error;
      refused += 1;
      trace.limited('serial record is too long', { port: config.name, reason: error.message });
      return undefined;
    }
  }

  function onFailure(error: unknown): void {
    lastError = messageOf(error);
    trace.limited('serial records wait to be handed in again', { port: config.name, reason: lastError });
  }

  function throttle(): void {
    if (isPaused || !(taken.isFull() || intake.isFull())) return;
    isPaused = true;
    if (framing.pacesItself !== true) port?.pause();
    void resumeWhenRoom();
  }

  async function resumeWhenRoom(): Promise<void> {
    do {
      await taken.whenRoom();
      await intake.whenRoom(stopping.signal);
    } while (taken.isFull());
    isPaused = false;
    port?.resume();
    framing.room?.();
  }

  function status(): DeviceStatus {
    const { overlong, invalid, details, problems = [] } = framing.status();
    const nowMs = clock.monotonicMs();
    const facts = {
      state: link.state,
      sinceMs: nowMs - sinceMs,
      isPaused,
      records,
      received,
      ...(heardAtMs !== undefined && { heardMs: nowMs - heardAtMs }),
      overlong: overlong + refused,
      invalid,
      ...(lastError !== undefined && { lastError }),
    };
    return {
      name: config.name,
      path,
      ...(known !== undefined && { usb: known }),
      framing: config.framing.kind,
      ...facts,
      bytes,
      sent,
      waitingBytes: taken.bytes(),
      openings,
      problems: [...problemsOf({ ...facts, isMaster: framing.isMaster === true }), ...problems],
      ...(details !== undefined && { details }),
    };
  }

  attempt = tryToOpen();
  return {
    monitor,
    send,
    status,
    metrics: () => framing.metrics?.() ?? [],
    async stop() {
      stopping.abort();
      move('stop');
      framing.stop();
      monitor.close();
      await attempt;
      await closing;
    },
    whenCommitted: () => taken.whenEmpty(),
    close: () => taken.close(),
  };
}
