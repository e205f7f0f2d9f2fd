import { describe, expect, test } from 'vitest';
import { bytesOf } from '../../src/groups/state.ts';
import { wakeMs } from '../../src/groups/group.ts';
import { PlayedGroup, REBALANCE_MS, SESSION_MS } from './play-group.ts';

const REBALANCING = 27;
const UNKNOWN_MEMBER = 25;
const OLD_GENERATION = 22;
const ID_REQUIRED = 79;
const FENCED = 82;
const FULL = 81;

describe('joining', () => {
  test('one member joins, leads, assigns to itself and is stable', () => {
    const group = new PlayedGroup();
    const join = group.joined(group.join())!;
    expect(join).toMatchObject({ errorCode: 0, generation: 1, protocol: 'range', leaderId: 'n1', memberId: 'n1' });
    expect(join.members.map(({ memberId }) => memberId)).toEqual(['n1']);
    const sync = group.sync('n1', 1, { n1: 'all' });
    expect(group.synced(sync)).toMatchObject({ errorCode: 0, assignment: 'all', protocolType: 'consumer' });
    expect(group.group.phase).toBe('Stable');
  });

  test('a second member waits until the first one has joined again; only the leader learns of all', () => {
    const group = new PlayedGroup();
    group.settle(1);
    const second = group.join();
    expect(group.joined(second)).toBeUndefined();
    expect(group.heartbeat('n1')).toBe(REBALANCING);
    const first = group.join('n1');
    expect(group.joined(first)).toMatchObject({ generation: 2, leaderId: 'n1' });
    expect(group.joined(first)!.members).toHaveLength(2);
    expect(group.joined(second)).toMatchObject({ generation: 2, leaderId: 'n1', members: [] });
  });

  test('who syncs before the leader waits for it', () => {
    const group = new PlayedGroup();
    group.settle(1);
    const second = group.joined([group.join(), group.join('n1')][0]!)!.memberId;
    const waiting = group.sync(second, 2);
    expect(group.synced(waiting)).toBeUndefined();
    group.sync('n1', 2, { [second]: 'mine' });
    expect(group.synced(waiting)).toMatchObject({ errorCode: 0, assignment: 'mine' });
    // Asked again, because the answer was lost, it is the same.
    expect(group.synced(group.sync(second, 2))).toMatchObject({ errorCode: 0, assignment: 'mine' });
  });

  test('a client that takes its id first is given one, which lapses, and joins with it (KIP-394)', () => {
    const group = new PlayedGroup();
    const first = group.joined(group.join('', { takesIdFirst: true }))!;
    expect(first).toMatchObject({ errorCode: ID_REQUIRED, memberId: 'n1' });
    expect(group.group.phase).toBe('Empty');
    expect(group.joined(group.join('n1', { takesIdFirst: true }))).toMatchObject({ errorCode: 0, memberId: 'n1' });
    const late = group.joined(group.join('', { takesIdFirst: true }))!.memberId;
    group.sync('n1', 1);
    for (let passed = 0; passed <= SESSION_MS; passed += 5000) {
      group.pass(5000);
      group.heartbeat('n1');
    }
    expect(group.group.pending.size).toBe(0);
    expect(group.joined(group.join(late))).toMatchObject({ errorCode: UNKNOWN_MEMBER });
  });

  test('a rebalance waits for ids that were given out', () => {
    const group = new PlayedGroup();
    group.settle(1);
    const { memberId } = group.joined(group.join('', { takesIdFirst: true }))!;
    const first = group.join('n1', { protocols: [{ name: 'range', metadata: Buffer.from('other') }] });
    expect(group.joined(first)).toBeUndefined();
    const second = group.join(memberId, { takesIdFirst: true });
    expect([first, second].map((ticket) => group.joined(ticket)!.generation)).toEqual([2, 2]);
  });

  test('an id that nobody gave is unknown', () => {
    const group = new PlayedGroup();
    expect(group.joined(group.join('stranger'))).toMatchObject({ errorCode: UNKNOWN_MEMBER, memberId: 'stranger' });
  });

  test('the first rebalance waits for more members, and each of them makes it wait again', () => {
    const group = new PlayedGroup({ initialDelayMs: 3000 });
    const first = group.join();
    group.pass(2000);
    const second = group.join();
    group.pass(1500);
    expect(group.joined(first)).toBeUndefined();
    group.pass(2500);
    expect([first, second].map((ticket) => group.joined(ticket)!.generation)).toEqual([1, 1]);
  });

  test('a storm of joins ends in one generation with all of them', () => {
    const group = new PlayedGroup({ initialDelayMs: 3000, membersMax: 500 });
    const tickets = Array.from({ length: 500 }, () => group.join());
    group.pass(7000);
    expect(new Set(tickets.map((ticket) => group.joined(ticket)!.generation))).toEqual(new Set([1]));
    expect(group.joined(tickets[0]!)!.members).toHaveLength(500);
    expect(group.joined(group.join())).toMatchObject({ errorCode: FULL });
  });

  test('a member that asks again while it waits is answered once, where it asked last', () => {
    const group = new PlayedGroup();
    group.settle(2);
    const [first, again] = [group.join('n1'), group.join('n1')];
    expect(group.joined(first)).toMatchObject({ errorCode: REBALANCING });
    group.join('n2');
    expect(group.joined(again)).toMatchObject({ errorCode: 0, generation: 3 });
  });

  test('a follower that joins again unchanged gets what it has; the leader begins a rebalance', () => {
    const group = new PlayedGroup();
    group.settle(2);
    expect(group.joined(group.join('n2'))).toMatchObject({ errorCode: 0, generation: 2, leaderId: 'n1' });
    expect(group.group.phase).toBe('Stable');
    group.join('n1');
    expect(group.group.phase).toBe('PreparingRebalance');
  });

  test('the protocol is the one that most like best among those that all have', () => {
    const group = new PlayedGroup({ initialDelayMs: 100 });
    const having = (...names: string[]) => ({
      protocols: names.map((name) => ({ name, metadata: Buffer.from(name) })),
    });
    const first = group.join('', having('sticky', 'range', 'robin'));
    group.join('', having('robin', 'range'));
    group.join('', having('robin', 'range'));
    expect(group.joined(group.join('', having('sticky')))).toMatchObject({ errorCode: 23 });
    group.pass(1000);
    const { protocol, members } = group.joined(first)!;
    expect(protocol).toBe('robin');
    expect(members.map(({ metadata }) => metadata.toString())).toEqual(['robin', 'robin', 'robin']);
  });

  test('another protocol type, no protocol, and a session out of bounds are refused', () => {
    const group = new PlayedGroup();
    group.settle(1);
    expect(group.joined(group.join('', { protocolType: 'connect' }))).toMatchObject({ errorCode: 23 });
    expect(group.joined(group.join('', { protocols: [] }))).toMatchObject({ errorCode: 23 });
    expect(group.joined(group.join('', { sessionTimeoutMs: 5999 }))).toMatchObject({ errorCode: 26 });
    expect(group.joined(group.join('', { sessionTimeoutMs: 1_800_001 }))).toMatchObject({ errorCode: 26 });
    expect(group.group.members.size).toBe(1);
  });

  test('what members may give is bounded', () => {
    const group = new PlayedGroup({ bytesMax: 1000 });
    const metadata = Buffer.alloc(600);
    const [first] = group.settle(1, () => ({ protocols: [{ name: 'range', metadata }] }));
    expect(group.joined(group.join('', { protocols: [{ name: 'range', metadata }] }))).toMatchObject({
      errorCode: FULL,
    });
    expect(group.synced(group.sync(first!, 1, { [first!]: 'x'.repeat(1001) }))).toMatchObject({ errorCode: -1 });
    expect(bytesOf(group.group)).toBeLessThan(1000);
  });
});

