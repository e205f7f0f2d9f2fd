// Members of KIP-848's protocol that do anything at any time, whose answers are lost, whose topics come and go: two never
// read the same partition, and when all is calm everybody has its part of everything.

import { expect, test } from 'vitest';
import { stateOf, type Group } from '../../src/groups/incremental/state.ts';
import { wakeMs } from '../../src/groups/incremental/step.ts';
import { openRandom, printedSeed, type Random } from '../fuzz/random.ts';
import { PlayedIncremental } from './play-incremental.ts';

const seed = printedSeed('test/groups/incremental-chance.test.ts');
const PLAYS = 150;
const MOVES = 150;

function topicsOf(random: Random): Record<string, number> {
  const names = ['t', 'u', 'v'].filter(() => random.below(4) > 0);
  return Object.fromEntries(names.map((name) => [name, 1 + random.below(6)]));
}

function move(group: PlayedIncremental, random: Random, count: number): void {
  const ids = [...group.players.keys()];
  const id = ids.length === 0 ? undefined : random.pick(ids);
  const names = ['t', 'u', 'v'].filter(() => random.below(2) === 0);
  const play = (): void => void (id !== undefined && group.play(id));
  const moves: (() => void)[] = [
    () => void group.join(`m${count}`, { names, instanceId: random.below(4) === 0 ? `i${random.below(3)}` : null }),
    () => void (id !== undefined && group.play(id, { names })),
    () => void (id !== undefined && group.playInVain(id)),
    () => id !== undefined && random.below(3) === 0 && goes(group, id, random),
    () => group.pass(random.below(3000)),
    () => group.topics(topicsOf(random), random.below(5) === 0 ? `-${count}` : ''),
    () => void (id !== undefined && group.join(id, { names: group.players.get(id)!.names })),
    play,
    play,
    play,
    play,
  ];
  random.pick(moves)();
}

function goes(group: PlayedIncremental, id: string, random: Random): void {
  const { instanceId } = group.players.get(id)!;
  group.players.delete(id);
  // Some are killed instead.
  if (random.below(2) === 0) group.beat(id, instanceId === null ? -1 : -2, { instanceId });
}

function must(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

function check({ group, players }: PlayedIncremental, before: Group): void {
  must(group.epoch >= before.epoch, 'an epoch never comes again');
  must(group.members.size <= 10, 'a group has no more members than it may');
  must(group.members.size === 0 || wakeMs(group) < Infinity, 'who falls silent is missed');
  const holders = new Map<string, string>();
  for (const { id, epoch, assigned, revoking } of group.members.values()) {
    must(epoch <= group.epoch, 'no member is ahead of its group');
    for (const place of [...assigned, ...revoking]) {
      must(!holders.has(place), `${place} has one member`);
      holders.set(place, id);
    }
  }
  // What a client believes to have is a part of what the node takes it to have.
  for (const { id, owned } of players.values()) {
    if (!group.members.has(id)) continue;
    for (const place of owned) must(holders.get(place) === id, `${id} has ${place}, but the node does not know`);
  }
}

test('whatever members do, no partition has two of them, and when it is calm all are shared out', () => {
  const random = openRandom(seed);
  let epochs = 0;
  for (let play = 0; play < PLAYS; play++) {
    const group = new PlayedIncremental(topicsOf(random));
    for (let count = 0; count < MOVES; count++) {
      const before = group.group;
      move(group, random, count);
      check(group, before);
    }
    epochs += group.group.epoch;
    // Who was killed is missed; who was fenced is gone from the play.
    for (let passed = 0; passed < 12; passed++) {
      group.pass(1000);
      for (const id of group.players.keys()) group.play(id);
    }
    if (group.players.size > 0) {
      group.settle();
      expect(stateOf(group.group)).toBe('Stable');
      const wanted = [...group.group.subscribed.values()].reduce((sum, { partitions }) => sum + partitions, 0);
      expect(group.sizes().reduce((sum, size) => sum + size, 0)).toBe(wanted);
    }
    group.players.clear();
    group.pass(3_600_000);
    expect(group.group.members.size).toBe(0);
  }
  expect(epochs).toBeGreaterThan(PLAYS);
});
