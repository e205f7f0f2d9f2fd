// Groups whose members do anything at any time: what must hold whatever they do.

import { expect, test } from 'vitest';
import type { Group } from '../../src/groups/state.ts';
import { bytesOf } from '../../src/groups/state.ts';
import { wakeMs } from '../../src/groups/group.ts';
import { openRandom, printedSeed, type Random } from '../fuzz/random.ts';
import { PlayedGroup } from './play-group.ts';

const seed = printedSeed('test/groups/chance.test.ts');
const PLAYS = 200;
const MOVES = 200;

function move(group: PlayedGroup, random: Random, joins: number[]): void {
  const known = [...group.group.members.keys(), ...group.group.pending.keys()];
  const anyone = known.length === 0 ? 'nobody' : random.pick(known);
  const generation = group.group.generation - (random.below(10) === 0 ? 1 : 0);
  const instanceId = random.below(4) === 0 ? `i${random.below(3)}` : null;
  const moves: (() => unknown)[] = [
    () => joins.push(group.join('', { takesIdFirst: random.below(2) === 0, instanceId })),
    () => joins.push(group.join(anyone, { instanceId: group.group.members.get(anyone)?.instanceId ?? instanceId })),
    () => joins.push(group.join(anyone, { protocols: [{ name: 'range', metadata: random.bytes(random.below(9)) }] })),
    () => joins.push(group.sync(anyone, generation, { [anyone]: 'share' })),
    () => joins.push(group.sync(group.group.leaderId ?? anyone, generation, { [anyone]: 'share' })),
    () => group.heartbeat(anyone, generation),
    () => group.commit(anyone, generation),
    () => (random.below(4) === 0 ? group.leave(anyone, instanceId) : undefined),
    () => group.pass(random.below(4000)),
    () => (random.below(20) === 0 ? group.stood(random.below(100_000)) : undefined),
  ];
  random.pick(moves)();
}

/** Plain comparisons: they are made forty thousand times. */
function must(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

function check(group: Group, before: Group): void {
  const { phase, leaderId, protocol, generation, members, pending } = group;
  must(generation >= before.generation, 'a generation never comes again');
  must(members.size + pending.size <= 10, 'a group has no more members than it may');
  must(phase !== 'Empty' || members.size === 0, 'an empty group has no members');
  if (phase === 'Stable' || phase === 'CompletingRebalance') {
    must(members.has(leaderId!), 'its leader is a member');
    must(protocol === 'range', 'its protocol is agreed');
    for (const { joining } of members.values()) must(joining === undefined, 'nobody waits for a join that is over');
  }
  const isWaiting = [...members.values()].some((each) => each.joining ?? each.syncing);
  must(!isWaiting || wakeMs(group) < Infinity, 'whoever waits, waits for something that comes');
}

test('whatever members do, all are answered, and when they fall silent the group is empty', () => {
  const random = openRandom(seed);
  let generations = 0;
  for (let play = 0; play < PLAYS; play++) {
    const group = new PlayedGroup({ initialDelayMs: random.pick([0, 3000]) });
    const asked: number[] = [];
    for (let count = 0; count < MOVES; count++) {
      const before = group.group;
      move(group, random, asked);
      check(group.group, before);
    }
    generations += group.group.generation;
    group.pass(3_600_000);
    expect(group.group.phase).toBe('Empty');
    expect(bytesOf(group.group)).toBe(0);
    expect(asked.filter((ticket) => !group.answers.has(ticket))).toEqual([]);
  }
  expect(generations).toBeGreaterThan(PLAYS);
});
