// Which transaction is out of time, and when. One timer serves all, by the monotonic clock. When this process stood still,
// what producers said meanwhile lies unread in the sockets: everybody gets that time back.

import type { Clock, Timer } from '../clock.ts';

export interface Deadlines {
  /** `atMs` by the monotonic clock; undefined: none. */
  set(id: string, atMs: number | undefined): void;
  close(): void;
}

const BEAT_MS = 1000;
/** A timer that is so much late tells of a process that stood still, not of one that was busy. */
const STOOD_MS = 500;

/** Calls `onDue` for an id whose time is over, which has no deadline then until it is set again. */
export function createDeadlines(clock: Clock, onDue: (id: string) => void): Deadlines {
  const byId = new Map<string, number>();
  let dueMs = Infinity;
  let timer: Timer | undefined;

  function arm(): void {
    timer?.cancel();
    timer = undefined;
    dueMs = Infinity;
    if (byId.size === 0) return;
    const now = clock.monotonicMs();
    let next = now + BEAT_MS;
    for (const atMs of byId.values()) next = Math.min(next, atMs);
    armFor(Math.max(now, next), now);
  }

  function armFor(atMs: number, now: number): void {
    timer?.cancel();
    dueMs = atMs;
    timer = clock.after(Math.ceil(atMs - now), beat);
  }

  function beat(): void {
    const now = clock.monotonicMs();
    const stoodMs = now - dueMs;
    if (stoodMs > STOOD_MS) for (const [id, atMs] of byId) byId.set(id, atMs + stoodMs);
    const due = [...byId].filter(([, atMs]) => atMs <= now).map(([id]) => id);
    for (const id of due) byId.delete(id);
    for (const id of due) onDue(id);
    arm();
  }

  return {
    set(id, atMs) {
      if (atMs === undefined) byId.delete(id);
      else byId.set(id, atMs);
      if (byId.size === 0) {
        timer?.cancel();
        timer = undefined;
        dueMs = Infinity;
      } else if (atMs !== undefined && (timer === undefined || atMs < dueMs)) {
        const now = clock.monotonicMs();
        armFor(Math.max(now, Math.min(atMs, now + BEAT_MS)), now);
      }
    },
    close() {
      timer?.cancel();
      byId.clear();
    },
  };
}
