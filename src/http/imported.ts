// Which offsets of a source have been imported: ranges `[from, to)` in order, none touching the next. They are kept as a
// mark beside the records that came with them, and are what makes a repeated import harmless. Pure.

export type OffsetRange = readonly [from: number, to: number];

/** A file for each stretch between two losses of a card is a few; more are no imports any more. */
export const RANGES_MAX = 64;

/** What of `range` is in none of `ranges`, in order. */
export function missingOf(ranges: readonly OffsetRange[], [from, to]: OffsetRange): OffsetRange[] {
  const missing: OffsetRange[] = [];
  let at = from;
  for (const [start, end] of ranges) {
    if (end <= at || start >= to) continue;
    if (start > at) missing.push([at, start]);
    at = end;
  }
  if (at < to) missing.push([at, to]);
  return missing;
}

/** `ranges` with `range` in them. */
export function withRange(ranges: readonly OffsetRange[], [from, to]: OffsetRange): OffsetRange[] {
  const apart = ranges.filter(([start, end]) => end < from || start > to);
  const touching = ranges.filter(([start, end]) => end >= from && start <= to);
  const joined: OffsetRange = [
    Math.min(from, ...touching.map(([start]) => start)),
    Math.max(to, ...touching.map(([, end]) => end)),
  ];
  return [...apart, joined].toSorted(([left], [right]) => left - right);
}
