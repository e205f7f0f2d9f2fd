// By how much the wall clock may have been behind when records were stamped. Without a battery it jumps by days or years
// when it first hears from a server, and while a machine is off nobody knows how long that was: what came in minutes
// before looks old at once. So a jump counts until the node has run longer than records are kept since: what was stamped
// before it is then old by any clock. Pure; `atMs` is time that has surely passed, counted over restarts.

export interface Jump {
  atMs: number;
  byMs: number;
}

/** More than a clock is slewed by between two looks. */
export const JUMP_MS = 60_000;

const JUMPS_MAX = 64;

/** With one more, `JUMPS_MAX` at most: the two oldest become one that counts for no less than either. */
export function withJump(jumps: readonly Jump[], jump: Jump): Jump[] {
  const [first, second, ...rest] = [...jumps, jump];
  if (rest.length + 2 <= JUMPS_MAX) return [...jumps, jump];
  const byMs = Math.max(second!.byMs, first.byMs + second!.byMs);
  return [{ atMs: second!.atMs, byMs }, ...rest];
}

/** How far behind any of the clocks since `sinceMs` was, of the present one; 0 when none was. */
export function behindMs(jumps: readonly Jump[], sinceMs: number): number {
  let summedMs = 0;
  let mostMs = 0;
  for (const { atMs, byMs } of jumps.toReversed()) {
    if (atMs < sinceMs) break;
    // A jump back may undo one ahead: what counts is the furthest behind that any of the clocks was.
    summedMs += byMs;
    mostMs = Math.max(mostMs, summedMs);
  }
  return mostMs;
}
