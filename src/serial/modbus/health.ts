// How one unit does, as a pure state machine: whether it is asked, and when next. A dead unit costs the line one timeout
// an attempt, so attempts at it become rare; any answer, an exception as well, brings it back at once.
//
//   untried ──answer──> answering <──answer── failing <── failure ── answering
//      └──── failure ──────────────────────────> │
//                                                └─ more failures than retries ──> quarantined ──answer──> answering
//
// After a failure a unit is left alone for as long as its timeout: what comes from it in that time is late, and is told
// from an answer to the next request by that. In quarantine one request is tried after `firstMs`, then after twice that,
// and so on up to `maxMs`.

export type HealthState = 'untried' | 'answering' | 'failing' | 'quarantined';

export interface Health {
  state: HealthState;
  /** Since the last answer. */
  failures: number;
  /** Nothing is sent before: an answer to an earlier request may be on its way. */
  settleMs: number;
  /** It is not polled before. */
  pollMs: number;
}

export interface HealthRules {
  retries: number;
  /** Times in quarantine, doubled from one to the other. */
  firstMs: number;
  maxMs: number;
}

export const FIRST_HEALTH: Health = { state: 'untried', failures: 0, settleMs: 0, pollMs: 0 };

export function afterAnswer(): Health {
  return { state: 'answering', failures: 0, settleMs: 0, pollMs: 0 };
}

/** `timeoutMs` is the unit's; it was waited for in vain, or until something unusable came. */
export function afterFailure(health: Health, nowMs: number, timeoutMs: number, rules: HealthRules): Health {
  const failures = health.failures + 1;
  const settleMs = nowMs + timeoutMs;
  const beyond = failures - 1 - rules.retries;
  if (beyond < 0) return { state: 'failing', failures, settleMs, pollMs: settleMs };
  const awayMs = Math.min(rules.maxMs, rules.firstMs * 2 ** Math.min(beyond, 30));
  return { state: 'quarantined', failures, settleMs, pollMs: Math.max(settleMs, nowMs + awayMs) };
}
