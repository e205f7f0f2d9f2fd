// What the session of a bridge device (session.ts) is made of: what it remembers, what it is told, and what it has done.

import type { BridgeRecord, Frame, Hello } from '../../formats/bridge-frame.ts';

/** An unbroken run of sequences, and how far it was taken. */
export interface Run {
  epoch: number;
  next: number;
}

/** What is kept with the records. */
export interface Memory extends Run {
  /** The run that ended when this one was begun: until a record comes under this, a reset may still cost some of it. */
  former?: Run;
}

export interface Session {
  /** Undefined: the device was never heard here. */
  memory: Memory | undefined;
  committed: number;
  /** No record has come under the epoch: it may be given again. */
  isFresh: boolean;
  connection: Connection | undefined;
}

export interface Connection {
  key: number;
  hello: Hello;
  /** A keyed frame came: the device has the key. */
  isHeard: boolean;
  /** What the last ACK said to have been received. */
  ackedNext: number;
  /** First sequence that no window has allowed: nothing at or beyond it is taken, whatever a device thinks. */
  allowedEnd: number;
  /** Records beyond `next`, by sequence; at most the window. */
  held: ReadonlyMap<number, BridgeRecord>;
  /** When each missing record was asked for. */
  asked: ReadonlyMap<number, number>;
  channels: ReadonlyMap<number, string>;
  heardAtMs: number;
  /** When an ACK must leave; Infinity: only to keep the session alive. */
  ackDueAtMs: number;
  ackSentAtMs: number;
  time: { id: number; sentAtMs: number; dueAtMs: number; answers: number };
  commandId: number;
  command: PendingCommand | undefined;
}

export interface PendingCommand {
  id: number;
  code: number;
  payload: Buffer;
  sentAtMs: number;
  untilMs: number;
}

export interface Limits {
  /** Records beyond `received` that may come; 0: full. */
  window: number;
  ackMs: number;
  /** False: no new session is begun. */
  isReady: boolean;
}

/** Wall clock, and what is known of its error. */
export interface WallTime {
  wallMs: number;
  errorMs: number;
}

export type Input =
  | { kind: 'frame'; frame: Frame; random: () => number; wall: WallTime }
  | { kind: 'committed'; sequence: number; epoch: number }
  /** The window has opened or closed. */
  | { kind: 'window' }
  | { kind: 'tick'; wall: WallTime }
  | { kind: 'command'; code: number; payload: Buffer; timeoutMs: number }
  | { kind: 'gone' };

export type GapReason = 'skipped' | 'missing' | 'reset' | 'unknown';

export type CommandOutcome =
  { kind: 'answered'; status: number; payload: Buffer } | { kind: 'unanswered'; why: string };

export type Output =
  /** With `kept`: not before that is on the card, and all that was taken before. */
  | { kind: 'send'; frame: Frame; key: number; kept?: Memory }
  /** To the log, together with the memory. */
  | { kind: 'take'; memory: Memory; channel: string; record: BridgeRecord }
  /** The same; `count` undefined: nobody knows. `memory` is what is true behind the gap. */
  | { kind: 'gap'; memory: Memory; epoch: number; first: number; count: number | undefined; reason: GapReason }
  | { kind: 'connected'; hello: Hello }
  | { kind: 'disconnected'; why: string }
  | { kind: 'clock'; sentAtMs: number; uptimeMs: number }
  | { kind: 'command'; outcome: CommandOutcome }
  /** Records that were here already; those that came too early to be kept. */
  | { kind: 'repeated'; count: number }
  | { kind: 'beyond'; count: number };

/** `later - earlier` for sequences: negative if `later` is in fact before `earlier`. */
export function distance(earlier: number, later: number): number {
  return (later - earlier) | 0;
}
