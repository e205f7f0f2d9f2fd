// What groups commit, on a real log: durable, read back, bounded, forgotten with its topic, and without a write where
// nothing changes. And when it expires, by a clock that the test moves.

import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import {
  DEFAULT_GROUPS_LIMITS,
  DEFAULT_GROUP_SETTINGS,
  openGroups,
  type Groups,
  type GroupsNeeds,
} from '../../src/groups/groups.ts';
import type { Speaker } from '../../src/groups/state.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';
import { fakeLog } from '../fakes/log.ts';
import { openLogFolder, silent, upTo, type OpenLogFolder } from '../log/open-log.ts';
import { until } from '../parts/until.ts';

const ALONE: Speaker = { memberId: '', instanceId: null, generation: -1 };
const HOUR_MS = 3600_000;

interface Opened {
  folder: OpenLogFolder;
  clock: FakeClock;
  groups: Groups;
  /** Closes log and groups and opens them again, the clock standing where it stands. */
  reopen(needs?: Partial<GroupsNeeds>): Promise<void>;
}

async function open(needs: Partial<GroupsNeeds> = {}): Promise<Opened> {
  const folder = await openLogFolder();
  const clock = fakeClock();
  await folder.log.createTopic('t', { partitions: 4 });
  const settings = { initialRebalanceDelayMs: 0, ...needs.settings };
  const start = (more = {}): Groups =>
    openGroups({ log: folder.log, clock, trace: silent, ...needs, settings, ...more });
  const opened: Opened = {
    folder,
    clock,
    groups: start(),
    async reopen(more) {
      opened.groups.close();
      await folder.reopen();
      opened.groups = start(more);
    },
  };
  onTestFinished(async () => {
    opened.groups.close();
    await folder.remove();
  });
  return opened;
}

const at = (offset: number, partition = 0, metadata = '') => ({
  topic: 't',
  partition,
  offset,
  leaderEpoch: 0,
  metadata,
});

function join(groups: Groups, groupId: string, protocolType = 'consumer') {
  return groups.join(groupId, {
    memberId: '',
    newMemberId: `m-${groupId}`,
    instanceId: null,
    clientId: 'c',
    clientHost: '/h',
    sessionTimeoutMs: 1_800_000,
    rebalanceTimeoutMs: 60_000,
    protocolType,
    protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    takesIdFirst: false,
    canSkipAssignment: true,
  });
}

test('what was committed is there after a restart, with its metadata', async () => {
  const opened = await open();
  expect(await opened.groups.commit('g/with a slash', ALONE, [at(7, 0, 'note'), at(9, 3)])).toEqual([0, 0]);
  await opened.reopen();
  expect(opened.groups.committed('g/with a slash', 't', 0)).toEqual({ offset: 7, leaderEpoch: 0, metadata: 'note' });
  expect(opened.groups.committedBy('g/with a slash')).toMatchObject([{ offset: 7 }, { partition: 3, offset: 9 }]);
  expect(opened.groups.list()).toMatchObject([{ id: 'g/with a slash', protocolType: '', state: 'Empty' }]);
});

test('offsets are told when they are on the card, not before', async () => {
  const { groups } = await open();
  const committing = groups.commit('g', ALONE, [at(7)]);
  expect(groups.committed('g', 't', 0)).toBeUndefined();
  await committing;
  expect(groups.committed('g', 't', 0)).toMatchObject({ offset: 7 });
});

test('commits of one turn share one write, and what does not change is not written', async () => {
  const { folder, groups } = await open();
  const count = () => folder.log.status().commits.count;
  const before = count();
  await Promise.all([1, 2, 3].map((number) => groups.commit(`g${number}`, ALONE, [at(number), at(number, 1)])));
  expect(count() - before).toBe(1);
  await groups.commit('g1', ALONE, [at(1), at(1, 1)]);
  expect(count() - before).toBe(1);
  await groups.commit('g1', ALONE, [at(1), at(2, 1)]);
  expect(count() - before).toBe(2);
});

