// The host's side of a half-duplex line (firmware-bridge/SPEC.md section 8): what is to be said to a device waits for its
// turn, and a turn ends when the device has said its last word, or nothing for too long. polls.ts decides whose turn it is.
//
//   rest (2 ms) ──> ask: what waits, then ACK or WHO with F ──> listen ──frame with F, or silence──> rest

import type { Clock, Timer } from '../../clock.ts';
import { encodeFrame, type Frame } from '../../formats/bridge-frame.ts';
import { afterTurn, createPolls, nextDueMs, whoIsDue, type Ended } from './polls.ts';

export interface Turns {
  /** The line is there: polling begins, or goes on. */
  start(): void;
  /** Says a frame in the device's next turn. Acknowledgements are left out: each turn ends with the latest one. */
  queue(address: number, frame: Frame, key: number): void;
  /** A frame came from a device. */
  heard(address: number, frame: Frame, isFinal: boolean): void;
  /** Bytes came, of a frame or not. */
  heardBytes(): void;
  stop(): void;
}

export interface TurnsNeeds {
  addresses: readonly number[];
  baud: number;
  /** What this computer and its adapter add to the 20 ms that a device has to begin its answer. */
  slackMs: number;
  /** The frame that ends the host's part of a turn: ACK for a device that has a session, WHO for one that has none. */
  lastWord(address: number): { frame: Frame; key: number };
  write(bytes: Buffer): boolean;
  /** A frame has been written. */
  onSent(address: number, frame: Frame): void;
  clock: Clock;
}

const ANSWER_MS = 20;
const REST_MS = 2;
const BITS_PER_BYTE = 10;
/** Frames that may wait for a device's turn; more are dropped, and said again by the rules of the session. */
const QUEUED_MAX = 64;

export function createTurns(needs: TurnsNeeds): Turns {
  const { clock, slackMs } = needs;
  let polls = createPolls(needs.addresses);
  const queues = new Map<number, { frame: Frame; key: number }[]>();
  let asked: number | undefined;
  let hasData = false;
  let isAnswered = false;
  let listenUntilMs = 0;
  let timer: Timer | undefined;

  function wake(delayMs: number, then: () => void): void {
    timer?.cancel();
    timer = clock.after(delayMs, then);
  }

  function next(): void {
    const nowMs = clock.monotonicMs();
    const address = whoIsDue(polls, nowMs);
    if (address === undefined) wake(Math.max(REST_MS, nextDueMs(polls) - nowMs), next);
    else ask(address);
  }

  function ask(address: number): void {
    const last = needs.lastWord(address);
    const waiting = queues.get(address) ?? [];
    queues.delete(address);
    const frames = waiting.map(({ frame, key }) => encodeFrame({ frame, address, isFinal: false }, key));
    const bytes = Buffer.concat([...frames, encodeFrame({ frame: last.frame, address, isFinal: true }, last.key)]);
    asked = address;
    hasData = false;
    isAnswered = false;
    const sendingMs = (bytes.length * BITS_PER_BYTE * 1000) / needs.baud;
    if (!needs.write(bytes)) return end('silent');
    for (const { frame } of [...waiting, last]) needs.onSent(address, frame);
    listenFor(sendingMs + ANSWER_MS + slackMs);
  }

  function listenFor(ms: number): void {
    listenUntilMs = clock.monotonicMs() + ms;
    wake(ms, silence);
  }

  function silence(): void {
    const leftMs = listenUntilMs - clock.monotonicMs();
    if (leftMs > 0) wake(leftMs, silence);
    else end(isAnswered ? 'idle' : 'silent');
  }

  function end(ended: Ended): void {
    if (asked !== undefined) polls = afterTurn(polls, asked, ended, clock.monotonicMs(), ANSWER_MS + slackMs);
    asked = undefined;
    wake(REST_MS, next);
  }

  return {
    start: next,
    queue(address, frame, key) {
      if (frame.type === 'ack') return;
      const waiting = queues.get(address) ?? [];
      if (waiting.length < QUEUED_MAX) waiting.push({ frame, key });
      queues.set(address, waiting);
    },
    heard(address, frame, isFinal) {
      if (address !== asked) return;
      isAnswered = true;
      hasData ||= frame.type === 'data' || frame.type === 'hello';
      if (isFinal) end(hasData ? 'busy' : 'idle');
    },
    heardBytes() {
      if (asked !== undefined) listenUntilMs = clock.monotonicMs() + ANSWER_MS + slackMs;
    },
    stop() {
      timer?.cancel();
      timer = undefined;
      asked = undefined;
      queues.clear();
    },
  };
}
