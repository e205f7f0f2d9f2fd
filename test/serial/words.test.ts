import { expect, test } from 'vitest';
import { problemsOf, type PortFacts } from '../../src/serial/words.ts';

const WELL: PortFacts = {
  state: 'open',
  sinceMs: 3_600_000,
  isPaused: false,
  heardMs: 100,
  received: 10_000,
  records: 1000,
  overlong: 0,
  invalid: 0,
  isMaster: false,
};
const { heardMs: _, ...UNHEARD } = WELL;

test.each<[PortFacts, string[]]>([
  [WELL, []],
  [{ ...WELL, lastError: 'the device has gone' }, []],
  [
    { ...WELL, state: 'lost', sinceMs: 125_000, lastError: 'the device has gone' },
    ['lost for 2m 5s: the device has gone'],
  ],
  [{ ...WELL, state: 'opening', sinceMs: 10 }, ['being opened for 0s']],
  [{ ...WELL, state: 'closed' }, []],
  [{ ...UNHEARD, sinceMs: 50_000 }, []],
  [UNHEARD, [expect.stringMatching(/^open for 1h, and not a byte has come: look at the wiring/) as string]],
  [{ ...WELL, heardMs: 7_200_000 }, [expect.stringContaining('not a byte has come') as string]],
  [{ ...UNHEARD, isMaster: true }, []],
  [{ ...WELL, records: 0 }, [expect.stringMatching(/^10000 bytes have come, and no record/) as string]],
  [{ ...WELL, overlong: 2, invalid: 3 }, ['longer than allowed: 2', 'not as it should be: 3']],
  [{ ...WELL, records: 0, frames: 3 }, []],
  [{ ...WELL, invalid: 40, frames: 1000 }, []],
  [{ ...WELL, invalid: 9, frames: 9 }, []],
  [{ ...WELL, invalid: 60, frames: 940 }, ['60 of 1000 frames came damaged: look at the wiring, and at baud']],
  [{ ...WELL, isPaused: true }, [expect.stringMatching(/^held back/) as string]],
])('of %j is said %j', (port, words) => {
  expect(problemsOf(port)).toEqual(words);
});
