// How often a socket is read. When messages come one by one, most of what they cost is the reading; and while a commit
// waits for its credit, what is read early only waits with it. A client that publishes more often than every few
// milliseconds is therefore read again at the next tick, together with all others like it. No acknowledgement comes later
// for that: the log says how long nothing can start that would take more records with it.

import type { Clock, Timer } from '../clock.ts';

/** What is read, and rests. */
export interface Paced {
  /** Of the monotonic clock; the pace's own. */
  lastReadMs: number;
  wake(): void;
}

export interface Pace {
  /** Whether `paced`, which has just been read and gave so much, shall not be read until it is woken. */
  rests(paced: Paced, packets: number, bytes: number): boolean;
  /** Wakes all. */
  close(): void;
}

export const TICK_MS = 20;
/** A read of so much is worth its cost; and who sends so much at once has a window that an acknowledgement opens. */
export const LARGE_BYTES = 8 * 1024;

/** `lull` is the intake's. */
export function createPace(clock: Clock, lull: (msMax: number) => number): Pace {
  let resting: Paced[] = [];
  let timer: Timer | undefined;

  function tick(): void {
    timer = undefined;
    const woken = resting;
    resting = [];
    for (const paced of woken) paced.wake();
  }

  /** Whether there is a next tick, begun here if there may be one. */
  function hasTick(): boolean {
    if (timer !== undefined) return true;
    const restMs = lull(TICK_MS);
    if (restMs > 0) timer = clock.after(restMs, tick);
    return restMs > 0;
  }

  return {
    rests(paced, packets, bytes) {
      const now = clock.monotonicMs();
      const isFrequent = packets > 1 || now - paced.lastReadMs < TICK_MS / 2;
      paced.lastReadMs = now;
      if (!isFrequent || bytes >= LARGE_BYTES || !hasTick()) return false;
      resting.push(paced);
      return true;
    },
    close() {
      timer?.cancel();
      tick();
    },
  };
}
