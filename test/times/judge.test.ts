// The table of judge.ts.
import { expect, test } from 'vitest';
import { judge, NO_EVIDENCE, type Evidence, type Trust } from '../../src/times/judge.ts';

const BUILT = Date.UTC(2026, 0, 1);
const FLOOR = Date.UTC(2026, 5, 1);
const [BEFORE_ALL, BELOW, ABOVE] = [1000, Date.UTC(2026, 2, 1), Date.UTC(2026, 8, 1)];

const SYNCHRONISED = { isSynchronised: true, by: 'it is kept', isServed: true };
const SERVED = { isSynchronised: false, isServed: true };
const UNSERVED = { isSynchronised: false, isServed: false };

test.each<[string, Partial<Evidence>, Trust, number, string]>([
  ['a time server keeps it', SYNCHRONISED, 'auto', ABOVE, 'synchronised'],
  ['a time server corrects what was seen', SYNCHRONISED, 'auto', BELOW, 'synchronised'],
  ['a time server of 1970', SYNCHRONISED, 'auto', BEFORE_ALL, 'unsure'],
  ['a real-time clock agrees', { ...SERVED, rtcMs: ABOVE + 2000 }, 'auto', ABOVE, 'plausible'],
  ['a real-time clock without its battery', { ...SERVED, rtcMs: 5000 }, 'auto', ABOVE, 'unsure'],
  ['a real-time clock in the past', { ...SERVED, rtcMs: BELOW }, 'auto', BELOW, 'unsure'],
  ['a service that has not reached a server', SERVED, 'auto', ABOVE, 'unsure'],
  ['no service', UNSERVED, 'auto', ABOVE, 'plausible'],
  ['a container', {}, 'auto', ABOVE, 'plausible'],
  ['a container in the past', {}, 'auto', BELOW, 'unsure'],
  ['a container, and a server is wanted', {}, 'synchronised', ABOVE, 'unsure'],
  ['a server is wanted and there', SYNCHRONISED, 'synchronised', ABOVE, 'synchronised'],
  ['whatever it says', SERVED, 'always', BEFORE_ALL, 'plausible'],
])('%s', (_what, evidence, trust, wallMs, state) => {
  const facts = { wallMs, floorMs: FLOOR, builtMs: BUILT, trust, evidence: { ...NO_EVIDENCE, ...evidence } };
  expect(judge(facts)).toMatchObject({ state, why: expect.stringMatching(/./) as string });
});
