// Which neighbouring sealed segments are cleaned next: pure. Those that give the most for what is written, and never less
// freed than written again. So the card is written at most one byte for each byte that comes free, and what lies on it is at
// most twice what is needed, besides what is written at present.

export interface Candidate {
  id: number;
  /** Of its batches. */
  bytes: number;
  /** What of that is still needed. */
  liveBytes: number;
  /** Something in it has to go, whatever that costs. */
  isOverdue: boolean;
}

export interface ChoiceLimits {
  /** A segment takes no more. */
  liveBytesMax: number;
  /** What is less is not worth a new segment. */
  freedBytesMin: number;
  /** Neighbours up to this size are taken along, so that small segments do not become many. */
  smallBytes: number;
  countMax: number;
}

/** Numbers of the segments, oldest first; undefined when none are worth it. `segments` are all that are sealed, in order. */
export function chooseRun(segments: readonly Candidate[], limits: ChoiceLimits): number[] | undefined {
  let best: { ids: number[]; gain: number } | undefined;
  for (let first = 0; first < segments.length; first += 1) {
    let [live, dead, isOverdue] = [0, 0, false];
    for (let last = first; last < segments.length && last - first < limits.countMax; last += 1) {
      const segment = segments[last]!;
      live += segment.liveBytes;
      dead += segment.bytes - segment.liveBytes;
      isOverdue ||= segment.isOverdue;
      if (live > limits.liveBytesMax && last > first) break;
      // One at the end that is all dead is retention's to remove: nothing has to be written.
      if (segments[first]!.liveBytes === 0) break;
      if (segment.liveBytes === 0) continue;
      const isWorth = (dead >= live && dead >= limits.freedBytesMin) || (isOverdue && last === first);
      const gain = dead - live + (last - first) * limits.smallBytes + (isOverdue ? limits.liveBytesMax : 0);
      if (!isWorth || gain <= (best?.gain ?? -Infinity)) continue;
      best = { ids: segments.slice(first, last + 1).map(({ id }) => id), gain };
    }
  }
  return best?.ids;
}
