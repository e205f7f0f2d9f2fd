// One timer for all that waits in many groups. It also notices when this process stood still: what members said meanwhile
// lies unread in the sockets, so nobody is taken for late for that time. Only the monotonic clock counts.

import type { Clock, Timer } from '../clock.ts';

export interface WakerNeeds {
  clock: Clock;
  /** The process stood still for so long. */
  stood: (byMs: number) => void;
  /** Does what is due, and says when the next is; undefined when nobody waits for anything. */
  beat: (nowMs: number) => number | undefined;
}

/** It looks at least so often. */
const BEAT_MS = 1000;
/** A timer that is so much late tells of a process that stood still, not of one that was busy. */
const STOOD_MS = 500;

export class Waker {
  readonly #needs: WakerNeeds;
  #timer: Timer | undefined;
  #dueMs = Infinity;
  #isClosed = false;

  constructor(needs: WakerNeeds) {
    this.#needs = needs;
  }

  /** Somebody waits until then; Infinity where that is not known. */
  by(wakeMs: number): void {
    if (this.#timer === undefined || wakeMs < this.#dueMs) this.#armFor(wakeMs);
  }

  #armFor(wakeMs: number): void {
    if (this.#isClosed) return;
    this.#timer?.cancel();
    const nowMs = this.#needs.clock.monotonicMs();
    this.#dueMs = Math.max(nowMs, Math.min(wakeMs, nowMs + BEAT_MS));
    this.#timer = this.#needs.clock.after(Math.ceil(this.#dueMs - nowMs), () => this.#beat());
  }

  #beat(): void {
    const { clock, stood, beat } = this.#needs;
    const stoodMs = clock.monotonicMs() - this.#dueMs;
    this.#timer = undefined;
    this.#dueMs = Infinity;
    if (stoodMs > STOOD_MS) stood(stoodMs);
    const wakeMs = beat(clock.monotonicMs());
    if (wakeMs !== undefined) this.#armFor(wakeMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }
}
