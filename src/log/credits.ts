// Commit credits: how the card's wear is kept to what the operator chose. One credit is earned each interval and saved
// up to the burst; a commit costs one. So a short burst sees the card's own latency, and a year of steady load makes one
// commit an interval. A commit of many bytes costs nothing: its share of a sync's fixed cost is small (commits.ts).

export class Credits {
  readonly #intervalMs: number;
  readonly #burst: number;
  #credits: number;
  #atMs: number;

  /** `intervalMs` 0 means that commits cost nothing. The bucket starts full. */
  constructor(intervalMs: number, burstMs: number, nowMs: number) {
    this.#intervalMs = intervalMs;
    this.#burst = intervalMs === 0 ? Infinity : Math.max(1, burstMs / intervalMs);
    this.#credits = this.#burst;
    this.#atMs = nowMs;
  }

  available(nowMs: number): number {
    if (this.#intervalMs === 0) return Infinity;
    const earned = (nowMs - this.#atMs) / this.#intervalMs;
    this.#credits = Math.min(this.#burst, this.#credits + earned);
    this.#atMs = nowMs;
    return this.#credits;
  }

  /** Pays for one commit, if there is a whole credit. */
  take(nowMs: number): boolean {
    if (this.available(nowMs) < 1) return false;
    this.#credits -= 1;
    return true;
  }

  /** A commit that is free was made. A part of a credit is lost: it would soon buy one more commit of a few bytes. */
  restart(): void {
    if (this.#credits < 1) this.#credits = 0;
  }

  /** Milliseconds until there is a whole credit. */
  waitMs(nowMs: number): number {
    const missing = 1 - this.available(nowMs);
    return missing <= 0 ? 0 : missing * this.#intervalMs;
  }
}
