// What the host knows of one device at the other end of a bridge, as a pure state machine: (session, input) -> session and
// outputs. firmware-bridge/SPEC.md section 5 is the source of its rules. It has no timers and no ports: time comes in with
// each input, what is to be done goes out as outputs, in order.
//
//   away ──HELLO, epoch 0──> away (WELCOME 1: take this epoch) ──HELLO with it──┐
//     │                                                                          v
//     └──HELLO with an epoch──────────────────────────────────────────────> connected (WELCOME 0)
//     ^────────── 15 s unheard, or the port has gone ──────────────────────────┘  │ HELLO: again
//
// Sequences are numbers modulo 2^32; `next` is the one that is taken next, `committed` the one up to which all is durable.

import {
  BODY_BYTES_MAX,
  BRIDGE_VERSION,
  NAK_REASON,
  WELCOME_STATUS,
  type BridgeRecord,
  type Data,
  type Frame,
  type Hello,
} from '../../formats/bridge-frame.ts';
import {
  distance,
  type CommandOutcome,
  type Connection,
  type GapReason,
  type Input,
  type Limits,
  type Memory,
  type Output,
  type Run,
  type Session,
  type WallTime,
} from './session-words.ts';

export const ACK_DELAY_MS = 20;
export const KEEP_ALIVE_MS = 5000;
export const GONE_MS = 15_000;
const ASK_AGAIN_MS = 100;
const COMMAND_AGAIN_MS = 500;
const TIME_FIRST_MS = 10_000;
const TIME_MS = 60_000;
const FIRST_ANSWERS = 3;

/** A device of which `memory` was found on the card, or nothing. */
export function createSession(memory: Memory | undefined): Session {
  return {
    memory,
    committed: memory?.next ?? 0,
    isFresh: memory?.next === 0,
    connection: undefined,
  };
}

/** The sequence nearest to `near` whose low 16 bits are `low`. */
function widen(low: number, near: number): number {
  return (near + (((low - near) << 16) >> 16)) >>> 0;
}

/** When step() must be called with a tick, if nothing else comes; Infinity for a device that is away. */
export function dueAtMs({ connection }: Session): number {
  if (connection === undefined) return Infinity;
  const { command, time } = connection;
  const commandAt = command === undefined ? Infinity : Math.min(command.sentAtMs + COMMAND_AGAIN_MS, command.untilMs);
  const aliveAt = Math.min(connection.ackSentAtMs + KEEP_ALIVE_MS, connection.heardAtMs + GONE_MS);
  return Math.min(connection.ackDueAtMs, aliveAt, time.dueAtMs, commandAt);
}

export interface Step {
  session: Session;
  outputs: Output[];
}

export function step(session: Session, input: Input, limits: Limits, nowMs: number): Step {
  const turn = new Turn(session, limits, nowMs);
  switch (input.kind) {
    case 'frame':
      turn.frame(input.frame, input.random, input.wall);
      break;
    case 'committed':
      turn.committed(input.epoch, input.sequence);
      break;
    case 'window':
      turn.acknowledge();
      break;
    case 'tick':
      turn.tick(input.wall);
      break;
    case 'command':
      turn.command(input.code, input.payload, input.timeoutMs);
      break;
    case 'gone':
      turn.disconnect('the port has gone');
  }
  return { session: turn.session, outputs: turn.outputs };
}

/** One step: the session that becomes, and the outputs as they come up. */
class Turn {
  session: Session;
  readonly outputs: Output[] = [];
  private readonly limits: Limits;
  private readonly nowMs: number;
  private isOwn = false;
  private own: Connection | undefined;

  constructor(session: Session, limits: Limits, nowMs: number) {
    this.session = session;
    this.limits = limits;
    this.nowMs = nowMs;
  }

  private get connection(): Connection | undefined {
    return this.session.connection;
  }

