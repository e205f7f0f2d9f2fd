// How far a long job has come, for a person who waits: one line that is written over, a few times a second, and only where
// standard error is a terminal.

import { formatAge, formatAmount } from '../config-units.ts';
import type { Terminal } from './terminal.ts';

export interface Progress {
  /** So many bytes more are done. */
  add(bytes: number): void;
  /** Removes the line. */
  end(): void;
}

const LOOK_MS = 250;
/** To the start of the line, and clear to its end: ECMA-48 EL. */
const AGAIN = '\r\u001b[K';

/** `what` as in `verified`; `totalBytes` as far as it is known before. */
export function openProgress({ err, clock }: Terminal, what: string, totalBytes: number): Progress {
  if (err.isTTY !== true) return { add: () => undefined, end: () => undefined };
  const startMs = clock.monotonicMs();
  let [doneBytes, shownMs] = [0, startMs];

  function show(nowMs: number): void {
    shownMs = nowMs;
    const seconds = Math.max(0.001, (nowMs - startMs) / 1000);
    const pace = doneBytes / seconds;
    // More may come in than there was at the start.
    const share = totalBytes > 0 ? Math.min(100, Math.floor((100 * doneBytes) / totalBytes)) : 100;
    const leftMs = pace > 0 ? (1000 * Math.max(0, totalBytes - doneBytes)) / pace : 0;
    err.write(
      `${AGAIN}${what} ${formatAmount(doneBytes)}, ${share} %, ${formatAmount(pace)} a second, ${formatAge(leftMs)} left`,
    );
  }

  return {
    add(bytes) {
      doneBytes += bytes;
      const nowMs = clock.monotonicMs();
      if (nowMs - shownMs >= LOOK_MS) show(nowMs);
    },
    end() {
      if (doneBytes > 0) err.write(AGAIN);
    },
  };
}
