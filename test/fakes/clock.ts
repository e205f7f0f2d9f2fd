// A clock that stands still until the test moves it.

import type { Clock, Timer } from '../../src/clock.ts';

export interface FakeClock extends Clock {
  /** Moves both clocks on, and calls what has come due, in order. */
  advance(ms: number): void;
  /** Timers that wait. */
  timers(): number;
}

interface Due {
  atMs: number;
  everyMs: number | undefined;
  fn: () => void;
}

export function fakeClock(wallMs = 1_800_000_000_000): FakeClock {
  const startMs = wallMs;
  const pending = new Set<Due>();
  let nowMs = 0;

  function add(delayMs: number, everyMs: number | undefined, fn: () => void): Timer {
    const due = { atMs: nowMs + delayMs, everyMs, fn };
    pending.add(due);
    return { cancel: () => void pending.delete(due) };
  }

  return {
    wallMs: () => startMs + nowMs,
    monotonicMs: () => nowMs,
    after: (delayMs, fn) => add(delayMs, undefined, fn),
    every: (intervalMs, fn) => add(intervalMs, intervalMs, fn),
    sleep(delayMs, signal) {
      return new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const timer = add(delayMs, undefined, resolve);
        signal?.addEventListener('abort', () => {
          timer.cancel();
          resolve();
        });
      });
    },
    timers: () => pending.size,
    advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const next = [...pending].toSorted((left, right) => left.atMs - right.atMs)[0];
        if (next === undefined || next.atMs > endMs) break;
        nowMs = next.atMs;
        if (next.everyMs === undefined) pending.delete(next);
        else next.atMs += next.everyMs;
        next.fn();
      }
      nowMs = endMs;
    },
  };
}