  /** The session that was handed in stays as it was: it is copied at the first change, and so is its connection. */
  private change(change: Partial<Session>): void {
    if (!this.isOwn) this.session = { ...this.session };
    this.isOwn = true;
    Object.assign(this.session, change);
  }

  private connect(change: Partial<Connection>): void {
    if (this.own === undefined || this.own !== this.connection) {
      this.own = { ...this.connection! };
      this.change({ connection: this.own });
    }
    Object.assign(this.own, change);
  }

  private send(frame: Frame): void {
    this.outputs.push({ kind: 'send', frame, key: this.connection?.key ?? 0 });
  }

  frame(frame: Frame, random: () => number, wall: WallTime): void {
    if (frame.type === 'hello') return this.hello(frame, random, wall);
    if (this.connection === undefined) return;
    this.connect({ heardAtMs: this.nowMs, isHeard: true });
    switch (frame.type) {
      case 'data':
        return this.data(frame);
      case 'ping':
        return this.acknowledge();
      case 'channel':
        return this.connect({ channels: new Map(this.connection.channels).set(frame.channel, frame.name) });
      case 'skip':
        return this.skip(frame.first);
      case 'echo':
        return this.echo(frame.id, frame.uptimeMs);
      case 'answer':
        return this.answer(frame.id, { kind: 'answered', status: frame.status, payload: frame.payload });
      default:
      // What only a host says: our own echo on a line that loops back, perhaps.
    }
  }

  // -- HELLO ---------------------------------------------------------------------------------------------------------

  private hello(hello: Hello, random: () => number, wall: WallTime): void {
    const before = this.connection;
    const isRepeated = before !== undefined && before.hello.nonce === hello.nonce && !before.isHeard;
    if (!isRepeated) this.disconnect('the device said hello again');
    if (hello.versionMin > BRIDGE_VERSION) return this.refuse(hello, WELCOME_STATUS.version);
    if (!this.limits.isReady) return this.refuse(hello, WELCOME_STATUS.busy);
    const isLost = this.countLost(hello);
    const { memory } = this.session;
    if (hello.epoch === 0 || hello.epoch === memory?.former?.epoch) return this.giveEpoch(hello, random, isLost);
    if (memory?.epoch === hello.epoch) {
      if (distance(memory.next, hello.end) < 0) return this.giveEpoch(hello, random, isLost);
      const missing = distance(memory.next, hello.first);
      if (missing > 0) this.gap(memory, memory.next, missing, 'missing', { ...memory, next: hello.first });
    } else {
      this.change({
        memory: { ...memory, epoch: hello.epoch, next: hello.first },
        committed: hello.first,
        isFresh: false,
      });
    }
    if (this.connection === undefined) this.begin(hello, random);
    else this.connect({ hello, heardAtMs: this.nowMs });
    const { epoch, next } = this.session.memory!;
    const known = { epoch, key: this.connection!.key, expected: next };
    this.welcome(hello, WELCOME_STATUS.ok, known, isLost ? this.session.memory : undefined);
    this.askTheTime(wall);
  }

  /** Records that the device lost in a reset and that never came; true if there are any. */
  private countLost(hello: Hello): boolean {
    const { memory, isFresh } = this.session;
    if (memory === undefined || hello.epoch === memory.epoch) return false;
    // A device that was reset again before it heard of the fresh epoch still speaks of the run before.
    const { former } = memory;
    const isOfFormer = isFresh && former !== undefined && hello.lastEpoch === former.epoch;
    const of = isOfFormer ? former : memory;
    const lost = distance(of.next, hello.lastEnd);
    if (hello.lastEpoch !== of.epoch || lost <= 0) return false;
    const behind = { epoch: of.epoch, next: hello.lastEnd };
    this.gap(of, of.next, lost, 'reset', isOfFormer ? { ...memory, former: behind } : { ...memory, ...behind });
    this.change({ isFresh: isOfFormer });
    return true;
  }

