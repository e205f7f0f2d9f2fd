import { expect, test } from 'vitest';
import { bytesOf, stateOf } from '../../src/groups/incremental/state.ts';
import { speakerCode, wakeMs } from '../../src/groups/incremental/step.ts';
import { places, PlayedIncremental, REBALANCE_MS, SESSION_MS } from './play-incremental.ts';

const UNKNOWN_MEMBER = 25;
const FULL = 81;
const FENCED_INSTANCE = 82;
const FENCED_EPOCH = 110;
const UNRELEASED = 111;
const STALE = 113;

test('one member joins and has everything, in one heartbeat', () => {
  const group = new PlayedIncremental();
  expect(group.join('a')).toMatchObject({
    errorCode: 0,
    memberId: 'a',
    epoch: 1,
    assigned: places('t', 0, 1, 2, 3, 4, 5),
  });
  expect(stateOf(group.group)).toBe('Stable');
  // What it knows it is not told again.
  expect(group.play('a')).toMatchObject({ errorCode: 0, epoch: 1, assigned: null });
});

test('a second member gets nothing until the first has given it up, who keeps the rest meanwhile', () => {
  const group = new PlayedIncremental();
  group.join('a');
  expect(group.join('b')).toMatchObject({ epoch: 2, assigned: new Set() });
  expect(stateOf(group.group)).toBe('Reconciling');
  const asked = group.beat('a', 1, { owned: group.players.get('a')!.owned });
  expect(asked).toMatchObject({ epoch: 1 });
  expect(asked.assigned!.size).toBe(3);
  // It has not said yet that it let go.
  expect(group.beat('b', 2)).toMatchObject({ assigned: null });
  expect(group.beat('a', 1, { owned: asked.assigned })).toMatchObject({ epoch: 2 });
  const given = group.beat('b', 2).assigned!;
  expect(given.size).toBe(3);
  expect([...given].filter((place) => asked.assigned!.has(place))).toEqual([]);
  expect(stateOf(group.group)).toBe('Stable');
});

test('a member that goes leaves its partitions to the others, who keep theirs', () => {
  const group = new PlayedIncremental({ t: 9 });
  for (const id of ['a', 'b', 'c']) group.join(id);
  group.settle();
  expect(group.sizes()).toEqual([3, 3, 3]);
  const before = group.shares();
  group.players.delete('c');
  group.beat('c', -1);
  group.settle();
  expect(group.sizes()).toEqual([4, 5]);
  for (const [at, share] of group.shares().entries()) expect(share).toEqual(expect.arrayContaining(before[at]!));
});

test('a member that falls silent is out with its session, one that does not let go with its rebalance timeout', () => {
  const group = new PlayedIncremental();
  group.join('a', { rebalanceTimeoutMs: SESSION_MS - 2000 });
  group.pass(1000);
  group.join('b');
  group.pass(1000);
  // It beats, and holds on.
  const held = places('t', 0, 1, 2, 3, 4, 5);
  group.beat('a', 1, { owned: held });
  for (let count = 0; count < 7; count++) {
    group.pass(1000);
    expect(group.beat('a', 1, { owned: held }).errorCode).toBe(0);
    group.beat('b', 2);
  }
  group.pass(1000);
  expect(group.beat('a', 1, { owned: held }).errorCode).toBe(UNKNOWN_MEMBER);
  expect(group.beat('b', 2).assigned!.size).toBe(6);
  group.pass(SESSION_MS - 1);
  expect(group.group.members.size).toBe(1);
  group.pass(1);
  expect(group.group.members.size).toBe(0);
  expect(bytesOf(group.group)).toBe(0);
});

test('while this process stands still nobody is late', () => {
  const group = new PlayedIncremental();
  group.join('a');
  group.nowMs += 3_600_000;
  group.run({ kind: 'stood', byMs: 3_600_000 });
  group.pass(SESSION_MS - 1);
  expect(group.group.members.size).toBe(1);
});

test('epochs: a lost answer is forgiven, others are fenced and join again with nothing', () => {
  const group = new PlayedIncremental();
  group.join('a');
  group.join('b');
  const kept = group.play('a').assigned;
  expect(group.beat('a', 1, { owned: kept })).toMatchObject({ epoch: 2 });
  // That answer was lost: it comes with the epoch before, and no more than it was given.
  expect(group.beat('a', 1, { owned: kept })).toMatchObject({ errorCode: 0, epoch: 2 });
  expect(group.beat('a', 1, { owned: places('t', 0, 1, 2, 3, 4, 5) })).toMatchObject({ errorCode: FENCED_EPOCH });
  expect(group.beat('a', 7)).toMatchObject({ errorCode: FENCED_EPOCH });
  expect(group.beat('stranger', 2)).toMatchObject({ errorCode: UNKNOWN_MEMBER });
  // Nothing went meanwhile.
  expect(group.join('a')).toMatchObject({ errorCode: 0, epoch: 2, assigned: kept });
});

test('commits: the epoch of the member counts', () => {
  const group = new PlayedIncremental();
  group.join('a');
  expect(speakerCode(group.group, 'a', 1)).toBe(0);
  expect(speakerCode(group.group, 'a', 0)).toBe(STALE);
  expect(speakerCode(group.group, 'a', 2)).toBe(STALE);
  expect(speakerCode(group.group, 'b', 1)).toBe(UNKNOWN_MEMBER);
});

