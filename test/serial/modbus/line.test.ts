import { expect, test } from 'vitest';
import { crc16 } from '../../../src/serial/modbus/crc-16.ts';
import {
  FIRST_LINE,
  readyMs,
  silenceMs,
  step,
  wakeMs,
  type Line,
  type LineInput,
  type LineOutput,
  type LineRules,
} from '../../../src/serial/modbus/line.ts';
import type { Request } from '../../../src/serial/modbus/request.ts';

const RULES: LineRules = { baud: 9600, characterBits: 10, pauseMs: 50, turnaroundMs: 100, hasEcho: false };
const REQUEST: Request = { kind: 'read', unit: 3, table: 'holding', address: 0, count: 1 };

function sealed(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex');
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(crc16(bytes));
  return Buffer.concat([bytes, sum]);
}

const ANSWER = sealed('0303020007');
const OTHER_UNIT = sealed('0403020007');

/** A line that is told what happens at which moment, and what it said to it. */
function story(rules = RULES) {
  let line: Line = FIRST_LINE;
  const said: LineOutput[] = [];
  const at = (nowMs: number, input: LineInput) => {
    const moved = step(line, input, nowMs, rules);
    line = moved.line;
    said.push(...moved.outputs);
    return moved.outputs;
  };
  at(0, { kind: 'open' });
  return {
    at,
    ask: (nowMs = 10, request = REQUEST, timeoutMs = 500) => at(nowMs, { kind: 'send', request, timeoutMs }),
    bytes: (nowMs: number, bytes: Buffer) => at(nowMs, { kind: 'bytes', bytes }),
    tick: (nowMs: number) => at(nowMs, { kind: 'tick' }),
    line: () => line,
    wakeMs: () => wakeMs(line, rules),
  };
}

const failure = (word: string) =>
  expect.objectContaining({ kind: 'result', result: { kind: 'failure', failure: word } });
const answered = expect.objectContaining({ result: { kind: 'registers', bytes: Buffer.of(0, 7) } }) as unknown;

test('the silence before a request is 3.5 characters, and 1.75 ms at least', () => {
  expect(silenceMs({ ...RULES, baud: 1200, characterBits: 11 })).toBeCloseTo((3.5 * 11_000) / 1200);
  expect(silenceMs({ ...RULES, baud: 115_200 })).toBe(1.75);
  const { line } = story();
  expect(readyMs(line())).toBeCloseTo(3.646, 3);
});

test('a request goes out, its answer ends it, and the line is silent before the next one', () => {
  const { ask, bytes, line } = story();
  expect(ask()).toEqual([{ kind: 'write', bytes: sealed('030300000001') }]);
  expect(readyMs(line())).toBeUndefined();
  expect(bytes(40, ANSWER)).toEqual([
    { kind: 'result', request: REQUEST, result: { kind: 'registers', bytes: Buffer.of(0, 7) }, tookMs: 30 },
  ]);
  expect(readyMs(line())).toBeCloseTo(40 + 3.646, 3);
});

test('an answer may come byte by byte', () => {
  const { ask, bytes } = story();
  ask();
  for (const [at, byte] of [...ANSWER.subarray(0, -1)].entries()) expect(bytes(20 + at, Buffer.of(byte))).toEqual([]);
  expect(bytes(30, ANSWER.subarray(-1))).toEqual([answered]);
});

test('without an answer the request ends when its time on the wire and the timeout are over', () => {
  const { ask, tick, wakeMs: wake } = story();
  ask();
  const endMs = 10 + (8 * 10_000) / 9600 + 500;
  expect(wake()).toBeCloseTo(endMs);
  expect(tick(endMs - 1)).toEqual([]);
  expect(tick(endMs + 1)).toEqual([failure('timeout')]);
});

test('an answer that has begun at the deadline is waited for', () => {
  const { ask, bytes, tick, wakeMs: wake } = story();
  ask();
  bytes(515, ANSWER.subarray(0, 3));
  expect(wake()).toBe(565);
  expect(tick(530)).toEqual([]);
  expect(bytes(540, ANSWER.subarray(3))).toEqual([answered]);
});

