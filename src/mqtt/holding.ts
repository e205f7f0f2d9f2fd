// Back-pressure of the whole door: while the log is full, or this turn has begun as many deliveries as it may, no socket is
// read. When there is room, connections go on in the order in which they were stopped, and those whose turn did not come
// are first the next time, so that none starves.

import type { Intake } from '../intake/intake.ts';
import type { Router } from './routing.ts';

/** What is stopped and started again. */
export interface Held {
  hold(): void;
  release(): void;
}

export interface Holding {
  /** True while there is no room; then all of `everybody` is held until there is. */
  mustWait(everybody: Iterable<Held>): boolean;
  isHolding(): boolean;
  forget(held: Held): void;
  close(): void;
}

export function createHolding(intake: Intake, router: Router, onFailure: (error: unknown) => void): Holding {
  const closing = new AbortController();
  let waiting = new Set<Held>();
  let isArmed = false;

  const isFull = (): boolean => router.isFull() || intake.isFull();

  function mustWait(everybody: Iterable<Held>): boolean {
    if (!isFull()) return false;
    for (const held of everybody) {
      if (waiting.has(held)) continue;
      waiting.add(held);
      held.hold();
    }
    arm();
    return true;
  }

  function arm(): void {
    if (isArmed) return;
    isArmed = true;
    if (router.isFull()) router.onRoom(release);
    else intake.whenRoom(closing.signal).then(release, onFailure);
  }

  function release(): void {
    isArmed = false;
    const order = [...waiting];
    waiting = new Set();
    for (const [index, held] of order.entries()) {
      if (isFull() && !closing.signal.aborted) {
        waiting = new Set([...order.slice(index), ...waiting]);
        arm();
        return;
      }
      held.release();
    }
  }

  return {
    mustWait,
    isHolding: () => waiting.size > 0,
    forget: (held) => void waiting.delete(held),
    close: () => closing.abort(),
  };
}
