// The one place that knows the time. Rooms are handed a Clock, so that tests can hand them another. Durations and
// deadlines use monotonicMs only: the wall clock of a device without a battery jumps by years.

export interface Timer {
  cancel(): void;
}

/** While nobody knows what time it is. */
export interface ClockDoubt {
  /** The number of this boot, which stands in the batches that are stamped by it, and the kernel's name for it. */
  readonly boot: number;
  readonly bootId: string;
  /** Monotonic milliseconds of this boot at a moment of wallMs(). */
  upMs(stampMs: number): number;
  /** Records that were stamped so since the start. */
  records: number;
  /** Set when it is over: what is to be added to a time that was taken meanwhile. */
  shiftMs?: number;
}

export interface Clock {
  /** Milliseconds since 1970 by the wall clock; may jump either way. */
  wallMs(): number;
  /**
   * Set while nobody knows what time it is: wallMs() then counts on from the latest time that is known to have been, and
   * what is stamped by it is corrected later, see times/.
   */
  readonly doubt?: ClockDoubt | undefined;
  /** What the system's own clock says, which certificates are checked by, believed or not. Default: wallMs(). */
  systemMs?(): number;
  /** Milliseconds, with fractions, since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Calls `fn` once after `delayMs`. A pending timer does not keep the process alive. */
  after(delayMs: number, fn: () => void): Timer;
  /** Calls `fn` every `intervalMs` until cancelled. Does not keep the process alive. */
  every(intervalMs: number, fn: () => void): Timer;
  /** Resolves after `delayMs`; at once, without an error, when `signal` aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every(intervalMs, fn) {
    const timer = setInterval(fn, intervalMs);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
  sleep(delayMs, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const timer = setTimeout(done, delayMs);
      timer.unref();
      function done(): void {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      }
      signal?.addEventListener('abort', done, { once: true });
    });
  },
};

/** Milliseconds since this machine was started, the same for all its processes; never goes back. */
export function machineUptimeMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** The longest that Node can wait. */
const HOLD_MS = 2 ** 31 - 1;

/** Keeps the process alive until cancelled: no timer of a Clock does, and not every room has a socket that does. */
export function holdProcess(): Timer {
  const timer = setInterval(() => undefined, HOLD_MS);
  return { cancel: () => clearInterval(timer) };
}
