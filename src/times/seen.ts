// What this node has seen of the time, kept over restarts: one mark, `clock/seen`, of some 300 bytes. It is kept a minute
// after the start, each hour, when the clock jumps or becomes known, and at the stop; after a crash the node knows that
// no less time has passed.

import type { Jump } from './jumps.ts';

export const SEEN_KEY = 'clock/seen';

export interface Seen {
  bootId: string;
  /** Monotonic time of that boot when it was kept. */
  upMs: number;
  /** Whether the time was known in that boot. */
  isKnown: boolean;
  /** The last time that was known; undefined: none ever was. */
  timeMs?: number;
  /** A time server had given it. */
  isSynchronised: boolean;
  floorMs: number;
  /** Time that had surely passed since headwater came to this card. */
  passedMs: number;
  jumps: Jump[];
}

export function encodeSeen(seen: Seen): Buffer {
  return Buffer.from(JSON.stringify(seen));
}

/** Undefined when there is none. */
export function decodeSeen(entries: Iterable<[key: string, value: Buffer]>): Seen | undefined {
  for (const [key, value] of entries) if (key === SEEN_KEY) return JSON.parse(value.toString('utf8')) as Seen;
  return undefined;
}
