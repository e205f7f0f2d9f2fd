// What time has surely passed since headwater came to this card, and by how much the wall clock has jumped meanwhile: both
// counted over restarts and boots. While the machine is off nobody knows how long that is, but where time servers kept the
// clock before and keep it again; else the gap counts as a jump. No I/O; moments are monotonic ms of this boot.

import { behindMs, JUMP_MS, withJump, type Jump } from './jumps.ts';
import type { Seen } from './seen.ts';

export class Passage {
  jumps: readonly Jump[] = [];
  /** Less the monotonic time of this boot. */
  #passedMs = 0;
  /** What is known of an earlier boot, until the time is known in this one. */
  #before: Seen | undefined;

  /** What was kept by an earlier process, in this boot or in another one. */
  recall(found: Seen, isSameBoot: boolean): void {
    this.jumps = found.jumps;
    this.#passedMs = isSameBoot ? found.passedMs - found.upMs : found.passedMs;
    if (!isSameBoot || !found.isKnown) this.#before = found;
  }

  /** The time is known for the first time in this boot, which began at `beganMs`. Returns the jump that this is, if it is one. */
  begin(beganMs: number, isSynchronised: boolean): number | undefined {
    const before = this.#before;
    this.#before = undefined;
    // Nothing was ever stamped by a clock that was believed.
    if (before?.timeMs === undefined) return undefined;
    const byMs = beganMs - before.timeMs;
    if (before.isSynchronised && isSynchronised) {
      this.#passedMs += Math.max(0, byMs);
      return undefined;
    }
    if (Math.abs(byMs) < JUMP_MS) return undefined;
    this.jump(0, byMs);
    return byMs;
  }

  jump(upMs: number, byMs: number): void {
    this.jumps = withJump(this.jumps, { atMs: this.#passedMs + upMs, byMs });
  }

  /** How far behind its present time the clock may have been in the last `ageMs`. */
  behindMs(upMs: number, ageMs: number): number {
    return behindMs(this.jumps, this.#passedMs + upMs - ageMs);
  }

  /** What is to be kept of it. While the time is not known, what the boot before knew is the last that is. */
  kept(upMs: number): Pick<Seen, 'passedMs' | 'jumps' | 'timeMs' | 'isSynchronised'> {
    const timeMs = this.#before?.timeMs;
    return {
      passedMs: this.#passedMs + upMs,
      jumps: [...this.jumps],
      isSynchronised: this.#before?.isSynchronised ?? false,
      ...(timeMs !== undefined && { timeMs }),
    };
  }
}
