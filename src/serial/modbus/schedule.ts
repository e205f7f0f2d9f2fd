// Which poll is next on a line, over many units and intervals. Pure: (schedule, moment) -> what to ask.
//
// - Drift-free: a poll is due at its start plus a whole number of intervals, plus a jitter that is drawn anew each time and
//   never adds up. Slots that passed while the line was busy or the unit away are skipped and counted, not made up for.
// - Fair: of all that is due, the unit that was asked longest ago comes first, and of its polls the one that waits longest.
//   So a unit with a hundred registers, or a line that is too slow for its intervals, starves nobody.

export interface Slot {
  unit: number;
  intervalMs: number;
  jitterMs: number;
}

export interface Due {
  /** Its grid: startMs plus slots times the interval. */
  startMs: number;
  slots: number;
  dueMs: number;
}

/** When each poll of `slots` is due for the first time: at once, each by its jitter. */
export function firstDues(slots: readonly Slot[], nowMs: number, random: () => number): Due[] {
  return slots.map(({ jitterMs }) => ({ startMs: nowMs, slots: 0, dueMs: nowMs + jitterMs * random() }));
}

/** The poll after this one, which was asked at `nowMs`. */
export function nextDue(due: Due, { intervalMs, jitterMs }: Slot, nowMs: number, random: () => number): Due {
  const passed = Math.floor((nowMs - due.startMs) / intervalMs);
  const slots = Math.max(due.slots, passed) + 1;
  const dueMs = due.startMs + slots * intervalMs + jitterMs * random();
  return { startMs: due.startMs, slots, dueMs };
}

export interface Choice {
  /** Index of the poll that may be asked now. */
  next?: number;
  /** Otherwise when one may be; undefined where there is none at all. */
  atMs?: number;
}

/** `pollMs` says before when a unit is not to be polled, `askedMs` when it was last asked. */
export function choose(
  slots: readonly Slot[],
  dues: readonly Due[],
  nowMs: number,
  pollMs: (unit: number) => number,
  askedMs: (unit: number) => number,
): Choice {
  let next: number | undefined;
  let atMs = Infinity;
  for (const [index, { unit }] of slots.entries()) {
    const freeMs = Math.max(dues[index]!.dueMs, pollMs(unit));
    if (freeMs > nowMs) atMs = Math.min(atMs, freeMs);
    else if (next === undefined || isBefore(index, next)) next = index;
  }
  if (next !== undefined) return { next };
  return atMs === Infinity ? {} : { atMs };

  function isBefore(left: number, right: number): boolean {
    const byUnit = askedMs(slots[left]!.unit) - askedMs(slots[right]!.unit);
    return byUnit === 0 ? dues[left]!.dueMs < dues[right]!.dueMs : byUnit < 0;
  }
}