  private giveEpoch(hello: Hello, random: () => number, isLost: boolean): void {
    this.disconnect('the device asked for a new epoch');
    const { memory, isFresh } = this.session;
    const isGiven = memory === undefined || !isFresh;
    if (isGiven) {
      let epoch = randomU32(random);
      if (epoch === memory?.epoch) epoch = (epoch % 0xffff_ffff) + 1;
      const former = memory && { epoch: memory.epoch, next: memory.next };
      const given = { epoch, next: 0, ...(former && { former }) };
      // A device that knows nothing of its last epoch may have lost records of it.
      if (memory !== undefined && hello.epoch === 0 && hello.lastEpoch !== memory.epoch) {
        this.gap(memory, memory.next, undefined, 'unknown', given);
      }
      this.change({ memory: given, committed: 0, isFresh: true });
    }
    // The device forgets the epoch before when it takes this one: a crash here must not.
    const fresh = this.session.memory!;
    this.welcome(hello, WELCOME_STATUS.epoch, { epoch: fresh.epoch }, isGiven || isLost ? fresh : undefined);
  }

  private begin(hello: Hello, random: () => number): void {
    const connection: Connection = {
      key: randomU32(random),
      hello,
      isHeard: false,
      ackedNext: this.session.memory!.next,
      allowedEnd: (this.session.memory!.next + this.limits.window) >>> 0,
      held: new Map(),
      asked: new Map(),
      channels: new Map(),
      heardAtMs: this.nowMs,
      // WELCOME says what has arrived; only an acknowledgement says what is durable.
      ackDueAtMs: this.nowMs + ACK_DELAY_MS,
      ackSentAtMs: this.nowMs,
      time: { id: 0, sentAtMs: this.nowMs, dueAtMs: Infinity, answers: 0 },
      commandId: 0,
      command: undefined,
    };
    this.change({ connection });
    this.outputs.push({ kind: 'connected', hello });
  }

  private refuse(hello: Hello, status: number): void {
    this.disconnect('it was refused a new session');
    this.welcome(hello, status, {});
  }

  private welcome(hello: Hello, status: number, known: Known, kept?: Memory): void {
    const frame = welcomeOf(hello, status, this.limits, known);
    // The gap that this hello made takes it along: one commit for both.
    const gap = kept && this.outputs.find((output) => output.kind === 'gap');
    if (gap !== undefined) gap.memory = kept!;
    this.outputs.push({ kind: 'send', frame, key: 0, ...(kept && { kept }) });
  }

  // -- records -------------------------------------------------------------------------------------------------------

  private data(frame: Data): void {
    const memory = this.session.memory!;
    const first = widen(frame.sequence, memory.next);
    let repeated = 0;
    let beyond = 0;
    for (const [index, record] of frame.records.entries()) {
      const sequence = (first + index) >>> 0;
      const ahead = distance(this.session.memory!.next, sequence);
      if (ahead < 0) repeated += 1;
      else if (distance(sequence, this.connection!.allowedEnd) <= 0) beyond += 1;
      else if (ahead > 0) this.hold(sequence, record);
      else if (!this.take(record)) break;
    }
    this.takeHeld();
    this.askForMissing();
    if (repeated > 0) this.outputs.push({ kind: 'repeated', count: repeated });
    if (beyond > 0) this.outputs.push({ kind: 'beyond', count: beyond });
    // A device that may soon send nothing more is told at once.
    const { ackedNext, ackDueAtMs } = this.connection!;
    const taken = distance(ackedNext, this.session.memory!.next);
    if (taken > 0 && taken * 2 >= this.limits.window) return this.acknowledge();
    if (ackDueAtMs === Infinity) this.connect({ ackDueAtMs: this.nowMs + ACK_DELAY_MS });
  }

  /** The record that is next; false if its channel has no name yet, which is asked for. */
  private take(record: BridgeRecord): boolean {
    const channel = this.connection!.channels.get(record.channel);
    const memory = this.session.memory!;
    if (channel === undefined) {
      this.ask(memory.next, NAK_REASON.channel);
      return false;
    }
    const behind = { ...memory, next: (memory.next + 1) >>> 0 };
    this.change({ memory: behind, isFresh: false });
    this.outputs.push({ kind: 'take', memory: behind, channel, record });
    return true;
  }