describe('members that go', () => {
  test('one that leaves makes the others join again', () => {
    const group = new PlayedGroup();
    group.settle(2);
    expect(group.leave('n1')).toBe(0);
    expect(group.heartbeat('n2', 2)).toBe(REBALANCING);
    expect(group.joined(group.join('n2'))).toMatchObject({ generation: 3, leaderId: 'n2' });
    expect(group.heartbeat('n1', 2)).toBe(UNKNOWN_MEMBER);
  });

  test('one that is not heard for its session is out, others that are heard are not', () => {
    const group = new PlayedGroup();
    group.settle(2);
    group.pass(SESSION_MS - 1);
    expect(group.heartbeat('n2')).toBe(0);
    group.pass(1);
    expect([...group.group.members.keys()]).toEqual(['n2']);
    expect(group.heartbeat('n2')).toBe(REBALANCING);
  });

  test('a leader that never assigns is out after the rebalance timeout, and another one leads', () => {
    const group = new PlayedGroup();
    group.settle(2);
    group.join('n1', { protocols: [{ name: 'range', metadata: Buffer.from('new') }] });
    group.join('n2');
    const waiting = group.sync('n2', 3);
    for (let passed = 0; passed < REBALANCE_MS; passed += 5000) {
      expect(group.heartbeat('n1')).toBe(0);
      group.pass(5000);
    }
    expect(group.synced(waiting)).toMatchObject({ errorCode: REBALANCING });
    expect(group.joined(group.join('n2'))).toMatchObject({ generation: 4, leaderId: 'n2' });
    expect([...group.group.members.keys()]).toEqual(['n2']);
  });

  test('one that only heartbeats, and does not join, is out after the rebalance timeout', () => {
    const group = new PlayedGroup();
    group.settle(2);
    const joining = group.join('n1');
    for (let passed = 0; passed < REBALANCE_MS; passed += 5000) {
      expect(group.joined(joining)).toBeUndefined();
      expect(group.heartbeat('n2')).toBe(REBALANCING);
      group.pass(5000);
    }
    expect(group.joined(joining)).toMatchObject({ errorCode: 0, generation: 3 });
    expect(group.heartbeat('n2', 2)).toBe(UNKNOWN_MEMBER);
  });

  test('the last one that goes leaves an empty group', () => {
    const group = new PlayedGroup();
    group.settle(1);
    group.leave('n1');
    expect(group.group).toMatchObject({ phase: 'Empty', leaderId: null, protocol: null, generation: 2 });
    expect(wakeMs(group.group)).toBe(Infinity);
  });

  test('one whose first join waits for ever is out after five minutes: it may be gone', () => {
    const group = new PlayedGroup({ initialDelayMs: 3_600_000 });
    const joining = group.join('', { rebalanceTimeoutMs: 3_600_000, sessionTimeoutMs: 1_800_000 });
    group.pass(300_000);
    expect(group.joined(joining)).toMatchObject({ errorCode: UNKNOWN_MEMBER });
    group.pass(3_600_000);
    expect(group.group.phase).toBe('Empty');
  });

  test('while this process stands still nobody is late', () => {
    const group = new PlayedGroup({ initialDelayMs: 0 });
    group.settle(2);
    group.stood(3_600_000);
    group.pass(SESSION_MS - 1);
    expect(group.group.phase).toBe('Stable');
    expect([group.heartbeat('n1'), group.heartbeat('n2')]).toEqual([0, 0]);
    group.pass(SESSION_MS);
    expect(group.group.members.size).toBe(0);
  });

  test('the first rebalance, ids that were given out and a late leader have that time, too', () => {
    const group = new PlayedGroup({ initialDelayMs: 3000 });
    const first = group.join();
    const { memberId } = group.joined(group.join('', { takesIdFirst: true }))!;
    group.stood(3_600_000);
    group.pass(2999);
    expect(group.joined(first)).toBeUndefined();
    expect(group.group.pending.has(memberId)).toBe(true);
    group.pass(1);
    expect(group.joined(first)).toMatchObject({ errorCode: 0 });
    group.stood(3_600_000);
    group.pass(SESSION_MS - 1);
    expect(group.group.phase).toBe('CompletingRebalance');
  });
});