test('an unchanged commit waits for the one before it that is still on its way', async () => {
  const { groups } = await open();
  let isFirstThere = false;
  const first = groups.commit('g', ALONE, [at(5)]).then(() => (isFirstThere = true));
  await groups.commit('g', ALONE, [at(5)]);
  expect(groups.committed('g', 't', 0)).toMatchObject({ offset: 5 });
  await first;
  expect(isFirstThere).toBe(true);
});

test('the last of two commits on their way wins, also when it goes back', async () => {
  const { groups } = await open();
  await Promise.all([groups.commit('g', ALONE, [at(9)]), groups.commit('g', ALONE, [at(3)])]);
  expect(groups.committed('g', 't', 0)).toMatchObject({ offset: 3 });
});

test('topics and partitions that are not there, and metadata that is too long, are refused one by one', async () => {
  const { groups } = await open();
  const stray = { ...at(1), topic: 'other' };
  expect(await groups.commit('g', ALONE, [stray, at(1, 4), at(1, 0, 'x'.repeat(4097)), at(1, 1)])).toEqual([
    3, 3, 12, 0,
  ]);
  expect(groups.committedBy('g')).toHaveLength(1);
});

test('with its topic an offset goes, and does not come back with a topic of that name', async () => {
  const opened = await open();
  const { folder } = opened;
  await opened.groups.commit('g', ALONE, [at(7)]);
  await folder.log.deleteTopic('t');
  await folder.log.createTopic('t');
  expect(opened.groups.committed('g', 't', 0)).toBeUndefined();
  expect(opened.groups.committedBy('g')).toEqual([]);
  await until('the group went with its last offset', () => opened.groups.list().length === 0);
  await opened.reopen();
  expect(opened.groups.list()).toEqual([]);
  expect([...opened.folder.log.marks('offset/'), ...opened.folder.log.marks('group/')]).toEqual([]);
});

test('a topic that went while no groups were open takes its offsets along at the next start', async () => {
  const opened = await open();
  await opened.groups.commit('g', ALONE, [at(7)]);
  opened.groups.close();
  await opened.folder.log.deleteTopic('t');
  await opened.reopen();
  expect(opened.groups.list()).toEqual([]);
  await opened.folder.log.probe(-1);
  expect([...opened.folder.log.marks('offset/'), ...opened.folder.log.marks('group/')]).toEqual([]);
});

test('a group is deleted with its offsets, for good, unless it has members', async () => {
  const opened = await open();
  const { groups } = opened;
  await groups.commit('g', ALONE, [at(7)]);
  await join(groups, 'g');
  expect(await groups.remove('g')).toBe(68);
  expect(groups.leave('g', { memberId: 'm-g', instanceId: null })).toBe(0);
  expect(await groups.remove('g')).toBe(0);
  expect(await groups.remove('g')).toBe(69);
  await opened.reopen();
  expect(opened.groups.describe('g')).toBeUndefined();
});

test('offsets of a topic go one by one, unless a member subscribes to it', async () => {
  const { folder, groups } = await open();
  await folder.log.createTopic('u');
  const other = { ...at(2), topic: 'u' };
  await groups.commit('g', ALONE, [at(7), at(7, 1), other]);
  // Version 0 of the subscription: one topic, `t`.
  const subscribed = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 1, 0, 1]), Buffer.from('t'), Buffer.alloc(4, 0xff)]);
  await groups.join('g', { ...requestOf(), protocols: [{ name: 'range', metadata: subscribed }] });
  const both = [
    { topic: 't', partition: 0 },
    { topic: 'u', partition: 0 },
  ];
  expect(await groups.removeOffsets('g', both)).toEqual({ errorCode: 0, codes: [86, 0] });
  expect(groups.committedBy('g').map(({ topic }) => topic)).toEqual(['t', 't']);
  groups.leave('g', { memberId: 'm', instanceId: null });
  expect(await groups.removeOffsets('g', [{ topic: 't', partition: 1 }])).toEqual({ errorCode: 0, codes: [0] });
  expect(groups.committedBy('g')).toMatchObject([{ partition: 0 }]);
  expect(await groups.removeOffsets('nobody', both)).toEqual({ errorCode: 69, codes: [] });
});

