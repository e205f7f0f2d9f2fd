// What the host knows of a device's clock: a pure table from the device's milliseconds to the host's monotonic clock, and
// the error of it. firmware-bridge/SPEC.md section 7. Each answer to TIME bounds the moment at which the device's clock
// showed `uptimeMs`: between sending and arrival. The best of the last sixteen is used; its error grows with its age.

/** 100 parts per million: what cheap oscillators and their temperature come to. */
const DRIFT = 100e-6;
const ANSWERS_MAX = 16;

interface Answer {
  uptimeMs: number;
  /** Middle of the span, by the host's monotonic clock. */
  atMs: number;
  halfMs: number;
}

export type ClockMap = readonly Answer[];

export const EMPTY_CLOCK_MAP: ClockMap = [];

/** With one more answer: TIME left at `sentAtMs`, ECHO came at `arrivedAtMs`. */
export function withAnswer(map: ClockMap, uptimeMs: number, sentAtMs: number, arrivedAtMs: number): ClockMap {
  const halfMs = Math.max(0, arrivedAtMs - sentAtMs) / 2;
  return [...map.slice(1 - ANSWERS_MAX), { uptimeMs, atMs: sentAtMs + halfMs, halfMs }];
}

/** When the device's clock showed `timeMs`, by the host's monotonic clock; undefined while no answer has come. */
export function moment(map: ClockMap, timeMs: number, nowMs: number): { atMs: number; errorMs: number } | undefined {
  let best: Answer | undefined;
  for (const answer of map) if (best === undefined || errorOf(answer, nowMs) <= errorOf(best, nowMs)) best = answer;
  if (best === undefined) return undefined;
  // The clock wraps after 49.7 days: the nearest moment is meant.
  const agoMs = (best.uptimeMs - timeMs) | 0;
  return { atMs: best.atMs - agoMs, errorMs: best.halfMs + Math.abs(agoMs) * DRIFT };
}

/** How far off a record of right now would be; undefined while no answer has come. */
export function errorNow(map: ClockMap, nowMs: number): number | undefined {
  return map.length === 0 ? undefined : Math.min(...map.map((answer) => errorOf(answer, nowMs)));
}

function errorOf(answer: Answer, nowMs: number): number {
  return answer.halfMs + Math.max(0, nowMs - answer.atMs) * DRIFT;
}