  private hold(sequence: number, record: BridgeRecord): void {
    const { held } = this.connection!;
    if (!held.has(sequence)) this.connect({ held: new Map(held).set(sequence, record) });
  }

  private takeHeld(): void {
    if (this.connection!.held.size === 0) return;
    const held = new Map(this.connection!.held);
    for (;;) {
      const { next } = this.session.memory!;
      const record = held.get(next);
      if (record === undefined || !this.take(record)) break;
      held.delete(next);
    }
    this.connect({ held });
  }

  /** What stands between `next` and the last record that is held. */
  private askForMissing(): void {
    const { held, asked } = this.connection!;
    if (asked.size > 0) this.connect({ asked: this.stillMissing(asked) });
    if (held.size === 0) return;
    const { next } = this.session.memory!;
    let ahead = 0;
    for (const sequence of held.keys()) ahead = Math.max(ahead, distance(next, sequence));
    for (let index = 0; index < ahead; index++) {
      const sequence = (next + index) >>> 0;
      if (!held.has(sequence)) this.ask(sequence, NAK_REASON.missing);
    }
  }

  private stillMissing(asked: ReadonlyMap<number, number>): Map<number, number> {
    return new Map([...asked].filter(([sequence]) => distance(this.session.memory!.next, sequence) >= 0));
  }

  private ask(sequence: number, reason: number): void {
    const { asked } = this.connection!;
    const at = asked.get(sequence);
    if (at !== undefined && this.nowMs - at < ASK_AGAIN_MS) return;
    this.connect({ asked: new Map(asked).set(sequence, this.nowMs) });
    this.send({ type: 'nak', sequence: sequence & 0xffff, reason });
  }

  private skip(first: number): void {
    const memory = this.session.memory!;
    const missing = distance(memory.next, first);
    if (missing <= 0) return;
    this.gap(memory, memory.next, missing, 'skipped', { ...memory, next: first });
    const held = [...this.connection!.held].filter(([sequence]) => distance(first, sequence) >= 0);
    this.connect({ held: new Map(held) });
    this.takeHeld();
    this.askForMissing();
    this.acknowledge();
  }

  /** Records of `of` from `first` on will never come; `behind` is true from there on. */
  private gap(of: Run, first: number, count: number | undefined, reason: GapReason, behind: Memory): void {
    this.change({ memory: behind, isFresh: false });
    this.outputs.push({ kind: 'gap', memory: behind, epoch: of.epoch, first, count, reason });
  }

  // -- acknowledgements ------------------------------------------------------------------------------------------------

  committed(epoch: number, sequence: number): void {
    const { memory, committed } = this.session;
    // The epoch may have changed since the record was taken.
    if (memory?.epoch !== epoch || distance(committed, sequence) <= 0) return;
    this.change({ committed: sequence });
    this.acknowledge();
  }

  acknowledge(): void {
    if (this.connection === undefined) return;
    const { memory, committed } = this.session;
    const { window } = this.limits;
    const { next } = memory!;
    this.send({ type: 'ack', committed: committed & 0xffff, received: next & 0xffff, window });
    // What was allowed stays so: the device may not have heard of a smaller window yet.
    const end = (next + window) >>> 0;
    const { allowedEnd } = this.connection;
    this.connect({
      allowedEnd: distance(allowedEnd, end) > 0 ? end : allowedEnd,
      ackedNext: next,
      ackDueAtMs: Infinity,
      ackSentAtMs: this.nowMs,
    });
  }

