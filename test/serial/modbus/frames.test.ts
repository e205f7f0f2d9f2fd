import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findAnswer, strayOf, type Answer } from '../../../src/serial/modbus/answer.ts';
import { crc16 } from '../../../src/serial/modbus/crc-16.ts';
import { encodeRequest, functionOf, type Request } from '../../../src/serial/modbus/request.ts';
import { openRandom, printedSeed } from '../../fuzz/random.ts';

interface GoldenCase {
  name: string;
  request: Request & { hex?: string };
  requestHex: string;
  answer: { bits?: boolean[]; registers?: number[] };
  answerHex: string;
}

interface Golden {
  cases: GoldenCase[];
  exceptions: { function: number; code: number; unit: number; hex: string }[];
}

const file = join(import.meta.dirname, '../../golden/modbus.json');
const golden = JSON.parse(readFileSync(file, 'utf8')) as Golden;

function requestOf({ request }: GoldenCase): Request {
  return request.kind === 'write-registers' ? { ...request, bytes: Buffer.from(request.hex!, 'hex') } : request;
}

function answerOf({ answer }: GoldenCase): Answer {
  if (answer.bits !== undefined) return { kind: 'bits', bits: answer.bits };
  if (answer.registers === undefined) return { kind: 'written' };
  const bytes = Buffer.alloc(answer.registers.length * 2);
  for (const [at, register] of answer.registers.entries()) bytes.writeUInt16BE(register, at * 2);
  return { kind: 'registers', bytes };
}

test('the sum of the digits is the one that the catalogue of CRCs gives for Modbus', () => {
  expect(crc16(Buffer.from('123456789'))).toBe(0x4b37);
});

test.each(golden.cases)('pymodbus and headwater write and read the same frames: $name', (each) => {
  expect(encodeRequest(requestOf(each)).toString('hex')).toBe(each.requestHex);
  const bytes = Buffer.from(each.answerHex, 'hex');
  expect(findAnswer(bytes, requestOf(each))).toEqual({ answer: answerOf(each), start: 0, end: bytes.length });
});

test('exceptions of every function are read with their codes', () => {
  for (const { function: code, code: exception, unit, hex } of golden.exceptions) {
    const each = golden.cases.find((other) => functionOf(requestOf(other)) === code)!;
    const found = findAnswer(Buffer.from(hex, 'hex'), { ...requestOf(each), unit });
    expect(found?.answer).toEqual({ kind: 'exception', code: exception });
  }
});

test('an answer is found behind noise, behind another unit, and behind half a frame', () => {
  const [, , each] = golden.cases as [GoldenCase, GoldenCase, GoldenCase];
  const answer = Buffer.from(each.answerHex, 'hex');
  for (const before of ['00ff00', '1103', each.requestHex, golden.exceptions[0]!.hex, each.answerHex.slice(0, 12)]) {
    const bytes = Buffer.concat([Buffer.from(before, 'hex'), answer, Buffer.of(0)]);
    expect(findAnswer(bytes, requestOf(each))?.answer).toEqual(answerOf(each));
  }
});

test('no answer with a flipped bit is taken, nor one that is cut', () => {
  for (const each of golden.cases.slice(0, 9)) {
    const answer = Buffer.from(each.answerHex, 'hex');
    for (let bit = 0; bit < answer.length * 8; bit += 1) {
      const flipped = Buffer.from(answer);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(findAnswer(flipped, requestOf(each))).toBeUndefined();
    }
    for (let end = 0; end < answer.length; end += 1) {
      expect(findAnswer(answer.subarray(0, end), requestOf(each))).toBeUndefined();
    }
  }
});

test('whole frames that answer something else are told from noise', () => {
  const coils = requestOf(golden.cases[0]!);
  const frames = golden.cases.map(({ answerHex }) => Buffer.from(answerHex, 'hex'));
  expect(strayOf(frames[2]!, coils)).toBe('function');
  expect(strayOf(frames[9]!, coils)).toBe('unit');
  expect(strayOf(frames[0]!, { ...coils, count: 30 } as Request)).toBe('length');
  expect(strayOf(Buffer.from('0102', 'hex'), coils)).toBeUndefined();
  expect(strayOf(Buffer.from('110103cd6b054013', 'hex'), coils)).toBeUndefined();
});

test('whatever bytes come, none of it throws, and what is found lies within them', () => {
  const random = openRandom(printedSeed('modbus frames'));
  const requests = golden.cases.map(requestOf);
  const answers = golden.cases.map(({ answerHex }) => Buffer.from(answerHex, 'hex'));
  for (let round = 0; round < 20_000; round += 1) {
    const whole = answers[random.below(answers.length)]!;
    const cut = whole.subarray(random.below(whole.length), random.below(whole.length) + 1);
    const bytes = Buffer.concat([random.bytes(random.below(20)), cut, random.bytes(random.below(5))]);
    const request = requests[random.below(requests.length)]!;
    const found = findAnswer(bytes, request);
    strayOf(bytes, request);
    if (found === undefined) continue;
    const frame = bytes.subarray(found.start, found.end);
    expect(frame.readUInt16LE(frame.length - 2)).toBe(crc16(frame, 0, frame.length - 2));
  }
});
