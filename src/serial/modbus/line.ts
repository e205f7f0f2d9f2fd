// One Modbus RTU line, as a pure state machine: (line, input, rules) -> line, outputs. It knows one request at a time and
// the silences between frames; who is asked when is the schedule's business. No timers and no ports: `wakeMs` says when the
// next tick is wanted.
//
//   closed ──open──> idle ──send──> waiting ──answer, or silence beyond the deadline──> idle
//                                      └─────broadcast: the turnaround is over─────────> idle
//   any ──close──> closed; a request that waited fails with `closed`
//
// - Before a request the line is silent for 3.5 characters, at least 1.75 ms (Modbus over Serial Line 1.02, 2.5.1.1).
// - The deadline is the time that the request takes on the wire plus the unit's timeout. Once bytes come it moves to
//   `pauseMs` after the last of them: adapters deliver in pieces, and a long answer takes its time at 1200 baud. It moves
//   by no more than the longest frame takes and two pauses, so that a unit that chatters does not hold the line for ever.
// - As many bytes as the answer has, a pause, and no answer in them: that was the answer, damaged. Fewer, or a whole
//   frame that answers something else: it may still come.
// - What comes while nobody is waited for is late or noise. It is counted, forgotten, and the silence begins anew.

import assert from 'node:assert';
import { answerBytes, findAnswer, strayOf, type Answer, type StrayWord } from './answer.ts';
import { BROADCAST, encodeRequest, FRAME_BYTES_MAX, type Request } from './request.ts';

/** Why there is no answer: none came; bytes came that were none, or a wrong sum; a whole frame that was not asked for; the port has gone. */
export type Failure = 'timeout' | 'crc' | StrayWord | 'closed';

export type Result = Answer | { kind: 'failure'; failure: Failure } | { kind: 'broadcast' };

export interface LineRules {
  baud: number;
  /** Bits of a character with start, parity and stop: 11, or 10. */
  characterBits: number;
  /** What a pause within an answer may be at most. */
  pauseMs: number;
  /** After a broadcast units get this time to do what they were told. */
  turnaroundMs: number;
  /** The adapter hears what it sends. */
  hasEcho: boolean;
}

interface Waiting {
  request: Request;
  frame: Buffer;
  sentMs: number;
  deadlineMs: number;
  /** Whatever comes, it ends here. */
  limitMs: number;
  /** Bytes that came and are no answer so far. */
  held: Buffer;
  lastByteMs: number;
  /** The worst that was seen. */
  seen: Failure;
  /** The adapter's echo of the request is still to come. */
  awaitsEcho: boolean;
}

export interface Line {
  isOpen: boolean;
  /** Nothing may be sent before. */
  quietUntilMs: number;
  waiting: Waiting | undefined;
}

export type LineInput =
  | { kind: 'open' }
  | { kind: 'close' }
  | { kind: 'send'; request: Request; timeoutMs: number }
  | { kind: 'bytes'; bytes: Buffer }
  | { kind: 'tick' };

export type LineOutput =
  | { kind: 'write'; bytes: Buffer }
  | { kind: 'result'; request: Request; result: Result; tookMs: number }
  /** Bytes that nobody asked for. */
  | { kind: 'stray'; bytes: number };

export interface LineStep {
  line: Line;
  outputs: LineOutput[];
}

export const FIRST_LINE: Line = { isOpen: false, quietUntilMs: 0, waiting: undefined };

/** Held bytes beyond this are noise: two whole frames, so that an answer behind a late one is found. */
const HELD_BYTES_MAX = 2 * FRAME_BYTES_MAX;
const SILENCE_CHARACTERS = 3.5;
const SILENCE_MS_MIN = 1.75;

export function silenceMs(rules: LineRules): number {
  return Math.max(SILENCE_MS_MIN, SILENCE_CHARACTERS * characterMs(rules));
}

function characterMs({ baud, characterBits }: LineRules): number {
  return (characterBits * 1000) / baud;
}

/** When a request may be sent; undefined while one is under way or the line is closed. */
export function readyMs(line: Line): number | undefined {
  return line.isOpen && line.waiting === undefined ? line.quietUntilMs : undefined;
}

/** When the next tick is wanted; undefined: not before another input. */
export function wakeMs(line: Line, rules: LineRules): number | undefined {
  return line.waiting === undefined ? undefined : endMs(line.waiting, rules);
}

/** The line after `input` at `nowMs`, and what to do for it. `send` must only come when readyMs() is over. */
export function step(line: Line, input: LineInput, nowMs: number, rules: LineRules): LineStep {
  switch (input.kind) {
    case 'open':
      return { line: { isOpen: true, quietUntilMs: nowMs + silenceMs(rules), waiting: undefined }, outputs: [] };
    case 'close': {
      const outputs = line.waiting === undefined ? [] : [failed(line.waiting, 'closed', nowMs)];
      return { line: FIRST_LINE, outputs };
    }
    case 'send':
      return send(line, input.request, input.timeoutMs, nowMs, rules);
    case 'bytes':
      return receive(line, input.bytes, nowMs, rules);
    default:
      return tick(line, nowMs, rules);
  }
}