function requestOf() {
  return {
    memberId: '',
    newMemberId: 'm',
    instanceId: null,
    clientId: 'c',
    clientHost: '/h',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    takesIdFirst: false,
    canSkipAssignment: true,
  };
}

test('offsets beyond their bytes, and groups beyond their number, are refused, and said', async () => {
  const { groups } = await open({
    limits: { offsetBytesMax: 300, groupsMax: 3 },
  });
  const codes = await groups.commit('a', ALONE, [at(1, 0, 'x'.repeat(300))]);
  expect(codes).toEqual([28]);
  expect(groups.list()).toEqual([]);
  for (const id of ['a', 'b']) expect(await groups.commit(id, ALONE, [at(1)])).toEqual([0]);
  expect(await join(groups, 'c')).toMatchObject({ errorCode: 0 });
  expect(await groups.commit('d', ALONE, [at(1)])).toEqual([28]);
  expect(await join(groups, 'd')).toMatchObject({ errorCode: 81 });
  // Who is known goes on.
  expect(await groups.commit('a', ALONE, [at(2)])).toEqual([0]);
  expect(await join(groups, 'b')).toMatchObject({ errorCode: 0 });
});

test('members of all groups are bounded together', async () => {
  const { groups } = await open({ limits: { membersMax: 2 } });
  expect(await join(groups, 'a')).toMatchObject({ errorCode: 0 });
  expect(await join(groups, 'b')).toMatchObject({ errorCode: 0 });
  expect(await join(groups, 'c')).toMatchObject({ errorCode: 81 });
  groups.leave('a', { memberId: 'm-a', instanceId: null });
  expect(await join(groups, 'c')).toMatchObject({ errorCode: 0 });
});

test('offsets of a group that nobody uses go when their time is over; those of one with members stay', async () => {
  const { clock, groups } = await open({ settings: { offsetsRetentionMs: 24 * HOUR_MS } });
  await groups.commit('idle', ALONE, [at(1)]);
  await groups.commit('busy', ALONE, [at(1)]);
  await join(groups, 'busy');
  const member = { memberId: 'm-busy', instanceId: null, generation: 1 };
  await groups.sync('busy', { ...member, protocolType: null, protocol: null, assignments: new Map() });
  const beating = clock.every(60_000, () => groups.heartbeat('busy', member));
  onTestFinished(() => beating.cancel());
  clock.advance(23 * HOUR_MS);
  // Whatever a consumer without a group commits, also unchanged, counts as use.
  await groups.commit('late', ALONE, [at(1)]);
  const list = () => groups.list().map(({ id }) => id);
  expect(list()).toEqual(['busy', 'idle', 'late']);
  clock.advance(2 * HOUR_MS);
  await expect.poll(list).toEqual(['busy', 'late']);
});

test('time without power, and a wall clock that jumps, expire nothing; time before a restart counts', async () => {
  const opened = await open({ settings: { offsetsRetentionMs: 24 * HOUR_MS } });
  await opened.groups.commit('g', ALONE, [at(1)]);
  opened.clock.advance(20 * HOUR_MS + 1);
  await opened.folder.log.probe(-1);
  // Another process, whose clocks know nothing of the one before.
  const clock = fakeClock(4_000_000_000_000);
  await opened.reopen({ clock });
  expect(opened.groups.list()).toHaveLength(1);
  clock.advance(2 * HOUR_MS);
  expect(opened.groups.list()).toHaveLength(1);
  clock.advance(3 * HOUR_MS);
  await expect.poll(() => opened.groups.list()).toEqual([]);
});

test('what was used shortly before a crash does not expire by what the card said before', async () => {
  const opened = await open({ settings: { offsetsRetentionMs: 24 * HOUR_MS } });
  await opened.groups.commit('g', ALONE, [at(1)]);
  opened.clock.advance(23 * HOUR_MS);
  await opened.groups.commit('g', ALONE, [at(1)]);
  await opened.folder.log.probe(-1);
  const clock = fakeClock();
  await opened.reopen({ clock });
  clock.advance(20 * HOUR_MS);
  expect(opened.groups.list()).toHaveLength(1);
});

