// The groups of a node under one clock: who wakes them, and what a clock that stands or jumps does to them.

import { expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { Coordinator, type CoordinatorNeeds } from '../../src/groups/coordinator.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';
import { RULES } from './play-group.ts';

const LIMITS = { groupsMax: 100, membersMax: 100, bytesMax: 1_000_000 };

interface Opened {
  coordinator: Coordinator;
  clock: FakeClock;
  /** This process stands still for so long: timers are late by it. */
  stand(ms: number): void;
  changes: string[];
}

function open(needs: Partial<CoordinatorNeeds> = {}): Opened {
  const fake = fakeClock();
  const changes: string[] = [];
  let stoodMs = 0;
  const clock: Clock = {
    ...fake,
    monotonicMs: () => fake.monotonicMs() + stoodMs,
    wallMs: () => {
      throw new Error('a group asks for the wall clock');
    },
  };
  const coordinator = new Coordinator({
    clock,
    rules: RULES,
    limits: LIMITS,
    others: () => ({ groups: 0, members: 0, bytes: 0 }),
    isKept: () => false,
    onChange: (id, before, after) => changes.push(`${id}: ${before.phase} -> ${after.phase}`),
    ...needs,
  });
  return { coordinator, clock: fake, changes, stand: (ms) => void (stoodMs += ms) };
}

async function settle({ coordinator }: Opened, groupId: string, id = 'm'): Promise<void> {
  const join = await coordinator.join(groupId, {
    kind: 'join',
    memberId: '',
    newMemberId: id,
    instanceId: null,
    clientId: 'c',
    clientHost: '/h',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(10) }],
    takesIdFirst: false,
    canSkipAssignment: true,
  });
  const { generation } = join;
  const speaker = { memberId: id, instanceId: null, generation, protocolType: null, protocol: null };
  await coordinator.sync(groupId, { kind: 'sync', ...speaker, assignments: new Map() });
}

function beat({ coordinator }: Opened, groupId: string): number {
  return coordinator.ask(groupId, { kind: 'heartbeat', memberId: 'm', instanceId: null, generation: 1 });
}

test('a member that falls silent is out when its session ends, and its group is forgotten', async () => {
  const opened = open();
  await settle(opened, 'g');
  opened.clock.advance(9000);
  expect(beat(opened, 'g')).toBe(0);
  opened.clock.advance(9999);
  expect(opened.coordinator.group('g')?.phase).toBe('Stable');
  opened.clock.advance(1);
  expect(opened.coordinator.group('g')).toBeUndefined();
  expect([opened.coordinator.members, opened.coordinator.bytes, opened.coordinator.size]).toEqual([0, 0, 0]);
  expect(opened.changes.at(-1)).toBe('g: Stable -> Empty');
});

test('without members there is no timer', async () => {
  const opened = open();
  expect(opened.clock.timers()).toBe(0);
  await settle(opened, 'g');
  expect(opened.clock.timers()).toBe(1);
  opened.coordinator.ask('g', { kind: 'leave', memberId: 'm', instanceId: null });
  opened.clock.advance(1000);
  expect(opened.clock.timers()).toBe(0);
});

test('members of many groups have one timer, and each its own session', async () => {
  const opened = open();
  for (let number = 0; number < 50; number++) {
    await settle(opened, `g${number}`);
    opened.clock.advance(100);
  }
  expect(opened.clock.timers()).toBe(1);
  opened.clock.advance(10_000 - 50 * 100 + 49 * 100 - 1);
  expect(opened.coordinator.size).toBe(1);
  opened.clock.advance(1);
  expect(opened.coordinator.size).toBe(0);
});

test('while this process stands still nobody is late', async () => {
  const opened = open();
  await settle(opened, 'g');
  opened.stand(3_600_000);
  opened.clock.advance(1000);
  expect(opened.coordinator.group('g')?.phase).toBe('Stable');
  expect(beat(opened, 'g')).toBe(0);
  opened.clock.advance(9999);
  expect(opened.coordinator.group('g')?.phase).toBe('Stable');
  opened.clock.advance(2);
  expect(opened.coordinator.group('g')).toBeUndefined();
});

test('what one group may have is what the others have left', async () => {
  const opened = open({ limits: { groupsMax: 2, membersMax: 2, bytesMax: 30 } });
  await settle(opened, 'a');
  const { bytes } = opened.coordinator;
  expect(bytes).toBeGreaterThan(10);
  const joining = (groupId: string) =>
    opened.coordinator.join(groupId, {
      kind: 'join',
      memberId: '',
      newMemberId: 'n',
      instanceId: null,
      clientId: '',
      clientHost: '',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(30 - bytes - 4) }],
      takesIdFirst: false,
      canSkipAssignment: true,
    });
  expect(await joining('b')).toMatchObject({ errorCode: 81 });
  opened.coordinator.ask('a', { kind: 'leave', memberId: 'm', instanceId: null });
  expect(await joining('b')).toMatchObject({ errorCode: 0 });
});
