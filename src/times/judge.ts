// How far the wall clock can be trusted: a decision on facts, without any I/O.
//
//   what is known of the clock                                   below the floor   above it
//   a time server keeps it                                       unsure (1)        synchronised
//   a battery-backed clock of this machine says the same         unsure            plausible
//   a time service runs, and has not reached a server yet        unsure            unsure
//   no time service runs, or nobody can tell (a container)       unsure            plausible
//
// The floor is the latest time that is known to have been. (1) Below the date of the program itself: a server that was
// right before may correct what this node has seen.

export const TRUSTS = ['auto', 'synchronised', 'always'] as const;
/** `synchronised`: a time server's word alone counts. `always`: the wall clock is never doubted. */
export type Trust = (typeof TRUSTS)[number];

export interface Evidence {
  /** Whether a time server keeps the clock; undefined where nobody can tell. */
  isSynchronised: boolean | undefined;
  /** Who says so, in a few words. */
  by: string;
  /** A time service runs that will set the clock when it can. */
  isServed: boolean;
  /** This machine's own clock chip, ms since 1970; undefined without one. */
  rtcMs: number | undefined;
}

export const NO_EVIDENCE: Evidence = { isSynchronised: undefined, by: '', isServed: false, rtcMs: undefined };

export interface Facts {
  wallMs: number;
  /** The latest time that is known to have been. */
  floorMs: number;
  /** No clock can be right that is before the program itself. */
  builtMs: number;
  trust: Trust;
  evidence: Evidence;
}

export interface Verdict {
  state: 'synchronised' | 'plausible' | 'unsure';
  /** Why, in a few words. */
  why: string;
}

/** A clock chip that has kept the time agrees with the clock that was set by it, but for drift. */
const RTC_AGREES_MS = 120_000;

export function judge({ wallMs, floorMs, builtMs, trust, evidence }: Facts): Verdict {
  if (trust === 'always') return { state: 'plausible', why: 'clock.trust is always' };
  if (wallMs < builtMs) return { state: 'unsure', why: 'it is before headwater was installed' };
  if (evidence.isSynchronised === true) return { state: 'synchronised', why: evidence.by };
  if (trust === 'synchronised') return { state: 'unsure', why: 'no time server keeps it, and clock.trust wants one' };
  if (wallMs < floorMs) return { state: 'unsure', why: 'it is before what this node has seen' };
  if (evidence.rtcMs !== undefined && Math.abs(evidence.rtcMs - wallMs) < RTC_AGREES_MS) {
    return { state: 'plausible', why: 'a real-time clock says the same' };
  }
  if (evidence.isServed) return { state: 'unsure', why: 'the time service has not reached a server yet' };
  return { state: 'plausible', why: 'nobody keeps it, and nothing speaks against it' };
}