describe('static members', () => {
  const named = (instanceId: string) => ({ instanceId, takesIdFirst: true });

  test('one that restarts takes its place without a rebalance, and the old one is fenced', () => {
    const group = new PlayedGroup();
    const [first, second] = group.settle(2, (index) => named(`i${index}`));
    const back = group.joined(group.join('', named('i1')))!;
    expect(back).toMatchObject({ errorCode: 0, generation: 2, leaderId: first, members: [] });
    expect(back.memberId).not.toBe(second);
    expect(group.synced(group.sync(back.memberId, 2, {}, { instanceId: 'i1' }))).toMatchObject({
      assignment: `for ${second}`,
    });
    expect(group.group.phase).toBe('Stable');
    expect(group.heartbeat(second!, 2, 'i1')).toBe(FENCED);
    expect(group.commit(second!, 2, 'i1')).toBe(FENCED);
    expect(group.joined(group.join(second, named('i1')))).toMatchObject({ errorCode: FENCED });
    expect(group.leave(second!, 'i1')).toBe(FENCED);
    expect(group.heartbeat(back.memberId, 2, 'i1')).toBe(0);
  });

  test('a leader that restarts is told not to assign, or, if it is old, that another one leads', () => {
    const group = new PlayedGroup();
    const [first] = group.settle(2, (index) => named(`i${index}`));
    const back = group.joined(group.join('', named('i0')))!;
    expect(back).toMatchObject({ skipAssignment: true, leaderId: back.memberId });
    expect(back.members).toHaveLength(2);
    expect(group.synced(group.sync(back.memberId, 2))).toMatchObject({ assignment: `for ${first}` });
    const old = group.joined(group.join('', { ...named('i0'), canSkipAssignment: false }))!;
    expect(old).toMatchObject({ skipAssignment: false, leaderId: back.memberId, members: [] });
  });

  test('one that comes back with another protocol causes a rebalance', () => {
    const group = new PlayedGroup();
    const both = ['range', 'robin'].map((name) => ({ name, metadata: Buffer.from(name) }));
    group.settle(1, () => ({ ...named('i0'), protocols: both }));
    const back = group.joined(group.join('', { ...named('i0'), protocols: both.toReversed() }))!;
    expect(back).toMatchObject({ generation: 2, protocol: 'robin' });
  });

  test('one whose join waits is fenced by the next of its name', () => {
    const group = new PlayedGroup();
    const [first] = group.settle(2, (index) => named(`i${index}`));
    const waiting = group.join(first, named('i0'));
    const next = group.join('', named('i0'));
    expect(group.joined(waiting)).toMatchObject({ errorCode: FENCED });
    expect(group.joined(next)).toBeUndefined();
  });

  test('one that is away keeps its place in a rebalance until its session ends', () => {
    const group = new PlayedGroup();
    const [first] = group.settle(2, (index) => ({ ...named(`i${index}`), sessionTimeoutMs: 300_000 }));
    group.join(first, { ...named('i0'), sessionTimeoutMs: 300_000 });
    group.pass(REBALANCE_MS);
    expect(group.group.members.size).toBe(2);
    expect(group.group.phase).toBe('CompletingRebalance');
  });

  test('a tool takes one out by its name alone', () => {
    const group = new PlayedGroup();
    group.settle(2, (index) => named(`i${index}`));
    expect(group.leave('', 'i1')).toBe(0);
    expect(group.group.members.size).toBe(1);
    expect(group.leave('', 'i1')).toBe(UNKNOWN_MEMBER);
  });
});

