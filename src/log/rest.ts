// When a commit that is large enough to be free starts. Each sync costs the card some 20 KB beside the bytes that it
// carries, so a commit of 64 KiB rests for some milliseconds while more bytes keep coming. It does not where resting would
// only make publishers wait: they have a window, and send nothing until what they have sent is acknowledged.

/** A commit of this many bytes costs no credit: its share of a sync's fixed cost is small. Counted before compression. */
export const FREE_BYTES = 64 * 1024;
/** What so many bytes gain by waiting for more is little. */
export const FULL_BYTES = 128 * 1024;

const LOOK_MS = 2;
const REST_MS_MAX = 25;

export class Rest {
  #endedMs = -Infinity;
  #tookMs = 0;
  #resting: { sinceMs: number; bytes: number } | undefined;

  /** The commit before has ended, after `tookMs`. */
  ended(nowMs: number, tookMs: number): void {
    this.#endedMs = nowMs;
    this.#tookMs = tookMs;
    this.#resting = undefined;
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
      return LOOK_MS;
    }
    if (bytes === this.#resting.bytes || nowMs - this.#resting.sinceMs >= REST_MS_MAX) return 0;
    this.#resting.bytes = bytes;
    return LOOK_MS;
  }
}