function send(line: Line, request: Request, timeoutMs: number, nowMs: number, rules: LineRules): LineStep {
  const ready = readyMs(line);
  assert(ready !== undefined && ready <= nowMs, 'the line is free and silent');
  const frame = encodeRequest(request);
  const wireMs = frame.length * characterMs(rules);
  const deadlineMs = nowMs + wireMs + (request.unit === BROADCAST ? rules.turnaroundMs : timeoutMs);
  const waiting: Waiting = {
    request,
    frame,
    sentMs: nowMs,
    deadlineMs,
    limitMs: deadlineMs + FRAME_BYTES_MAX * characterMs(rules) + 2 * rules.pauseMs,
    held: Buffer.alloc(0),
    lastByteMs: -Infinity,
    seen: 'timeout',
    awaitsEcho: rules.hasEcho,
  };
  return { line: { ...line, waiting }, outputs: [{ kind: 'write', bytes: frame }] };
}

function receive(line: Line, bytes: Buffer, nowMs: number, rules: LineRules): LineStep {
  if (!line.isOpen) return { line, outputs: [] };
  const quietUntilMs = nowMs + silenceMs(rules);
  const { waiting } = line;
  if (waiting === undefined || waiting.request.unit === BROADCAST) {
    return { line: { ...line, quietUntilMs }, outputs: [{ kind: 'stray', bytes: bytes.length }] };
  }
  const before = afterPause(waiting, nowMs, rules);
  const heard = Buffer.concat([before.held, bytes]).subarray(-HELD_BYTES_MAX);
  const next = withoutEcho({ ...before, held: heard, lastByteMs: nowMs });
  // Until the echo has come, what looks like the answer to a write may be it, and is held back.
  const found = next.awaitsEcho ? undefined : findAnswer(next.held, waiting.request);
  if (found === undefined) return { line: { ...line, quietUntilMs, waiting: next }, outputs: [] };
  const strayBytes = found.start + next.held.length - found.end;
  const outputs: LineOutput[] = strayBytes === 0 ? [] : [{ kind: 'stray', bytes: strayBytes }];
  outputs.push({ kind: 'result', request: waiting.request, result: found.answer, tookMs: nowMs - waiting.sentMs });
  return { line: { ...line, quietUntilMs, waiting: undefined }, outputs };
}

/** Takes the echo off, once: the answer to a write looks the same. */
function withoutEcho(waiting: Waiting): Waiting {
  const { frame, held } = waiting;
  const at = waiting.awaitsEcho ? held.indexOf(frame) : -1;
  if (at === -1) return waiting;
  const rest = Buffer.concat([held.subarray(0, at), held.subarray(at + frame.length)]);
  return { ...waiting, held: rest, awaitsEcho: false };
}

/** Whole frames that answer something else are let go when a pause follows them: the answer may still come. */
function afterPause(waiting: Waiting, nowMs: number, rules: LineRules): Waiting {
  if (waiting.held.length === 0 || nowMs - waiting.lastByteMs < rules.pauseMs) return waiting;
  const stray = strayOf(waiting.held, waiting.request);
  if (stray === undefined) return { ...waiting, seen: 'crc' };
  return { ...waiting, held: Buffer.alloc(0), seen: waiting.seen === 'crc' ? 'crc' : stray };
}

/** When what is waited for is given up, or looked at. */
function endMs({ deadlineMs, limitMs, held, lastByteMs, request }: Waiting, rules: LineRules): number {
  if (held.length === 0) return deadlineMs;
  const pausedMs = lastByteMs + rules.pauseMs;
  return Math.min(limitMs, held.length >= answerBytes(request) ? pausedMs : Math.max(deadlineMs, pausedMs));
}

function tick(line: Line, nowMs: number, rules: LineRules): LineStep {
  const { waiting } = line;
  if (waiting === undefined || nowMs < endMs(waiting, rules)) return { line, outputs: [] };
  if (waiting.request.unit === BROADCAST) {
    const { request, sentMs } = waiting;
    const result: LineOutput = { kind: 'result', request, result: { kind: 'broadcast' }, tookMs: nowMs - sentMs };
    return { line: { ...line, waiting: undefined }, outputs: [result] };
  }
  // At the limit without a pause: what has come is noise.
  const isChatter = nowMs >= waiting.limitMs && nowMs - waiting.lastByteMs < rules.pauseMs;
  const seen: Waiting = isChatter ? { ...waiting, seen: 'crc' } : afterPause(waiting, nowMs, rules);
  if (seen.held.length === 0 && nowMs < seen.deadlineMs) return { line: { ...line, waiting: seen }, outputs: [] };
  const outputs: LineOutput[] = [failed(seen, seen.seen, nowMs)];
  return { line: { ...line, waiting: undefined }, outputs };
}

function failed({ request, sentMs }: Waiting, failure: Failure, nowMs: number): LineOutput {
  return { kind: 'result', request, result: { kind: 'failure', failure }, tookMs: nowMs - sentMs };
}
