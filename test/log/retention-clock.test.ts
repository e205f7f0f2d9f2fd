import { expect, test } from 'vitest';
import { openRetentionClock } from '../../src/log/retention-clock.ts';
import { fakeClock } from '../fakes/clock.ts';

const HOUR_MS = 3_600_000;

function jumping() {
  const monotonic = fakeClock(0);
  let jumpedMs = 0;
  const clock = { ...monotonic, wallMs: () => monotonic.wallMs() + jumpedMs };
  const retention = openRetentionClock(clock);
  return {
    clock,
    nowFor: (ageMs: number) => retention.nowFor(ageMs),
    pass: (ms: number) => monotonic.advance(ms),
    jump(byMs: number) {
      retention.look();
      jumpedMs += byMs;
      retention.look();
    },
  };
}

test('a jump ahead counts when it is longer ago than records are kept', () => {
  const { clock, jump, pass, nowFor } = jumping();
  pass(1000);
  jump(1e12);
  pass(HOUR_MS);
  expect(nowFor(HOUR_MS)).toBe(clock.wallMs() - 1e12);
  expect(nowFor(HOUR_MS - 1)).toBe(clock.wallMs());
  pass(1);
  expect(nowFor(HOUR_MS)).toBe(clock.wallMs());
});

test('a jump back makes nothing older, neither what came before nor what comes after', () => {
  const { clock, jump, nowFor } = jumping();
  jump(-1e6);
  expect(nowFor(HOUR_MS)).toBe(clock.wallMs());
  jump(1e6);
  expect(nowFor(HOUR_MS)).toBe(clock.wallMs() - 1e6);
});

test('an excursion into the future is over when the clock is back', () => {
  const { clock, jump, nowFor } = jumping();
  jump(1e12);
  expect(nowFor(HOUR_MS)).toBe(clock.wallMs() - 1e12);
  jump(-1e12);
  expect(nowFor(HOUR_MS)).toBe(clock.wallMs());
});

test('a clock that is slewed has not jumped', () => {
  const { clock, jump, nowFor } = jumping();
  jump(500);
  expect(nowFor(HOUR_MS)).toBe(clock.wallMs());
});
