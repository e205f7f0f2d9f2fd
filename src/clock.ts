// The one place that knows the time. Rooms are handed a Clock, so that tests can hand them another. Durations and
// deadlines use monotonicMs only: the wall clock of a device without a battery jumps by years.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970 by the wall clock; may jump either way. */
  wallMs(): number;
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

/** The longest that Node can wait. */
const HOLD_MS = 2 ** 31 - 1;

/** Keeps the process alive until cancelled: no timer of a Clock does, and not every room has a socket that does. */
export function holdProcess(): Timer {
  const timer = setInterval(() => undefined, HOLD_MS);
  return { cancel: () => clearInterval(timer) };
}