  tick(wall: WallTime): void {
    const { connection } = this;
    if (connection === undefined) return;
    if (this.nowMs - connection.heardAtMs >= GONE_MS) return this.disconnect('it was not heard for 15 s');
    const isQuiet = this.nowMs - connection.ackSentAtMs >= KEEP_ALIVE_MS;
    if (isQuiet || connection.ackDueAtMs <= this.nowMs) this.acknowledge();
    if (connection.time.dueAtMs <= this.nowMs) this.askTheTime(wall);
    this.tickCommand();
  }

  disconnect(why: string): void {
    if (this.connection === undefined) return;
    if (this.connection.command !== undefined) {
      this.outputs.push({ kind: 'command', outcome: { kind: 'unanswered', why } });
    }
    this.change({ connection: undefined });
    this.outputs.push({ kind: 'disconnected', why });
  }

  // -- time and commands ---------------------------------------------------------------------------------------------

  private askTheTime(wall: WallTime): void {
    const { time } = this.connection!;
    const id = (time.id + 1) & 0xff;
    const waitMs = time.answers < FIRST_ANSWERS ? TIME_FIRST_MS : TIME_MS;
    this.connect({ time: { ...time, id, sentAtMs: this.nowMs, dueAtMs: this.nowMs + waitMs } });
    this.send({ type: 'time', id, ...wall });
  }

  private echo(id: number, uptimeMs: number): void {
    const { time } = this.connection!;
    if (id !== time.id) return;
    const answers = time.answers + 1;
    const dueAtMs = answers < FIRST_ANSWERS ? time.dueAtMs : time.sentAtMs + TIME_MS;
    this.connect({ time: { ...time, answers, dueAtMs } });
    this.outputs.push({ kind: 'clock', sentAtMs: time.sentAtMs, uptimeMs });
  }

  command(code: number, payload: Buffer, timeoutMs: number): void {
    if (this.connection === undefined || this.connection.command !== undefined) {
      const why = this.connection === undefined ? 'the device is not connected' : 'another command is under way';
      this.outputs.push({ kind: 'command', outcome: { kind: 'unanswered', why } });
      return;
    }
    const id = (this.connection.commandId + 1) & 0xffff;
    const command = { id, code, payload, sentAtMs: this.nowMs, untilMs: this.nowMs + timeoutMs };
    this.connect({ commandId: id, command });
    this.send({ type: 'command', id, code, payload });
  }

  private answer(id: number, outcome: CommandOutcome): void {
    if (this.connection!.command?.id !== id) return;
    this.connect({ command: undefined });
    this.outputs.push({ kind: 'command', outcome });
  }

  private tickCommand(): void {
    const { command } = this.connection!;
    if (command === undefined) return;
    if (this.nowMs >= command.untilMs) {
      this.answer(command.id, { kind: 'unanswered', why: 'no answer came in time' });
      // A device that has not heard this number takes no later one: in a new session they begin again.
      this.disconnect('it did not answer a command');
      return this.send({ type: 'who', version: BRIDGE_VERSION });
    }
    if (this.nowMs - command.sentAtMs < COMMAND_AGAIN_MS) return;
    this.connect({ command: { ...command, sentAtMs: this.nowMs } });
    this.send({ type: 'command', id: command.id, code: command.code, payload: command.payload });
  }
}

/** What a WELCOME tells; 0 where nothing is known. */
interface Known {
  epoch?: number;
  key?: number;
  expected?: number;
}

/** The answer to `hello`. Also for a port that refuses before it has a session. */
export function welcomeOf(hello: Hello, status: number, limits: Limits, known: Known): Frame {
  const { epoch = 0, key = 0, expected = 0 } = known;
  return {
    type: 'welcome',
    version: BRIDGE_VERSION,
    status,
    nonce: hello.nonce,
    epoch,
    key,
    expected,
    frameBytesMax: BODY_BYTES_MAX,
    ackMs: limits.ackMs,
    window: limits.window,
  };
}

/** 1 to 2^32 - 1. */
function randomU32(random: () => number): number {
  return 1 + Math.floor(random() * 0xffff_ffff);
}
