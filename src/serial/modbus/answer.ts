// Answers to a Modbus RTU master, out of bytes that may hold anything: noise before the answer, the answer to an earlier
// request, another unit's frame. request.ts draws the frames. Pure, and never throws for what came.
//
// A frame has no mark of its beginning, so an answer is looked for at every place: unit, function, length and sum must all
// be those that the request asks for, and a write must be echoed as it was. What an answer to a read does not say is from
// which address it comes: see line.ts for how a late answer is kept from being taken for the next one.

import { isSealed } from './crc-16.ts';
import { encodeRequest, functionOf, isBits, type Request } from './request.ts';

export type Answer =
  | { kind: 'bits'; bits: boolean[] }
  /** Two bytes a register. */
  | { kind: 'registers'; bytes: Buffer }
  | { kind: 'written' }
  | { kind: 'exception'; code: number };

export interface FoundAnswer {
  answer: Answer;
  /** Where its frame lies. */
  start: number;
  end: number;
}

/** What whole frames that are no answer are: of another unit, for another function, or of another length or echo. */
export type StrayWord = 'unit' | 'function' | 'length';

/** Exceptions, by their code (Modbus Application Protocol, section 7). */
export const EXCEPTION_WORDS: Readonly<Record<number, string>> = {
  1: 'illegal function',
  2: 'illegal data address',
  3: 'illegal data value',
  4: 'device failure',
  5: 'acknowledged, still working',
  6: 'device busy',
  8: 'memory parity error',
  10: 'gateway path unavailable',
  11: 'gateway target does not answer',
};

const EXCEPTION_BYTES = 5;
/** The shortest frame that means something: unit, function, sum. */
const FRAME_BYTES_MIN = 4;

/** Bytes of the frame that answers `request`, unless it is an exception. */
export function answerBytes(request: Request): number {
  return request.kind === 'read' ? 5 + dataBytes(request) : 8;
}

function dataBytes({ table, count }: Extract<Request, { kind: 'read' }>): number {
  return isBits(table) ? Math.ceil(count / 8) : count * 2;
}

/** The first answer to `request` in `bytes`; undefined when none is complete. */
export function findAnswer(bytes: Buffer, request: Request): FoundAnswer | undefined {
  const code = functionOf(request);
  const length = answerBytes(request);
  for (let start = bytes.indexOf(request.unit); start !== -1; start = bytes.indexOf(request.unit, start + 1)) {
    const found = bytes[start + 1];
    if (found === code && isWhole(bytes, start, length)) {
      const answer = answerAt(bytes, start, request);
      if (answer !== undefined) return { answer, start, end: start + length };
    }
    if (found === (code | 0x80) && isWhole(bytes, start, EXCEPTION_BYTES)) {
      const answer: Answer = { kind: 'exception', code: bytes[start + 2]! };
      return { answer, start, end: start + EXCEPTION_BYTES };
    }
  }
  return undefined;
}

function isWhole(bytes: Buffer, start: number, length: number): boolean {
  return start + length <= bytes.length && isSealed(bytes, start, start + length - 2);
}

function answerAt(bytes: Buffer, start: number, request: Request): Answer | undefined {
  if (request.kind !== 'read') return isEcho(bytes, start, request) ? { kind: 'written' } : undefined;
  const length = dataBytes(request);
  if (bytes[start + 2] !== length) return undefined;
  const data = bytes.subarray(start + 3, start + 3 + length);
  if (!isBits(request.table)) return { kind: 'registers', bytes: Buffer.from(data) };
  const bits = Array.from({ length: request.count }, (_, at) => ((data[at >> 3]! >> (at & 7)) & 1) === 1);
  return { kind: 'bits', bits };
}

/** The answer to a write repeats the first six bytes of its request. */
function isEcho(bytes: Buffer, start: number, request: Request): boolean {
  return bytes.subarray(start, start + 6).equals(encodeRequest(request).subarray(0, 6));
}

/** What `bytes`, all that came between two silences, are if they are a whole frame; undefined: noise, or a wrong sum. */
export function strayOf(bytes: Buffer, request: Request): StrayWord | undefined {
  if (bytes.length < FRAME_BYTES_MIN || !isSealed(bytes, 0, bytes.length - 2)) return undefined;
  if (bytes[0] !== request.unit) return 'unit';
  return (bytes[1]! & 0x7f) === functionOf(request) ? 'length' : 'function';
}
