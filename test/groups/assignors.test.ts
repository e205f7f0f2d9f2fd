import { expect, test } from 'vitest';
import { range } from '../../src/groups/incremental/range.ts';
import { uniform, type Subscriber } from '../../src/groups/incremental/uniform.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { places, worldOf } from './play-incremental.ts';

const random = openRandom(printedSeed('test/groups/assignors.test.ts'));

function subscriber(id: string, topics: string[], target = new Set<string>()): Subscriber {
  return { id, rank: id, topics: new Set(topics), target };
}

test('range gives the same run of each topic to the same member', () => {
  const world = worldOf({ t: 5, u: 5 });
  const shares = range([subscriber('b', ['t', 'u']), subscriber('a', ['t', 'u'])], world);
  expect(shares.get('a')).toEqual(new Set([...places('t', 0, 1, 2), ...places('u', 0, 1, 2)]));
  expect(shares.get('b')).toEqual(new Set([...places('t', 3, 4), ...places('u', 3, 4)]));
});

test('uniform moves no more than it must', () => {
  const world = worldOf({ t: 6 });
  const before = uniform([subscriber('a', ['t']), subscriber('b', ['t'])], world);
  const after = uniform(
    [subscriber('a', ['t'], before.get('a')), subscriber('b', ['t'], before.get('b')), subscriber('c', ['t'])],
    world,
  );
  expect(['a', 'b', 'c'].map((id) => after.get(id)!.size)).toEqual([2, 2, 2]);
  for (const id of ['a', 'b']) for (const place of after.get(id)!) expect(before.get(id)!.has(place)).toBe(true);
});

test('whatever members want: each partition has one of those who want it, and nobody could take one of another with two more', () => {
  for (let round = 0; round < 300; round++) {
    const names = Array.from({ length: 1 + random.below(4) }, (_, index) => `t${index}`);
    const world = worldOf(Object.fromEntries(names.map((name) => [name, 1 + random.below(9)])));
    let subscribers: Subscriber[] = [];
    for (let change = 0; change < 3; change++) {
      const kept = subscribers.filter(() => random.below(4) > 0);
      const fresh = Array.from({ length: random.below(4) }, (_, index) => {
        return subscriber(
          `m${change}-${index}`,
          names.filter(() => random.below(3) > 0),
        );
      });
      const wanting = [...kept, ...fresh];
      const shares = uniform(wanting, world);
      for (const [name, { partitions }] of world) {
        const isWanted = wanting.some(({ topics }) => topics.has(name));
        for (const place of places(name, ...Array.from({ length: partitions }, (_, at) => at))) {
          const holders = wanting.filter(({ id }) => shares.get(id)!.has(place));
          expect(holders.length).toBe(isWanted ? 1 : 0);
          if (!isWanted) continue;
          expect(holders[0]!.topics.has(name)).toBe(true);
          const least = Math.min(
            ...wanting.filter(({ topics }) => topics.has(name)).map(({ id }) => shares.get(id)!.size),
          );
          expect(shares.get(holders[0]!.id)!.size - least).toBeLessThan(2);
        }
      }
      subscribers = wanting.map((each) => ({ ...each, target: shares.get(each.id)! }));
    }
  }
});
