// The assignor `range`: of each topic everybody who wants it gets a run of partitions, in the same order for all topics,
// so that members with the same subscriptions have the same numbers of topics that belong together.

import { placeOf, type Place } from './share.ts';
import type { Assignor } from './uniform.ts';

export const range: Assignor = (subscribers, topics) => {
  const shares = new Map(subscribers.map(({ id }) => [id, new Set<Place>()]));
  const ranked = subscribers.toSorted((a, b) => (a.rank < b.rank ? -1 : 1));
  for (const [name, { id, partitions }] of topics) {
    const takers = ranked.filter((each) => each.topics.has(name));
    for (const [index, taker] of takers.entries()) {
      const from = Math.ceil((partitions * index) / takers.length);
      const end = Math.ceil((partitions * (index + 1)) / takers.length);
      for (let partition = from; partition < end; partition++) shares.get(taker.id)!.add(placeOf(id, partition));
    }
  }
  return shares;
};