test('a damaged answer of full length ends the request after a pause, long before the timeout', () => {
  const { ask, bytes, tick, wakeMs: wake } = story();
  ask();
  const damaged = Buffer.from(ANSWER);
  damaged[4]! ^= 1;
  expect(bytes(30, damaged)).toEqual([]);
  expect(wake()).toBe(80);
  expect(tick(81)).toEqual([failure('crc')]);
});

test("another unit's frame, or the late answer to another function, does not end it; the true answer still does", () => {
  for (const stray of [OTHER_UNIT, sealed('0304020007'), sealed('03030400070007')]) {
    const { ask, bytes, tick } = story();
    ask();
    bytes(30, stray);
    expect(tick(81)).toEqual([]);
    expect(bytes(200, ANSWER)).toEqual([answered]);
  }
});

test('when nothing but strays came, the request fails by their word', () => {
  for (const [stray, word] of [
    [OTHER_UNIT, 'unit'],
    [sealed('0304020007'), 'function'],
    [sealed('03030400070007'), 'length'],
  ] as const) {
    const { ask, bytes, tick } = story();
    ask();
    bytes(30, stray);
    tick(81);
    expect(tick(519)).toEqual([failure(word)]);
  }
});

test('noise before the answer is skipped and counted', () => {
  const { ask, bytes } = story();
  ask();
  bytes(20, Buffer.of(0xff, 3, 3));
  expect(bytes(60, ANSWER)).toEqual([{ kind: 'stray', bytes: 3 }, answered]);
});

test('what comes while nobody is waited for is counted, and puts the next request off', () => {
  const { bytes, line } = story();
  expect(bytes(100, ANSWER)).toEqual([{ kind: 'stray', bytes: ANSWER.length }]);
  expect(readyMs(line())).toBeCloseTo(103.646, 3);
});

test('noise without an end is held up to two frames', () => {
  const { ask, bytes, line } = story();
  ask();
  for (let at = 0; at < 100; at += 1) bytes(20 + at, Buffer.alloc(100, 0x55));
  expect(line().waiting!.held.length).toBe(512);
});

test('a unit that chatters without a pause does not hold the line for ever', () => {
  const { ask, bytes, tick, wakeMs: wake } = story();
  ask();
  const limitMs = 10 + 8.33 + 500 + (256 * 10_000) / 9600 + 100;
  for (let at = 20; at < 880; at += 10) bytes(at, Buffer.of(0x55));
  expect(wake()).toBeCloseTo(limitMs, 0);
  expect(tick(limitMs + 1)).toEqual([failure('crc')]);
});

test('a broadcast has no answer: it ends when the turnaround is over', () => {
  const { ask, tick, wakeMs: wake } = story();
  ask(10, { kind: 'write-bits', unit: 0, address: 1, bits: [true], isSingle: true });
  expect(wake()).toBeCloseTo(10 + 8.33 + 100, 1);
  expect(tick(119)).toEqual([expect.objectContaining({ result: { kind: 'broadcast' } })]);
});

test('the echo of an adapter is not the answer to a write', () => {
  const write: Request = { kind: 'write-bits', unit: 3, address: 1, bits: [true], isSingle: true };
  const echo = sealed('03050001ff00');
  const plain = story();
  plain.ask(10, write);
  expect(plain.bytes(20, echo)).toEqual([expect.objectContaining({ result: { kind: 'written' } })]);
  const adapter = story({ ...RULES, hasEcho: true });
  adapter.ask(10, write);
  expect(adapter.bytes(20, echo)).toEqual([]);
  expect(adapter.bytes(60, echo)).toEqual([expect.objectContaining({ result: { kind: 'written' } })]);
});

test('a port that goes ends the request, and nothing is sent until it is back', () => {
  const { ask, at, line } = story();
  ask();
  expect(at(20, { kind: 'close' })).toEqual([failure('closed')]);
  expect(readyMs(line())).toBeUndefined();
});
