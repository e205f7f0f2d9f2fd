// The groups of KIP-848's protocol under one clock, on a log whose topics change, within limits that they share with the
// classic ones, and over a restart.

import { expect, onTestFinished, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { openGroups, type Groups, type GroupsNeeds } from '../../src/groups/groups.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';
import { fakeLog, type FakeLog } from '../fakes/log.ts';
import { openLogFolder, silent } from '../log/open-log.ts';

type Beat = Parameters<Groups['beat']>[1];

interface Opened {
  groups: Groups;
  log: FakeLog;
  clock: FakeClock;
  /** This process stands still for so long: timers are late by it. */
  stand(ms: number): void;
}

async function open(needs: Partial<GroupsNeeds> = {}): Promise<Opened> {
  const log = fakeLog();
  await log.createTopic('t', { partitions: 4 });
  const fake = fakeClock();
  let stoodMs = 0;
  const clock: Clock = { ...fake, monotonicMs: () => fake.monotonicMs() + stoodMs };
  const settings = { consumerSessionTimeoutMs: 10_000 };
  const groups = openGroups({ log, clock, trace: silent, settings, ...needs });
  onTestFinished(() => groups.close());
  return { groups, log, clock: fake, stand: (ms) => void (stoodMs += ms) };
}

function beatOf(memberId: string, epoch: number, more: Partial<Beat> = {}): Beat {
  const joining = { rebalanceTimeoutMs: 60_000, names: ['t'], owned: new Set<string>() };
  const nothing = { rebalanceTimeoutMs: -1, names: null, owned: null };
  const texts = { instanceId: null, rackId: null, clientId: 'c', clientHost: '/h', pattern: null, assignor: null };
  return { memberId, epoch, ...texts, ...(epoch === 0 ? joining : nothing), ...more };
}

test('a member that falls silent is out when its session ends, and its group is forgotten', async () => {
  const { groups, clock } = await open();
  groups.beat('g', beatOf('a', 0));
  clock.advance(9000);
  expect(groups.beat('g', beatOf('a', 1)).errorCode).toBe(0);
  clock.advance(9999);
  expect(groups.describe('g')).toMatchObject({ kind: 'Consumer', state: 'Stable', members: [{ memberId: 'a' }] });
  clock.advance(1);
  expect(groups.describe('g')).toBeUndefined();
  expect(groups.status()).toMatchObject({ groups: 0, members: 0, memberBytes: 0 });
});

test('while this process stands still nobody is late', async () => {
  const { groups, clock, stand } = await open();
  groups.beat('g', beatOf('a', 0));
  stand(3_600_000);
  clock.advance(1000);
  expect(groups.beat('g', beatOf('a', 1)).errorCode).toBe(0);
  clock.advance(9998);
  expect(groups.describe('g')).toBeDefined();
  clock.advance(1002);
  expect(groups.describe('g')).toBeUndefined();
});

test('a topic that comes is in the next heartbeat, without a word of the member', async () => {
  const { groups, log } = await open();
  groups.beat('g', beatOf('a', 0, { names: ['t', 'later'] }));
  expect(groups.beat('g', beatOf('a', 1)).assigned).toBeNull();
  await log.createTopic('later', { partitions: 1 });
  const { epoch, assigned } = groups.beat('g', beatOf('a', 1));
  expect([epoch, assigned?.size]).toEqual([2, 5]);
  expect(groups.status().rebalances).toBe(2);
});

test('both kinds of groups share what there may be of groups, members and bytes', async () => {
  const limits = { groupsMax: 2, membersMax: 3, memberBytesMax: 2000 };
  const { groups } = await open({ limits });
  const join = async (groupId: string): Promise<number> => {
    const texts = { clientId: 'c', clientHost: '/h', instanceId: null, protocolType: 'consumer' };
    const protocols = [{ name: 'range', metadata: Buffer.alloc(10) }];
    const flags = { takesIdFirst: false, canSkipAssignment: true };
    const times = { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000 };
    const ids = { memberId: '', newMemberId: `${groupId}-member` };
    return (await groups.join(groupId, { ...texts, ...ids, ...times, ...flags, protocols })).errorCode;
  };
  expect(groups.beat('a', beatOf('m1', 0)).errorCode).toBe(0);
  const joining = join('b');
  expect(groups.beat('c', beatOf('m2', 0)).errorCode).toBe(81);
  expect(await join('c')).toBe(81);
  expect(groups.beat('a', beatOf('m2', 0)).errorCode).toBe(0);
  expect(groups.beat('a', beatOf('m3', 0)).errorCode).toBe(81);
  expect(groups.beat('a', beatOf('m2', -1)).errorCode).toBe(0);
  expect(groups.beat('a', beatOf('m3', 0, { names: ['x'.repeat(2000)] })).errorCode).toBe(81);
  expect(groups.beat('a', beatOf('m3', 0)).errorCode).toBe(0);
  groups.close();
  expect(await joining).toBe(16);
  expect(groups.beat('a', beatOf('m1', 1)).errorCode).toBe(16);
});

test('after a restart its members are unknown, its offsets are there, and it is of its kind', async () => {
  const folder = await openLogFolder();
  onTestFinished(() => folder.remove());
  await folder.log.createTopic('t', { partitions: 2 });
  const clock = fakeClock();
  let groups = openGroups({ log: folder.log, clock, trace: silent });
  groups.beat('g', beatOf('a', 0));
  const speaker = { memberId: 'a', instanceId: null, generation: 1 };
  const offset = { topic: 't', partition: 0, offset: 7, leaderEpoch: 0, metadata: '' };
  expect(await groups.commit('g', speaker, [offset])).toEqual([0]);
  groups.close();
  await folder.reopen();
  groups = openGroups({ log: folder.log, clock, trace: silent });
  onTestFinished(() => groups.close());
  expect(groups.list()).toEqual([{ id: 'g', protocolType: 'consumer', kind: 'Consumer', state: 'Empty' }]);
  expect(groups.beat('g', beatOf('a', 1)).errorCode).toBe(25);
  expect(groups.beat('g', beatOf('a', 0))).toMatchObject({ errorCode: 0, epoch: 1 });
  expect(groups.committed('g', 't', 0)).toMatchObject({ offset: 7 });
});
