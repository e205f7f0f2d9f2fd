// From bytes to years: what the commit setting may cost, and how long the card lasts at the pace that was measured. Pure.

/** What a synced commit writes, whatever it carries: journal, log and metadata of ext4, measured on a disk of its own. */
export const SYNC_BYTES = 17_000;

const DAY_SECONDS = 86_400;
const YEAR_DAYS = 365.25;

export interface Cost {
  bytesPerDay: number;
  /** Of the card, from new; Infinity where nothing is written. */
  years: number;
}

/** What commits may write at most by their fixed part, when somebody publishes all the time. */
export function costOfCommits(intervalMs: number, enduranceBytes: number): Cost {
  const bytesPerDay = (DAY_SECONDS * 1000 * SYNC_BYTES) / intervalMs;
  return { bytesPerDay, years: yearsOf(enduranceBytes, bytesPerDay) };
}

export function perDay(bytes: number, seconds: number): number {
  return seconds > 0 ? (bytes * DAY_SECONDS) / seconds : 0;
}

/** How long `bytes` last; 0 when they are used up. */
export function yearsOf(bytes: number, bytesPerDay: number): number {
  if (bytes <= 0) return 0;
  return bytesPerDay > 0 ? bytes / bytesPerDay / YEAR_DAYS : Infinity;
}
