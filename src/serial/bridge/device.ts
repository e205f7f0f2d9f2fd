// One device at the other end of a bridge, with its effects: runs its session (session.ts), keeps its clock, makes records
// of what it sends, and tells the session when they are committed. Frames leave by `send`; who owns the line decides when.

import assert from 'node:assert';
import type { Clock } from '../../clock.ts';
import type { RecordHeader } from '../../formats/batch.ts';
import type { BridgeRecord, Frame } from '../../formats/bridge-frame.ts';
import type { Trace } from '../../trace.ts';
import type { FramedRecord, Receipt } from '../framing.ts';
import { EMPTY_CLOCK_MAP, errorNow, moment, withAnswer } from './clock-map.ts';
import { BOOTS_MAX, encodeMark, markKey, type BootTime, type Remembered } from './memory.ts';
import type { CommandOutcome, GapReason, Input, Limits, Memory, Output } from './session-words.ts';
import { createSession, dueAtMs, step } from './session.ts';

export interface BridgeDeviceStatus {
  uid: string;
  /** The name from the configuration; the uid without one. */
  name: string;
  state: 'connected' | 'away';
  firmware: string;
  channels: string[];
  /** Of the run of sequences: which, what is taken next, and up to where all is on the card. */
  epoch: number;
  next: number;
  committed: number;
  /** Whole frames of it, and the records in them. */
  frames: number;
  records: number;
  /** Records that came again, and that came too early to be kept. */
  repeated: number;
  beyond: number;
  /** Records asked for again. */
  asked: number;
  gaps: number;
  /** Records that will never come; gaps of unknown size are not in it. */
  lostRecords: number;
  lastGap?: string;
  /** Since when it was not heard; how far off its clock may be. */
  heardMs: number;
  clockErrorMs?: number;
  sessions: number;
  commands: number;
}

export interface BridgeDevice {
  readonly uid: string;
  readonly name: string;
  /** The session's key; undefined while there is none. */
  key(): number | undefined;
  /** Names of the channels that it has given in this session; undefined while there is none. */
  channels(): ReadonlyMap<number, string> | undefined;
  apply(input: Input): void;
  /** What is to be said of its records right now; there is a session. */
  acknowledgement(): Frame;
  /** When a tick is due, by the monotonic clock; Infinity: never. */
  dueAtMs(): number;
  /** Sends a command and resolves with what came of it. */
  command(code: number, payload: Buffer, timeoutMs: number): Promise<CommandOutcome>;
  takesCommands(): boolean;
  /** Since when it was not heard. */
  heardMs(): number;
  /** True when all that was taken is on the card: another port may have the device. */
  isSettled(): boolean;
  remembered(): Remembered | undefined;
  status(): BridgeDeviceStatus;
}

export interface BridgeDeviceNeeds {
  uid: string;
  name: string;
  portName: string;
  remembered: Remembered | undefined;
  /** `{device}` and `{channel}` are replaced. */
  keyTemplate: string;
  gapsTopic: string;
  limits: () => Limits;
  send(frame: Frame, key: number): void;
  take(record: FramedRecord): void;
  /** Writes what is remembered without a record; then it is on the card. */
  keep(remembered: Remembered, then: () => void): void;
  /** All that was taken is on the card. */
  onSettled(): void;
  clock: Clock;
  trace: Trace;
}

const REASONS: Record<GapReason, string> = {
  skipped: 'the device no longer had them',
  missing: 'the device had passed them when it said hello',
  reset: 'the device lost them in a reset',
  unknown: 'the device began anew and does not know what it lost',
};

/** A wall clock before this was never set. */
const PLAUSIBLE_MS = Date.UTC(2025, 0, 1);
const CLOCK_UNKNOWN = 0xffff;
/** What a clock that somebody or something has set may be off by. */
const CLOCK_SET_ERROR_MS = 1000;

