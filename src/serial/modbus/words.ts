// Requests and what came of them in words, for whoever looks on at a Modbus line. Pure.

import { exceptionWord } from './counts.ts';
import type { Failure, Result } from './line.ts';
import { BROADCAST, type Request } from './request.ts';

const FAILURES: Record<Failure, string> = {
  timeout: 'no answer',
  crc: 'a damaged answer',
  unit: 'an answer of another unit',
  function: 'an answer to another function',
  length: 'an answer of another length',
  closed: 'the port has gone',
};

export function requestWords(request: Request): string {
  const to = request.unit === BROADCAST ? 'all units' : `unit ${request.unit}`;
  switch (request.kind) {
    case 'read':
      return `${to}: read ${request.table} ${span(request.address, request.count)}`;
    case 'write-bits':
      return `${to}: write coil ${span(request.address, request.bits.length)}: ${request.bits.map(Number).join(' ')}`;
    default:
      return `${to}: write holding ${span(request.address, request.bytes.length / 2)}: ${request.bytes.toString('hex')}`;
  }
}

export function resultWords(result: Result): string {
  switch (result.kind) {
    case 'bits':
      return result.bits.map(Number).join(' ');
    case 'registers':
      return result.bytes.toString('hex').replaceAll(/.{4}(?=.)/g, '$& ');
    case 'exception':
      return `exception ${exceptionWord(result.code)}`;
    case 'failure':
      return FAILURES[result.failure];
    case 'written':
      return 'written';
    default:
      return 'a broadcast, which nobody answers';
  }
}

function span(address: number, count: number): string {
  return count === 1 ? String(address) : `${address} to ${address + count - 1}`;
}
