// Tells when a device has been silent for some time. One timer, set again when it is due rather than for each chunk.
//
// What is not read is not silent: while the port is held back no silence is told of. Nor is it when the timer comes late,
// since the process was busy then and bytes may wait in the kernel: the time runs once more.

import type { Clock, Timer } from '../clock.ts';

export interface Silence {
  /** Bytes came. */
  heard(): void;
  /** The port that was held back is read again. */
  room(): void;
  /** Until the next heard(). */
  cancel(): void;
}

export interface SilenceNeeds {
  clock: Clock;
  idleMs: number;
  isFull: () => boolean;
  onSilence: () => void;
}

/** How late a timer may come for the process to have had time for its ports. */
const LATE_MS = 10;

export function watchSilence({ clock, idleMs, isFull, onSilence }: SilenceNeeds): Silence {
  let timer: Timer | undefined;
  let heardMs = 0;
  let isWaiting = false;

  function arm(delayMs: number): void {
    const dueMs = clock.monotonicMs() + delayMs;
    timer = clock.after(delayMs, () => due(clock.monotonicMs() - dueMs));
  }

  function due(lateMs: number): void {
    timer = undefined;
    const leftMs = heardMs + idleMs - clock.monotonicMs();
    if (leftMs > 0) arm(leftMs);
    else if (lateMs > LATE_MS) arm(idleMs);
    else if (isFull()) isWaiting = true;
    else onSilence();
  }

  return {
    heard() {
      heardMs = clock.monotonicMs();
      isWaiting = false;
      if (timer === undefined) arm(idleMs);
    },
    room() {
      if (isWaiting && timer === undefined) arm(idleMs);
      isWaiting = false;
    },
    cancel() {
      timer?.cancel();
      timer = undefined;
      isWaiting = false;
    },
  };
}
