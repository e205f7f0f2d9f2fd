// The assignor `uniform`: everybody gets the same number of partitions, as far as subscriptions allow it, and keeps what
// it had as far as that allows it.
//
// On return no partition of a topic that somebody wants is left over, and nobody has two partitions more than one who
// could take one of them.

import { placeOf, type Place, type Share } from './share.ts';
import type { World } from './state.ts';

export interface Subscriber {
  readonly id: string;
  /** The name by which it is ordered among others: a static member's stays over a restart. */
  readonly rank: string;
  /** Names of topics that there are. */
  readonly topics: ReadonlySet<string>;
  /** What it was to have before. */
  readonly target: Share;
}

export type Assignor = (subscribers: readonly Subscriber[], topics: World) => Map<string, Set<Place>>;

interface Load {
  readonly id: string;
  readonly topics: ReadonlySet<string>;
  readonly places: Set<Place>;
}

export const uniform: Assignor = (subscribers, topics) => {
  const loads = subscribers.map(({ id, topics: wanted }): Load => ({ id, topics: wanted, places: new Set() }));
  const topicOf = placesOf(topics);
  const free = new Set(topicOf.keys());
  for (const [index, { target }] of subscribers.entries()) {
    const { topics: wanted, places } = loads[index]!;
    for (const place of target) if (wanted.has(topicOf.get(place) ?? '') && free.delete(place)) places.add(place);
  }
  for (const place of free) lightestOf(loads, topicOf.get(place)!)?.places.add(place);
  balance(loads, topicOf);
  return new Map(loads.map(({ id, places }) => [id, places]));
};

function placesOf(topics: World): Map<Place, string> {
  const found = new Map<Place, string>();
  for (const [name, { id, partitions }] of topics) {
    for (let index = 0; index < partitions; index++) found.set(placeOf(id, index), name);
  }
  return found;
}

function lightestOf(loads: readonly Load[], topic: string): Load | undefined {
  let lightest: Load | undefined;
  for (const load of loads) {
    if (load.topics.has(topic) && load.places.size < (lightest?.places.size ?? Infinity)) lightest = load;
  }
  return lightest;
}

/** Each move makes the sum of squares smaller, so it ends. */
function balance(loads: readonly Load[], topicOf: ReadonlyMap<Place, string>): void {
  for (let hasMoved = true; hasMoved;) {
    hasMoved = false;
    for (const taker of loads.toSorted((a, b) => a.places.size - b.places.size)) {
      while (take(taker, loads, topicOf)) hasMoved = true;
    }
  }
}

/** Moves one partition to `taker` from the one that has most, among those from whom it may. */
function take(taker: Load, loads: readonly Load[], topicOf: ReadonlyMap<Place, string>): boolean {
  let giver: Load | undefined;
  let given: Place | undefined;
  for (const load of loads) {
    if (load.places.size <= Math.max(taker.places.size + 1, giver?.places.size ?? 0)) continue;
    const place = anyOf(load.places, (each) => taker.topics.has(topicOf.get(each)!));
    if (place !== undefined) [giver, given] = [load, place];
  }
  if (giver === undefined || given === undefined) return false;
  giver.places.delete(given);
  taker.places.add(given);
  return true;
}

function anyOf(places: Share, isWanted: (place: Place) => boolean): Place | undefined {
  for (const place of places) if (isWanted(place)) return place;
  return undefined;
}
