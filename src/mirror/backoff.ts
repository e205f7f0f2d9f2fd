// Delays between attempts: doubling, and spread from the first one on, so that a fleet of nodes whose upstream came back
// does not arrive at once.

export interface Backoff {
  /** The next delay, ms: between half and one and a half times what doubling gives. */
  nextMs(): number;
  /** An attempt succeeded: the next delay is a first one again. */
  reset(): void;
}

export function createBackoff(firstMs: number, maxMs: number): Backoff {
  let currentMs = firstMs;
  return {
    nextMs() {
      const delayMs = currentMs * (0.5 + Math.random());
      currentMs = Math.min(currentMs * 2, maxMs);
      return delayMs;
    },
    reset() {
      currentMs = firstMs;
    },
  };
}