test('a static member that is away keeps its place, and its successor has it without a new epoch', () => {
  const group = new PlayedIncremental();
  group.join('a', { instanceId: 'one' });
  group.join('b', { instanceId: 'two' });
  group.settle();
  const { epoch } = group.group;
  const before = new Set(group.players.get('b')!.owned);
  expect(group.join('b2', { instanceId: 'two' })).toMatchObject({ errorCode: UNRELEASED });
  expect(group.beat('b', -2, { instanceId: 'two' })).toMatchObject({ errorCode: 0, epoch: -2 });
  expect(group.beat('b', epoch, { instanceId: 'two' })).toMatchObject({ errorCode: FENCED_EPOCH });
  group.play('a');
  expect(group.join('b2', { instanceId: 'two' })).toMatchObject({ epoch, assigned: before });
  expect(group.group.epoch).toBe(epoch);
  expect(group.beat('b', epoch, { instanceId: 'two' })).toMatchObject({ errorCode: FENCED_INSTANCE });
  expect([...group.group.members.keys()]).toEqual(['a', 'b2']);
});

test('a static member that does not come back is out with its session', () => {
  const group = new PlayedIncremental();
  group.join('a', { instanceId: 'one' });
  group.beat('a', -2, { instanceId: 'one' });
  group.pass(SESSION_MS);
  expect(group.group.members.size).toBe(0);
});

test('topics that come, grow, go and are made anew', () => {
  const group = new PlayedIncremental({ t: 2 });
  group.join('a', { names: ['t', 'later'] });
  const { epoch } = group.group;
  group.topics({ t: 2, other: 5 });
  expect(group.group.epoch).toBe(epoch);
  group.topics({ t: 2, other: 5, later: 1 });
  group.settle();
  expect(group.players.get('a')!.owned).toEqual(new Set([...places('t', 0, 1), ...places('later', 0)]));
  group.topics({ t: 3, later: 1 });
  group.settle();
  expect(group.shares()).toEqual([[0, 1, 2]]);
  group.topics({ t: 3 });
  group.settle();
  expect(group.players.get('a')!.owned).toEqual(places('t', 0, 1, 2));
  group.topics({ t: 1 }, '-anew');
  group.settle();
  expect(group.players.get('a')!.owned).toEqual(places('t-anew', 0));
});

test('a pattern finds topics, also later ones', () => {
  const group = new PlayedIncremental({ 'site.a': 1, 'site.b': 1, other: 1 });
  expect(group.join('a', { names: null, pattern: 'site\\..*' }).assigned).toEqual(
    new Set([...places('site.a', 0), ...places('site.b', 0)]),
  );
  group.topics({ 'site.a': 1, 'site.c': 1, other: 1 });
  group.settle();
  expect(group.players.get('a')!.owned).toEqual(new Set([...places('site.a', 0), ...places('site.c', 0)]));
  // An empty pattern takes it back.
  expect(group.play('a', { pattern: '', names: ['other'] }).errorCode).toBe(0);
  group.settle();
  expect(group.players.get('a')!.owned).toEqual(places('other', 0));
});

test('what most members ask for assigns', () => {
  const group = new PlayedIncremental({ t: 4, u: 4 });
  for (const id of ['a', 'b', 'c']) group.join(id, { names: ['t', 'u'], assignor: id === 'c' ? 'uniform' : 'range' });
  expect(group.group.assignor).toBe('range');
  group.settle();
  expect(group.shares('t')).toEqual(group.shares('u'));
});

test('a member too many is refused, and so is one whose words are too many; neither changes anything', () => {
  const group = new PlayedIncremental();
  for (let count = 0; count < 10; count++) group.join(`m${count}`);
  const before = group.group;
  expect(group.join('m10')).toMatchObject({ errorCode: FULL });
  expect(group.group.members).toEqual(before.members);
  group.beat('m9', -1);
  expect(group.join('m10', { names: ['x'.repeat(100_000)] })).toMatchObject({ errorCode: FULL });
  expect(group.join('m10')).toMatchObject({ errorCode: 0 });
});

test('a tool takes a member out by its id or its static name', () => {
  const group = new PlayedIncremental();
  group.join('a', { instanceId: 'one' });
  const expel = (memberId: string, instanceId: string | null) =>
    group.run({ kind: 'expel', nowMs: 0, memberId, instanceId })!.errorCode;
  expect(expel('b', null)).toBe(UNKNOWN_MEMBER);
  expect(expel('b', 'one')).toBe(FENCED_INSTANCE);
  expect(expel('', 'one')).toBe(0);
  expect(group.group.members.size).toBe(0);
});

test('a storm of joins: fifty members come at once and are settled in two rounds', () => {
  const group = new PlayedIncremental({ t: 100 });
  group.rules.membersMax = 50;
  for (let count = 0; count < 50; count++) group.join(`m${count}`);
  expect(group.settle()).toBeLessThan(4);
  expect(group.sizes()).toEqual(Array.from({ length: 50 }, () => 2));
  expect(wakeMs(group.group)).toBe(SESSION_MS);
  expect(REBALANCE_MS).toBeGreaterThan(SESSION_MS);
});
