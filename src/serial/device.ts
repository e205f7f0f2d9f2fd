// One serial device at work: drives its link, cuts what comes into lines, and hands them in. Reading stops while the
// intake is full or too many of this port's lines wait for their commit; the device then waits in the kernel's buffer.
//
// An unfinished line is forgotten when the device goes. The first line after an opening may be the end of a longer one:
// nothing in a stream of lines tells.

import type { Clock, Timer } from '../clock.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import type { RecordHeader } from '../formats/batch.ts';
import type { Intake } from '../intake/intake.ts';
import type { Commit } from '../log/log.ts';
import type { Trace } from '../trace.ts';
import { createLineSplitter } from './lines.ts';
import { FIRST_LINK, step, type LinkAction, type LinkInput, type LinkState } from './link.ts';
import type { OpenPort, Port } from './port.ts';
import { readingOf } from './reading.ts';
import type { PortConfig } from './settings.ts';
import { createTaken, type TakenLine } from './taken.ts';

export interface DeviceStatus {
  name: string;
  path: string;
  state: LinkState;
  /** How long it has been in this state. */
  sinceMs: number;
  /** True while reading is held back. */
  isPaused: boolean;
  /** Lines and their bytes taken in. */
  lines: number;
  bytes: number;
  /** Lines that were longer than allowed. */
  overlong: number;
  /** Lines that were not UTF-8 where they should be. */
  invalid: number;
  /** Bytes that wait for their commit. */
  waitingBytes: number;
  /** How often the port was opened. */
  openings: number;
  lastError?: string;
}

export interface Device {
  status(): DeviceStatus;
  /** Closes the port for good. On return it is free, and nothing more is taken from it. */
  stop(): Promise<void>;
  /** Resolves when every line that was taken is committed. */
  whenCommitted(): Promise<void>;
  /** Forgets lines that were not committed. */
  close(): void;
}

export interface DeviceNeeds {
  config: PortConfig;
  intake: Intake;
  clock: Clock;
  trace: Trace;
  openPort: OpenPort;
  /** From 0 to 1. */
  random: () => number;
}

/** Bytes of lines of one port that may wait for their commits. */
const TAKEN_BYTES_MAX = 1024 * 1024;

export function openDevice(needs: DeviceNeeds): Device {
  const { config, intake, clock, trace } = needs;
  const name = Buffer.from(config.name);
  const headers: RecordHeader[] = [{ key: 'serial.port', value: name }];
  const splitter = createLineSplitter(config);
  const taken = createTaken({ accept, clock, bytesMax: TAKEN_BYTES_MAX, onFailure });
  const stopping = new AbortController();
  let link = FIRST_LINK;
  let sinceMs = clock.monotonicMs();
  let port: Port | undefined;
  let attempt: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let due: Timer | undefined;
  let isPaused = false;
  let lines = 0;
  let bytes = 0;
  let invalid = 0;
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
    }
    act(action);
  }

  /** One line a change that matters: not for each attempt while a device stays away. */
  function tell(before: LinkState): void {
    const fields = { port: config.name, path: config.path };
    if (link.state === 'open') trace.info('serial port is open', fields);
    else if (link.state === 'lost') trace.warn('serial port is lost', { ...fields, reason: lastError });
    else if (before === 'opening' && link.failures === 1) {
      trace.warn('serial port cannot be opened, trying on', { ...fields, reason: lastError });
    }
  }

  function act(action: LinkAction): void {
    if (action.kind === 'open') attempt = tryToOpen();
    else if (action.kind === 'wait') due = clock.after(action.delayMs, () => move('due'));
    else if (action.kind === 'shut') shut();
  }

  async function tryToOpen(): Promise<void> {
    const opened = await needs.openPort(config, { onData, onLost }, clock);
    if ('kind' in opened) {
      move(opened.kind, opened.message);
      return;
    }
    port = opened;
    openings += 1;
    move('opened');
    if (link.state === 'open' && isPaused) port.pause();
    throttle();
  }

  function shut(): void {
    due?.cancel();
    closing = port?.close();
    port = undefined;
  }

  function onLost(reason: string): void {
    port = undefined;
    const forgotten = splitter.reset();
    if (forgotten > 0) trace.info('an unfinished line was forgotten', { port: config.name, bytes: forgotten });
    move('lost', reason);
  }

  function onData(chunk: Buffer): void {
    const timestampMs = clock.wallMs();
    const before = splitter.overlong();
    splitter.push(chunk, (line) => take(line, timestampMs));
    if (splitter.overlong() !== before) trace.limited('serial line is too long', { port: config.name });
    throttle();
  }

  function take(line: Buffer, timestampMs: number): void {
    const { key, value, isValid } = readingOf(line, config, name);
    if (!isValid) {
      invalid += 1;
      trace.limited('serial line is not UTF-8', { port: config.name });
      if (config.invalid === 'drop') return;
    }
    lines += 1;
    bytes += value.length;
    taken.add({ key, value, timestampMs });
  }

  function accept({ key, value, timestampMs }: TakenLine): Commit | undefined {
    try {
      return intake.accept({ topic: config.topic, key, value, headers, timestampMs, door: 'serial' });
    } catch (error) {
      if (!isHeadwaterError(error, 'RECORD_TOO_LARGE')) throw error;
      refused += 1;
      trace.limited('serial line is too long', { port: config.name, reason: error.message });
      return undefined;
    }
  }

  function onFailure(error: unknown): void {
    lastError = messageOf(error);
    trace.limited('serial lines wait to be handed in again', { port: config.name, reason: lastError });
  }

  function throttle(): void {
    if (isPaused || !(taken.isFull() || intake.isFull())) return;
    isPaused = true;
    port?.pause();
    void resumeWhenRoom();
  }

  async function resumeWhenRoom(): Promise<void> {
    do {
      await taken.whenRoom();
      await intake.whenRoom(stopping.signal);
    } while (taken.isFull());
    isPaused = false;
    port?.resume();
  }

  attempt = tryToOpen();
  return {
    status: () => ({
      name: config.name,
      path: config.path,
      state: link.state,
      sinceMs: clock.monotonicMs() - sinceMs,
      isPaused,
      lines,
      bytes,
      overlong: splitter.overlong() + refused,
      invalid,
      waitingBytes: taken.bytes(),
      openings,
      ...(lastError !== undefined && { lastError }),
    }),
    async stop() {
      stopping.abort();
      move('stop');
      await attempt;
      await closing;
    },
    whenCommitted: () => taken.whenEmpty(),
    close: () => taken.close(),
  };
}
