// When a commit that is large enough to be free starts. Each sync costs the card some 20 KB beside the bytes that it
// carries, so a commit of 64 KiB rests for some milliseconds while more bytes keep coming. It does not where resting would
// only make publishers wait: they have a window, and send nothing until what they have sent is acknowledged.

/** A commit of this many bytes costs no credit: its share of a sync's fixed cost is small. Counted before compression. */
export const FREE_BYTES = 64 * 1024;
/** What so many bytes gain by waiting for more is little. */
export const FULL_BYTES = 128 * 1024;

const LOOK_MS = 2;
const REST_MS_MAX = 25;
/** A sync that takes longer is worth waiting for what its end makes publishers send. */
const SLOW_SYNC_MS = 8;

export class Rest {
  #endedMs = -Infinity;
  #tookMs = 0;
  /** How fast the bytes of the last commit came, from the end of the one before on. */
  #bytesPerMs = 0;
  #expectedMs = -Infinity;
  #resting: { sinceMs: number; bytes: number } | undefined;
  #answers = { lookedMs: -Infinity, bytes: 0 };

  /** Doors read nothing before `atMs`: there is no use in looking earlier. */
  expect(atMs: number): void {
    this.#expectedMs = atMs;
  }

  /** A commit of `bytes` has started. */
  started(nowMs: number, bytes: number): void {
    this.#bytesPerMs = bytes / Math.max(1, nowMs - this.#endedMs);
  }

  /**
   * For how many milliseconds doors may read nothing, with `bytes` in the commit that is gathered: until it is free, if
   * bytes come as fast as for the one before, and then until it has rested for long. 0 when they come faster than that.
   */
  lullMs(nowMs: number, bytes: number): number {
    if (FREE_BYTES / this.#bytesPerMs < REST_MS_MAX) return 0;
    if (bytes < FREE_BYTES) return (FREE_BYTES - bytes) / this.#bytesPerMs;
    return this.#resting === undefined ? 0 : REST_MS_MAX - (nowMs - this.#resting.sinceMs);
  }

  /** The commit before has ended, after `tookMs`. */
  ended(nowMs: number, tookMs: number): void {
    this.#endedMs = nowMs;
    this.#tookMs = tookMs;
    this.#resting = undefined;
    this.#answers = { lookedMs: nowMs, bytes: 0 };
  }

  /**
   * After a slow sync: milliseconds until the commit of `bytes` is looked at again, 0 when it need not wait. Acknowledged
   * publishers fill their windows anew, and what the next commit misses of that waits for a whole sync more. So it starts
   * when nothing has come since the last look, or half a sync has passed.
   */
  answersMs(nowMs: number, bytes: number): number {
    if (this.#tookMs < SLOW_SYNC_MS || nowMs - this.#endedMs >= this.#tookMs / 2) return 0;
    const { lookedMs, bytes: lookedBytes } = this.#answers;
    const restMs = lookedMs + LOOK_MS - nowMs;
    if (restMs > 0) return Math.ceil(restMs);
    this.#answers = { lookedMs: nowMs, bytes };
    return bytes === lookedBytes ? 0 : LOOK_MS;
  }

  /**
   * Milliseconds until a commit of `bytes`, FREE_BYTES or more, starts or is looked at again; 0 when it starts: it is
   * full, or nothing has come since the last look, or it has rested for long, or the card is busy.
   */
  waitMs(nowMs: number, bytes: number): number {
    if (bytes >= FULL_BYTES) return 0;
    if (this.#resting === undefined) {
      // At full speed the card's time is what publishers wait for.
      if (nowMs - this.#endedMs < this.#tookMs) return 0;
      this.#resting = { sinceMs: nowMs, bytes };
      return this.#lookMs(nowMs);
    }
    if (bytes === this.#resting.bytes || nowMs - this.#resting.sinceMs >= REST_MS_MAX) return 0;
    this.#resting.bytes = bytes;
    return this.#lookMs(nowMs);
  }

  #lookMs(nowMs: number): number {
    return Math.max(LOOK_MS, Math.ceil(this.#expectedMs - nowMs) + 1);
  }
}