test('status and metrics tell states, members and the lag of the groups that are furthest behind', async () => {
  const { folder, groups } = await open();
  const partition = folder.log.topic('t')!.partitions[0]!;
  await partition.append(encodeBatch(Array.from({ length: 500 }, () => ({ timestampMs: 1, key: null, value: null }))));
  await Promise.all(upTo(120).map((number) => groups.commit(`g${number}`, ALONE, [at(number)])));
  await join(groups, 'm');
  const status = groups.status();
  expect(status).toMatchObject({ groups: 121, members: 1, states: { Empty: 120, CompletingRebalance: 1 } });
  expect(status.lag).toHaveLength(100);
  expect(status.lag[0]).toEqual({ group: 'g0', records: 500 });
  expect(status.lag[99]).toEqual({ group: 'g99', records: 401 });
  const lag = groups.metrics().find(({ name }) => name === 'group_lag_records')!;
  expect(lag.samples).toHaveLength(100);
});

test('after a close everything that waits is answered, and nothing more is taken', async () => {
  const opened = await open({ settings: { initialRebalanceDelayMs: 3000 } });
  const waiting = join(opened.groups, 'g');
  opened.groups.close();
  expect(await waiting).toMatchObject({ errorCode: 16 });
  expect(await join(opened.groups, 'g')).toMatchObject({ errorCode: 16 });
  expect(opened.groups.heartbeat('g', { memberId: 'm-g', instanceId: null, generation: 0 })).toBe(16);
});

test('docs/kafka-groups.md tells the limits as they are', () => {
  const text = readFileSync(new URL('../../docs/kafka-groups.md', import.meta.url), 'utf8');
  const { groupsMax, membersMax, memberBytesMax, offsetBytesMax } = DEFAULT_GROUPS_LIMITS;
  const thousands = (count: number): string => count.toLocaleString('en');
  const mib = (bytes: number): string => `${bytes / 2 ** 20} MiB`;
  expect(text).toContain(`| groups | ${thousands(groupsMax)} |`);
  expect(text).toContain(`| \`group.max.size\`, ${thousands(DEFAULT_GROUP_SETTINGS.sizeMax)} |`);
  expect(text).toContain(`| ${thousands(membersMax)}; ${mib(memberBytesMax)} |`);
  expect(text).toContain(`| ${mib(offsetBytesMax)}, about`);
});

test('an offset that is committed while the one before is being removed stays', async () => {
  const log = fakeLog();
  await log.createTopic('t');
  const groups = openGroups({ log, clock: fakeClock(), trace: silent });
  onTestFinished(() => groups.close());
  await groups.commit('g', ALONE, [at(4)]);
  const held = log.hold();
  const removing = groups.remove('g');
  const committing = groups.commit('g', ALONE, [at(5)]);
  held.release();
  await Promise.all([removing, committing]);
  expect(groups.committed('g', 't', 0)).toMatchObject({ offset: 5 });
  expect(log.marks('offset/')).toHaveLength(1);
});

test('what a member gave is a copy: a request is not held by what is kept of it', async () => {
  const { groups } = await open();
  const request = Buffer.from('....wants....');
  const protocols = [{ name: 'range', metadata: request.subarray(4, 9) }];
  await groups.join('g', { ...requestOf(), protocols });
  const share = Buffer.from('....share....');
  const assignments = new Map([['m', share.subarray(4, 9)]]);
  const speaker = { memberId: 'm', instanceId: null, generation: 1, protocolType: null, protocol: null };
  await groups.sync('g', { ...speaker, assignments });
  request.fill(0);
  share.fill(0);
  const [member] = groups.describe('g')!.members;
  expect([member!.metadata.toString(), member!.assignment.toString()]).toEqual(['wants', 'share']);
});
