// Modbus frames in the words that `serial monitor` shows.
import { expect, test } from 'vitest';
import type { Result } from '../../../src/serial/modbus/line.ts';
import type { Request } from '../../../src/serial/modbus/request.ts';
import { requestWords, resultWords } from '../../../src/serial/modbus/words.ts';

test.each<[Request, string]>([
  [{ kind: 'read', unit: 3, table: 'input', address: 6, count: 2 }, 'unit 3: read input 6 to 7'],
  [{ kind: 'read', unit: 3, table: 'coil', address: 0, count: 1 }, 'unit 3: read coil 0'],
  [
    { kind: 'write-bits', unit: 0, address: 4, bits: [true, false], isSingle: false },
    'all units: write coil 4 to 5: 1 0',
  ],
  [
    { kind: 'write-registers', unit: 1, address: 9, bytes: Buffer.of(1, 2, 3, 4), isSingle: false },
    'unit 1: write holding 9 to 10: 01020304',
  ],
])('%j', (request, words) => expect(requestWords(request)).toBe(words));

test.each<[Result, string]>([
  [{ kind: 'bits', bits: [true, false, true] }, '1 0 1'],
  [{ kind: 'registers', bytes: Buffer.of(0, 1, 255, 255) }, '0001 ffff'],
  [{ kind: 'written' }, 'written'],
  [{ kind: 'exception', code: 2 }, 'exception 2 illegal data address'],
  [{ kind: 'failure', failure: 'timeout' }, 'no answer'],
  [{ kind: 'failure', failure: 'crc' }, 'a damaged answer'],
  [{ kind: 'broadcast' }, 'a broadcast, which nobody answers'],
])('%j', (result, words) => expect(resultWords(result)).toBe(words));
