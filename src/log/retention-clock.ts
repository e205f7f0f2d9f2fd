// What time it is for retention. Records carry the wall clock's time, and without a battery that clock jumps by days or
// years when it first hears from a server: what came in minutes before looks old at once. So a jump counts only when it
// happened longer ago than the records are kept; what was stamped before it is then old by any clock. Jumps are known
// since the start of the process only.

import type { Clock } from '../clock.ts';

/** More than a clock is slewed by between two looks. */
const JUMP_MS = 60_000;
const JUMPS_MAX = 64;

export interface RetentionClock {
  /** Notices a jump since the last look. */
  look(): void;
  /** The wall clock's time, less the jumps ahead that records of up to `ageMs` may not have seen. */
  nowFor(ageMs: number): number;
}

export function openRetentionClock(clock: Clock): RetentionClock {
  const jumps: { atMs: number; byMs: number }[] = [];
  let aheadMs = clock.wallMs() - clock.monotonicMs();

  return {
    look() {
      const before = aheadMs;
      aheadMs = clock.wallMs() - clock.monotonicMs();
      if (Math.abs(aheadMs - before) < JUMP_MS) return;
      jumps.push({ atMs: clock.monotonicMs(), byMs: aheadMs - before });
      if (jumps.length > JUMPS_MAX) jumps.shift();
    },
    nowFor(ageMs) {
      const sinceMs = clock.monotonicMs() - ageMs;
      let summedMs = 0;
      let mostMs = 0;
      for (const { atMs, byMs } of jumps.toReversed()) {
        if (atMs < sinceMs) break;
        // A jump back may undo one ahead: what counts is the furthest behind that any of the clocks was.
        summedMs += byMs;
        mostMs = Math.max(mostMs, summedMs);
      }
      return clock.wallMs() - mostMs;
    },
  };
}