describe('fencing', () => {
  test('an old generation, and one that is to come, may neither sync nor heartbeat nor commit', () => {
    const group = new PlayedGroup();
    group.settle(2);
    for (const generation of [1, 3]) {
      expect(group.heartbeat('n1', generation)).toBe(OLD_GENERATION);
      expect(group.commit('n1', generation)).toBe(OLD_GENERATION);
      expect(group.synced(group.sync('n1', generation))).toMatchObject({ errorCode: OLD_GENERATION });
    }
  });

  test('a member may commit while others join, and not until it has its new share', () => {
    const group = new PlayedGroup();
    group.settle(2);
    group.leave('n2');
    expect(group.commit('n1', 2)).toBe(0);
    group.join('n1');
    expect(group.commit('n1', 3)).toBe(REBALANCING);
    group.sync('n1', 3);
    expect(group.commit('n1', 3)).toBe(0);
  });

  test('who is no member may commit while there is none', () => {
    const group = new PlayedGroup();
    expect(group.commit('', -1)).toBe(0);
    expect(group.commit('somebody', 1)).toBe(UNKNOWN_MEMBER);
    group.settle(1);
    expect(group.commit('', -1)).toBe(UNKNOWN_MEMBER);
  });

  test('another protocol in a sync is refused, and a sync while others join', () => {
    const group = new PlayedGroup();
    group.settle(1);
    expect(group.synced(group.sync('n1', 1, {}, { protocol: 'robin' }))).toMatchObject({ errorCode: 23 });
    expect(group.synced(group.sync('n1', 1, {}, { protocolType: 'connect' }))).toMatchObject({ errorCode: 23 });
    group.join();
    expect(group.synced(group.sync('n1', 1))).toMatchObject({ errorCode: REBALANCING });
  });

  test('only a group without members is deleted, and it answers nothing any more', () => {
    const group = new PlayedGroup();
    group.settle(1);
    expect(group.delete()).toBe(68);
    group.leave('n1');
    expect(group.delete()).toBe(0);
    expect(group.group.phase).toBe('Dead');
    expect(group.delete()).toBe(69);
    expect(group.commit('', -1)).toBe(15);
    expect(group.joined(group.join())).toMatchObject({ errorCode: 15 });
  });
});

test('a step leaves the state before as it was', () => {
  const group = new PlayedGroup();
  group.settle(2);
  const before = group.group;
  const [members, phase] = [[...before.members], before.phase];
  group.leave('n1');
  expect([[...before.members], before.phase]).toEqual([members, phase]);
});
