// One serial device at work: its framing makes records of what comes, and they are handed in. Reading stops while the intake is full or too many of this port's records wait for their commit; the device then waits in the
// kernel's buffer.

import type { Clock } from '../clock.ts';
import type { FollowCommands } from '../commands/commands.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import type { RecordHeader } from '../formats/batch.ts';
import type { Intake } from '../intake/intake.ts';
import type { Commit } from '../log/log.ts';
import type { Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import type { DeviceMemory } from './bridge/memory.ts';
import { openConnection, type ConnectionStatus } from './connection.ts';
import type { FramedRecord, LineDevice } from './framing.ts';
import { openFraming } from './framings.ts';
import { createMonitor, type Monitor } from './monitor.ts';
import type { OpenPort, Port } from './port.ts';
import type { PortConfig } from './settings.ts';
import { createTaken, type TakenRecord } from './taken.ts';
import { problemsOf } from './words.ts';

export interface DeviceStatus extends ConnectionStatus {
  name: string;
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
  /** What needs somebody's attention, one sentence each. */
  problems: string[];
  /** The devices behind the port, where the framing knows them. */
  devices?: LineDevice[];
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
  let last: { own: RecordHeader[]; all: RecordHeader[] } | undefined;
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
    showFrame,
    follow: needs.follow,
    deviceMemory: needs.deviceMemory,
  });
  const taken = createTaken({ accept, clock, bytesMax: TAKEN_BYTES_MAX, onFailure });
  const stopping = new AbortController();
  const monitor = createMonitor(clock);
  let isPaused = false;
  let records = 0;
  let bytes = 0;
  let received = 0;
  let sent = 0;
  let heardAtMs: number | undefined;
  let refused = 0;
  /** What keeps records from the card, as long as it does. */
  let failure: string | undefined;

  function onState(state: string, reason: string | undefined): void {
    if (!monitor.isOn()) return;
    monitor.add({ atMs: clock.wallMs(), kind: 'state', state, ...(reason !== undefined && { reason }) });
  }

  function onOpened(port: Port): void {
    if (isPaused && framing.pacesItself !== true) port.pause();
    framing.opened();
    throttle();
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
    if (connection.port()?.write(data) !== true) return false;
    sent += data.length;
    if (monitor.isOn()) monitor.add({ atMs: clock.wallMs(), kind: 'sent', data });
    return true;
  }

  function showFrame(way: 'received' | 'sent', words: () => string): void {
    if (monitor.isOn()) monitor.add({ atMs: clock.wallMs(), kind: 'frame', way, words: words() });
  }

  function send(data: Buffer): string | undefined {
    if (framing.isMaster === true) return `framing: ${config.framing.kind} speaks to this device by itself`;
    const { state, lastError } = connection.status();
    if (state !== 'open') return `the port is ${state}${lastError === undefined ? '' : `: ${lastError}`}`;
    return write(data) ? undefined : 'too many bytes wait to be sent';
  }

  function take(record: FramedRecord): void {
    records += 1;
    bytes += record.value.length;
    const full = filled(record);
    const { topic, key, value, timestampMs } = full;
    if (monitor.isOn()) monitor.add({ atMs: timestampMs, kind: 'record', topic, key, data: value });
    taken.add(full);
    throttle();
  }

  /** The same object: there are many, and each lives until its commit. */
  function filled(record: FramedRecord): TakenRecord {
    if (record.key === undefined) record.key = name;
    record.topic ??= config.topic;
    record.headers = record.headers === undefined ? headers : joined(record.headers);
    if (clock.doubt !== undefined) record.doubt = clock.doubt;
    return record as TakenRecord;
  }

  /** Behind those of the port; made once for records that share theirs. */
  function joined(own: RecordHeader[]): RecordHeader[] {
    if (last?.own !== own) last = { own, all: [...headers, ...own] };
    return last.all;
  }

  function accept(record: TakenRecord): Commit | undefined {
    const { topic, key, value, headers, timestampMs, isTimeGiven = false, doubt, receipt } = record;
    try {
      const taken = { topic, key, value, headers, timestampMs, isTimeGiven, doubt, door: 'serial' };
      return intake.accept(taken, receipt?.marks());
    } catch (error) {
      if (!isHeadwaterError(error, 'RECORD_TOO_LARGE')) throw error;
      refused += 1;
      trace.limited('serial record is too long', { port: config.name, reason: error.message });
      return undefined;
    }
  }

  function onFailure(error: unknown): void {
    failure = messageOf(error);
    trace.limited('serial records wait to be handed in again', { port: config.name, reason: failure });
  }

  function throttle(): void {
    if (isPaused || !(taken.isFull() || intake.isFull())) return;
    isPaused = true;
    if (framing.pacesItself !== true) connection.port()?.pause();
    void resumeWhenRoom();
  }

  async function resumeWhenRoom(): Promise<void> {
    do {
      await taken.whenRoom();
      await intake.whenRoom(stopping.signal);
    } while (taken.isFull());
    isPaused = false;
    connection.port()?.resume();
    framing.room?.();
  }

  function status(): DeviceStatus {
    const { overlong, invalid, frames, devices, details, problems = [] } = framing.status();
    const waitingBytes = taken.bytes();
    const facts = {
      ...connection.status(),
      ...(waitingBytes > 0 && failure !== undefined && { lastError: failure }),
      isPaused,
      records,
      received,
      ...(heardAtMs !== undefined && { heardMs: clock.monotonicMs() - heardAtMs }),
      overlong: overlong + refused,
      invalid,
    };
    const told = { isMaster: framing.isMaster === true, ...(frames !== undefined && { frames }) };
    return {
      name: config.name,
      framing: config.framing.kind,
      ...facts,
      bytes,
      sent,
      waitingBytes,
      problems: [...problemsOf({ ...facts, ...told }), ...problems],
      ...(devices !== undefined && { devices }),
      ...(details !== undefined && { details }),
    };
  }

  const { openPort, random } = needs;
  const connection = openConnection({
    config,
    openPort,
    clock,
    trace,
    random,
    onOpened,
    onData,
    onDrained: () => framing.drained?.(),
    lull: (msMax) => intake.lull(msMax),
    onLost: () => framing.lost(),
    onState,
  });
  return {
    monitor,
    send,
    status,
    metrics: () => framing.metrics?.() ?? [],
    async stop() {
      stopping.abort();
      const stopped = connection.stop();
      framing.stop();
      monitor.close();
      await stopped;
    },
    whenCommitted: () => taken.whenEmpty(),
    close: () => taken.close(),
  };
}
