// Back-pressure of the whole door: while commits are behind, or this turn has begun as many deliveries as it may, no socket
// is read. While there is no room for records, which may last for days, only those are held that publish. When there is room, connections go on in the order in which they were stopped, and those whose turn did not come
// are first the next time, so that none starves.

import type { Intake } from '../intake/intake.ts';
import type { Router } from './routing.ts';

/** What is stopped and started again. */
export interface Held {
  hold(): void;
  release(): void;
}

export interface Holding {
  /** True while `publisher` has to wait; then it is held until there is room, and `everybody` where that is soon. */
  mustWait(publisher: Held, everybody: Iterable<Held>): boolean;
  isHolding(): boolean;
  /** Each second: where it has become a matter of days, those who do not publish go on. */
  check(): void;
  forget(held: Held): void;
  close(): void;
}

export function createHolding(intake: Intake, router: Router, onFailure: (error: unknown) => void): Holding {
  const closing = new AbortController();
  let waiting = new Set<Held>();
  let isArmed = false;
  let wasRefused = false;

  const isFull = (): boolean => router.isFull() || intake.isFull();

  function mustWait(publisher: Held, everybody: Iterable<Held>): boolean {
    if (!isFull()) return false;
    for (const held of intake.refusal() === undefined ? everybody : [publisher]) {
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

  function check(): void {
    const isRefused = intake.refusal() !== undefined;
    if (isRefused && !wasRefused) {
      const everybody = waiting;
      waiting = new Set();
      for (const held of everybody) held.release();
    }
    wasRefused = isRefused;
  }

  return {
    check,
    mustWait,
    isHolding: () => waiting.size > 0,
    forget: (held) => void waiting.delete(held),
    close: () => closing.abort(),
  };
}
