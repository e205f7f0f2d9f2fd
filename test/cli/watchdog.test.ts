// The watchdog: pinged after proof, and not otherwise.
import { expect, test } from 'vitest';
import { watch } from '../../src/cli/watchdog.ts';
import { createTrace } from '../../src/trace.ts';
import { fakeClock } from '../fakes/clock.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function watched(alive: (withinMs: number) => Promise<void>, watchdogMs: number | undefined = 60_000) {
  const clock = fakeClock();
  const seen = { pings: 0, lines: [] as string[] };
  const notifier = {
    watchdogMs,
    ready: () => undefined,
    stopping: () => undefined,
    watchdog: () => void (seen.pings += 1),
  };
  const stop = watch(alive, { notifier, clock, trace: createTrace({ write: (line) => void seen.lines.push(line) }) });
  return { clock, seen, stop };
}

test('each ping follows an append and a sync of the last half interval', async () => {
  const asked: number[] = [];
  const { clock, seen, stop } = watched(async (withinMs) => void asked.push(withinMs));
  for (let round = 0; round < 4; round += 1) {
    clock.advance(30_000);
    await turn();
  }
  expect(seen.pings).toBe(4);
  expect(asked).toEqual([30_000, 30_000, 30_000, 30_000]);
  stop();
  expect(clock.timers()).toBe(0);
});

test('a card that hangs is not pinged for, and is asked once only', async () => {
  let asked = 0;
  const { clock, seen } = watched(() => {
    asked += 1;
    return new Promise(() => undefined);
  });
  clock.advance(300_000);
  await turn();
  expect([seen.pings, asked]).toEqual([0, 1]);
});

test('a card that fails is not pinged for, and is asked again', async () => {
  let isFailing = true;
  const { clock, seen } = watched(async () => {
    if (isFailing) throw new Error('ENOSPC');
  });
  clock.advance(30_000);
  await turn();
  expect(seen.pings).toBe(0);
  expect(seen.lines.join()).toContain('ENOSPC');
  isFailing = false;
  clock.advance(30_000);
  await turn();
  expect(seen.pings).toBe(1);
});

test('without a watchdog nothing is asked', () => {
  const clock = fakeClock();
  const notifier = {
    watchdogMs: undefined,
    ready: () => undefined,
    stopping: () => undefined,
    watchdog: () => undefined,
  };
  watch(() => Promise.reject(new Error('asked')), { notifier, clock, trace: createTrace({ write: () => undefined }) });
  expect(clock.timers()).toBe(0);
});
