// The partitions that a member has or shall have, as a set of texts: two shares have much to do with one another.

/** One partition: its topic's id in base64url, a blank, its number. */
export type Place = string;
export type Share = ReadonlySet<Place>;

export const NOTHING: Share = new Set();

export function placeOf(topicId: string, partition: number): Place {
  return `${topicId} ${partition}`;
}

/** The partitions of a share, by topic id. */
export function byTopic(share: Share): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const place of share) {
    const [topicId = '', partition = ''] = place.split(' ');
    const partitions = found.get(topicId);
    if (partitions === undefined) found.set(topicId, [Number(partition)]);
    else partitions.push(Number(partition));
  }
  return found;
}

export function common(left: Share, right: Share): Share {
  return filtered(left, (place) => right.has(place));
}

export function without(left: Share, right: Share): Share {
  return filtered(left, (place) => !right.has(place));
}

export function together(left: Share, right: Share): Share {
  return right.size === 0 ? left : new Set([...left, ...right]);
}

/** Whether the left one has nothing that the right one has not. */
export function isWithin(left: Share, right: Share): boolean {
  return without(left, right).size === 0;
}

export function isSame(left: Share, right: Share): boolean {
  return left === right || (left.size === right.size && isWithin(left, right));
}

function filtered(share: Share, isWanted: (place: Place) => boolean): Share {
  const found = [...share].filter(isWanted);
  if (found.length === share.size) return share;
  return found.length === 0 ? NOTHING : new Set(found);
}