export function openBridgeDevice(needs: BridgeDeviceNeeds): BridgeDevice {
  const { uid, name, portName, clock, trace } = needs;
  let session = createSession(needs.remembered?.memory);
  let clockMap = EMPTY_CLOCK_MAP;
  let boots: readonly BootTime[] = needs.remembered?.boots ?? [];
  let firmware = '';
  let heardAtMs = clock.monotonicMs();
  // What was handed to the log and has not settled: epochs of it in order, as records settle in the order of taking.
  let unsettled = 0;
  let settled: Memory | undefined;
  // A WELCOME that builds on what is not on the card yet, and that.
  let resting: { frame: Frame; key: number } | undefined;
  let keeping: Memory | undefined;
  let isKeeping = false;
  let pending: ((outcome: CommandOutcome) => void) | undefined;
  const markName = markKey(uid);
  const keys = new Map<string, Buffer>();
  const counts = {
    frames: 0,
    records: 0,
    repeated: 0,
    beyond: 0,
    asked: 0,
    gaps: 0,
    lostRecords: 0,
    sessions: 0,
    commands: 0,
  };
  let lastGap: string | undefined;
  let lastHeaders: { channel: string; error: string; headers: RecordHeader[] } | undefined;

  function apply(input: Input): void {
    if (input.kind === 'frame') {
      counts.frames += 1;
      heardAtMs = clock.monotonicMs();
    }
    if (input.kind === 'gone') resting = undefined;
    const turn = step(session, input, needs.limits(), clock.monotonicMs());
    session = turn.session;
    for (const output of turn.outputs) act(output);
  }

  function act(output: Output): void {
    switch (output.kind) {
      case 'send':
        if (output.frame.type === 'nak') counts.asked += 1;
        if (output.kept !== undefined) keeping = output.kept;
        if (keeping === undefined || output.frame.type !== 'welcome') return needs.send(output.frame, output.key);
        resting = output;
        return keepOnceSettled();
      case 'take':
        return takeRecord(output.memory, output.channel, output.record);
      case 'gap':
        return takeGap(output);
      case 'connected':
        return connected(output.hello.name, output.hello.firmware);
      case 'disconnected':
        return trace.info('serial device is away', { port: portName, device: name, why: output.why });
      case 'clock':
        return learnTime(output.sentAtMs, output.uptimeMs);
      case 'command':
        pending?.(output.outcome);
        pending = undefined;
        return;
      case 'repeated':
        counts.repeated += output.count;
        return;
      case 'beyond':
        counts.beyond += output.count;
    }
  }

  function connected(firmwareName: string, version: string): void {
    counts.sessions += 1;
    firmware = `${firmwareName} ${version}`.trim();
    // The clock may be another one: a reset sets it to 0.
    clockMap = EMPTY_CLOCK_MAP;
    keys.clear();
    trace.info('serial device is connected', { port: portName, device: name, firmware });
  }

  function learnTime(sentAtMs: number, uptimeMs: number): void {
    const nowMs = clock.monotonicMs();
    clockMap = withAnswer(clockMap, uptimeMs, sentAtMs, nowMs);
    const boot = session.connection?.hello.boot ?? 0;
    const zero = moment(clockMap, 0, nowMs);
    // What is kept of a boot is kept over restarts: a time that nobody knows is not worth it.
    if (boot === 0 || zero === undefined || clock.doubt !== undefined) return;
    const wallAtZeroMs = clock.wallMs() - (nowMs - zero.atMs);
    const others = boots.filter((other) => other.boot !== boot);
    boots = [...others.slice(1 - BOOTS_MAX), { boot, wallAtZeroMs, errorMs: zero.errorMs }];
  }

  /** Wall time of a record and the error of it; its arrival where nothing better is known. */
  function timeOf(record: BridgeRecord): RecordTime {
    const [nowMs, wallMs] = [clock.monotonicMs(), clock.wallMs()];
    if (record.boot !== undefined) {
      const known = boots.find(({ boot }) => boot === record.boot);
      if (known === undefined) return { timestampMs: wallMs, errorMs: undefined };
      const timestampMs = Math.round(known.wallAtZeroMs + record.timeMs);
      return { timestampMs, errorMs: known.errorMs, isTimeGiven: clock.doubt !== undefined };
    }
    const at = moment(clockMap, record.timeMs, nowMs);
    if (at === undefined) return { timestampMs: wallMs, errorMs: undefined };
    // Nothing is read before it is measured: what lies ahead is the error of the mapping.
    return { timestampMs: Math.round(wallMs - Math.max(0, nowMs - at.atMs)), errorMs: at.errorMs };
  }

  function takeRecord(memory: Memory, channel: string, record: BridgeRecord): void {
    counts.records += 1;
    const { errorMs, ...time } = timeOf(record);
    const headers = headersOf(channel, errorMs === undefined ? 'unknown' : String(Math.ceil(errorMs)));
    hand({ value: record.payload, key: keyOf(channel), headers, ...time, channel }, memory);
  }

  /** The same array for records with the same headers, of which there are many: what waits for a commit stays small. */
  function headersOf(channel: string, error: string): RecordHeader[] {
    if (lastHeaders?.channel === channel && lastHeaders.error === error) return lastHeaders.headers;
    const headers = [
      { key: 'bridge.channel', value: Buffer.from(channel) },
      { key: 'time.error.ms', value: Buffer.from(error) },
    ];
    lastHeaders = { channel, error, headers };
    return headers;
  }

  function keyOf(channel: string): Buffer {
    let key = keys.get(channel);
    if (key === undefined) {
      key = Buffer.from(needs.keyTemplate.replaceAll('{device}', name).replaceAll('{channel}', channel));
      // At most 64 channels have a name at a time; a device that renames them for ever must not fill the memory.
      if (keys.size >= 64) keys.clear();
      keys.set(channel, key);
    }
    return key;
  }

  function takeGap({ memory, epoch, first, count, reason }: Extract<Output, { kind: 'gap' }>): void {
    counts.gaps += 1;
    counts.lostRecords += count ?? 0;
    lastGap = `${count ?? 'an unknown number of'} records: ${REASONS[reason]}`;
    trace.warn('serial device has a gap', { port: portName, device: name, records: count ?? 'unknown', reason });
    const what = { device: name, uid, port: portName, epoch, first, count: count ?? null, reason };
    const value = Buffer.from(JSON.stringify({ ...what, words: REASONS[reason] }));
    const wallMs = clock.wallMs();
    hand({ value, key: Buffer.from(name), topic: needs.gapsTopic, timestampMs: wallMs, isDecoded: true }, memory);
  }

  function hand(record: FramedRecord, memory: Memory): void {
    unsettled += 1;
    record.receipt = new UpTo(memory, marksOf, settle);
    needs.take(record);
  }

  function marksOf(memory: Memory): [string, Buffer][] {
    return [[markName, encodeMark({ memory, seenAtMs: clock.wallMs(), boots })]];
  }

  /** Once for all the records of a commit, when the last of them has settled. */
  function settle(memory: Memory): void {
    unsettled -= 1;
    if (settled === undefined) queueMicrotask(tellSettled);
    settled = memory;
  }

  function tellSettled(): void {
    const told = settled!;
    settled = undefined;
    apply({ kind: 'committed', epoch: told.epoch, sequence: told.next });
    // A gap took it along.
    if (told === keeping) endRest();
    keepOnceSettled();
    if (isSettled()) needs.onSettled();
  }

  const isSettled = (): boolean => unsettled === 0 && keeping === undefined;

  /** After the records before it, which are repeated with older memories if their commit fails. */
  function keepOnceSettled(): void {
    if (keeping === undefined || unsettled > 0 || isKeeping) return;
    const kept = keeping;
    isKeeping = true;
    needs.keep({ memory: kept, seenAtMs: clock.wallMs(), boots }, () => {
      isKeeping = false;
      if (keeping !== kept) return keepOnceSettled();
      endRest();
      if (isSettled()) needs.onSettled();
    });
  }

  function endRest(): void {
    keeping = undefined;
    if (resting !== undefined) needs.send(resting.frame, resting.key);
    resting = undefined;
  }

  function command(code: number, payload: Buffer, timeoutMs: number): Promise<CommandOutcome> {
    counts.commands += 1;
    return new Promise((resolve) => {
      // One at a time: the session says so, and the one under way must not lose its listener.
      if (pending !== undefined) return resolve({ kind: 'unanswered', why: 'another command is under way' });
      pending = resolve;
      apply({ kind: 'command', code, payload, timeoutMs });
    });
  }

  function remembered(): Remembered | undefined {
    const { memory } = session;
    return memory === undefined ? undefined : { memory, seenAtMs: clock.wallMs(), boots };
  }

  function status(): BridgeDeviceStatus {
    const { connection, memory, committed } = session;
    const nowMs = clock.monotonicMs();
    const clockErrorMs = errorNow(clockMap, nowMs);
    return {
      uid,
      name,
      state: connection === undefined ? 'away' : 'connected',
      firmware,
      channels: [...(connection?.channels.values() ?? [])],
      epoch: memory?.epoch ?? 0,
      next: memory?.next ?? 0,
      committed,
      ...counts,
      heardMs: nowMs - heardAtMs,
      ...(lastGap !== undefined && { lastGap }),
      ...(clockErrorMs !== undefined && { clockErrorMs: Math.ceil(clockErrorMs) }),
    };
  }

  return {
    uid,
    name,
    key: () => session.connection?.key,
    channels: () => session.connection?.channels,
    apply,
    acknowledgement() {
      const turn = step(session, { kind: 'window' }, needs.limits(), clock.monotonicMs());
      session = turn.session;
      const sent = turn.outputs.find((output) => output.kind === 'send');
      assert(sent !== undefined, 'a device is acknowledged in a session only');
      return sent.frame;
    },
    dueAtMs: () => dueAtMs(session),
    command,
    heardMs: () => clock.monotonicMs() - heardAtMs,
    takesCommands: () => session.connection?.hello.takesCommands === true,
    isSettled,
    remembered,
    status,
  };
}

interface RecordTime {
  timestampMs: number;
  errorMs: number | undefined;
  /** It was known before nobody knew the time. */
  isTimeGiven?: boolean;
}

/** The device's memory as of a record. One for each record that waits for its commit: no more than it needs. */
class UpTo implements Receipt {
  readonly #memory: Memory;
  readonly #marksOf: (memory: Memory) => [string, Buffer][];
  readonly #settle: (memory: Memory) => void;

  constructor(memory: Memory, marksOf: (memory: Memory) => [string, Buffer][], settle: (memory: Memory) => void) {
    this.#memory = memory;
    this.#marksOf = marksOf;
    this.#settle = settle;
  }

  marks(): [string, Buffer][] {
    return this.#marksOf(this.#memory);
  }

  settled(): void {
    this.#settle(this.#memory);
  }
}

/** What the host says of its own clock. */
export function wallTime(clock: Clock): { wallMs: number; errorMs: number } {
  const wallMs = Math.max(0, clock.wallMs());
  const isUnknown = clock.doubt !== undefined || wallMs < PLAUSIBLE_MS;
  return { wallMs, errorMs: isUnknown ? CLOCK_UNKNOWN : CLOCK_SET_ERROR_MS };
}
