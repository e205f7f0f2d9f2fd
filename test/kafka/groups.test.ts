// The APIs of consumer groups, as a client meets them on the wire: a raw client, every version where versions differ.

import { expect, test } from 'vitest';
import { offsetCommit } from '../../src/formats/kafka/08-offset-commit.ts';
import { offsetFetch } from '../../src/formats/kafka/09-offset-fetch.ts';
import { apiVersions } from '../../src/formats/kafka/18-api-versions.ts';
import { deleteGroups } from '../../src/formats/kafka/42-delete-groups.ts';
import { describeGroups } from '../../src/formats/kafka/15-describe-groups.ts';
import { heartbeat } from '../../src/formats/kafka/12-heartbeat.ts';
import { joinGroup } from '../../src/formats/kafka/11-join-group.ts';
import { leaveGroup } from '../../src/formats/kafka/13-leave-group.ts';
import { listGroups } from '../../src/formats/kafka/16-list-groups.ts';
import { offsetDelete } from '../../src/formats/kafka/47-offset-delete.ts';
import { offsetForLeaderEpoch } from '../../src/formats/kafka/23-offset-for-leader-epoch.ts';
import { syncGroup } from '../../src/formats/kafka/14-sync-group.ts';
import type { RequestDraft } from '../../src/formats/kafka/schema.ts';
import { fakeClock } from '../fakes/clock.ts';
import { batchOf, openDoor, produceOne } from './open-door.ts';
import type { RawClient } from './raw-client.ts';

type Join = RequestDraft<typeof joinGroup>;

function joinOf(memberId = '', more: Partial<Join> = {}): Join {
  return {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    memberId,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('wants') }],
    ...more,
  };
}

/** Joins alone, in any version, with the id first where the version has it so, and assigns. Returns the member's id. */
async function settle(client: RawClient, version = 9, more: Partial<Join> = {}): Promise<string> {
  let answer = await client.ask(joinGroup, version, joinOf('', more));
  if (answer.errorCode === 79) answer = await client.ask(joinGroup, version, joinOf(answer.memberId, more));
  const { errorCode, memberId, generationId } = answer;
  expect({ errorCode, leader: answer.leader }).toEqual({ errorCode: 0, leader: memberId });
  const assignments = [{ memberId, assignment: Buffer.from('share') }];
  const names = { protocolType: more.protocolType ?? 'consumer', protocolName: 'range' };
  const groupInstanceId = more.groupInstanceId ?? null;
  const sync = { groupId: 'g', generationId, memberId, groupInstanceId, assignments, ...names };
  const synced = await client.ask(syncGroup, Math.min(version, 5), sync);
  expect([synced.errorCode, synced.assignment.toString()]).toEqual([0, 'share']);
  return memberId;
}

test('every version of a join leads to a member, from version 4 on with the id first', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  for (let version = 0; version <= 9; version++) {
    const first = await client.ask(joinGroup, version, joinOf());
    expect(first.errorCode).toBe(version >= 4 ? 79 : 0);
    expect(first.memberId).toMatch(/^raw-[0-9a-f-]{36}$/);
    const answer = version >= 4 ? await client.ask(joinGroup, version, joinOf(first.memberId)) : first;
    expect(answer).toMatchObject({ errorCode: 0, protocolName: 'range', leader: first.memberId });
    expect(answer.protocolType).toBe(version >= 7 ? 'consumer' : null);
    expect(answer.members.map(({ metadata }) => metadata.toString())).toEqual(['wants']);
    await client.ask(leaveGroup, 1, { groupId: 'g', memberId: first.memberId });
  }
});

test('a refused join has a null protocol from version 7 on, and an empty one before', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  const refused = async (version: number) => client.ask(joinGroup, version, joinOf('', { sessionTimeoutMs: 1 }));
  expect(await refused(6)).toMatchObject({ errorCode: 26, protocolName: '', generationId: -1 });
  expect(await refused(7)).toMatchObject({ errorCode: 26, protocolName: null, generationId: -1 });
  expect(await client.ask(joinGroup, 9, joinOf('', { groupId: '' }))).toMatchObject({ errorCode: 24 });
});

test('a member heartbeats, syncs again, and leaves, in every version', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  let generationId = 0;
  for (let version = 0; version <= 5; version++) {
    const memberId = await settle(client);
    generationId += 1;
    const speaker = { groupId: 'g', generationId, memberId };
    expect((await client.ask(heartbeat, Math.min(version, 4), speaker)).errorCode).toBe(0);
    const names = { protocolType: 'consumer', protocolName: 'range' };
    const synced = await client.ask(syncGroup, version, { ...speaker, ...names, assignments: [] });
    expect([synced.errorCode, synced.assignment.toString()]).toEqual([0, 'share']);
    const left = await client.ask(leaveGroup, version, {
      groupId: 'g',
      memberId,
      members: [{ memberId }, { memberId: 'x' }],
    });
    expect(left.errorCode).toBe(0);
    if (version >= 3) expect(left.members.map(({ errorCode }) => errorCode)).toEqual([0, 25]);
    expect((await client.ask(heartbeat, Math.min(version, 4), speaker)).errorCode).toBe(25);
    // With its last member, and no offsets, the group is gone, and begins again.
    generationId = 0;
  }
});

test('a sync of version 5 must name type and protocol', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  const memberId = await settle(client);
  const sync = { groupId: 'g', generationId: 1, memberId, assignments: [] };
  expect((await client.ask(syncGroup, 5, sync)).errorCode).toBe(23);
  expect((await client.ask(syncGroup, 5, { ...sync, protocolType: 'consumer', protocolName: 'other' })).errorCode).toBe(
    23,
  );
  expect((await client.ask(syncGroup, 4, sync)).errorCode).toBe(0);
});

test('two members of two connections share a generation, and the one that stays learns that the other left', async () => {
  const { connect } = await openDoor();
  const [one, two] = [await connect(), await connect()];
  const first = await settle(one, 3);
  const joining = two.send(joinGroup, 3, joinOf());
  await expect
    .poll(async () => (await one.ask(heartbeat, 3, { groupId: 'g', generationId: 1, memberId: first })).errorCode)
    .toBe(27);
  const again = await one.ask(joinGroup, 3, joinOf(first));
  const { memberId: second, members } = await joining();
  expect([again.generationId, again.members.length, members.length]).toEqual([2, 2, 0]);
  const syncing = two.send(syncGroup, 3, { groupId: 'g', generationId: 2, memberId: second, assignments: [] });
  const shares = [first, second].map((memberId) => ({ memberId, assignment: Buffer.from(`of ${memberId}`) }));
  const led = await one.ask(syncGroup, 3, { groupId: 'g', generationId: 2, memberId: first, assignments: shares });
  expect([led.assignment.toString(), (await syncing()).assignment.toString()]).toEqual([`of ${first}`, `of ${second}`]);
  await one.ask(leaveGroup, 1, { groupId: 'g', memberId: first });
  expect((await two.ask(heartbeat, 3, { groupId: 'g', generationId: 2, memberId: second })).errorCode).toBe(27);
});

test('a static member that comes back gets its share, and its former id is fenced', async () => {
  const { connect } = await openDoor();
  const client = await connect();
  const old = await settle(client, 9, { groupInstanceId: 'pump' });
  const back = await client.ask(joinGroup, 9, joinOf('', { groupInstanceId: 'pump' }));
  expect(back).toMatchObject({ errorCode: 0, generationId: 1, skipAssignment: true, leader: back.memberId });
  expect(back.memberId).toMatch(/^pump-/);
  const speaker = { groupId: 'g', generationId: 1, memberId: old, groupInstanceId: 'pump' };
  expect((await client.ask(heartbeat, 4, speaker)).errorCode).toBe(82);
  expect((await client.ask(joinGroup, 9, joinOf(old, { groupInstanceId: 'pump' }))).errorCode).toBe(82);
});

test('before version 1 the rebalance timeout is the session', async () => {
  const clock = fakeClock();
  const { connect } = await openDoor({ clock });
  const [one, two] = [await connect(), await connect()];
  const first = await one.ask(joinGroup, 0, joinOf());
  const joining = two.send(joinGroup, 0, joinOf());
  const speaker = { groupId: 'g', generationId: 1, memberId: first.memberId };
  await expect.poll(async () => (await one.ask(heartbeat, 0, speaker)).errorCode).toBe(27);
  for (let passed = 0; passed < 10_000; passed += 5000) {
    expect((await one.ask(heartbeat, 0, speaker)).errorCode).toBe(27);
    clock.advance(5000);
  }
  expect(await joining()).toMatchObject({ errorCode: 0, generationId: 2 });
  expect((await one.ask(heartbeat, 0, speaker)).errorCode).toBe(25);
});

test('a session that ends takes the member out', async () => {
  const clock = fakeClock();
  const { connect, groups } = await openDoor({ clock });
  const client = await connect();
  const memberId = await settle(client);
  clock.advance(9999);
  expect((await client.ask(heartbeat, 4, { groupId: 'g', generationId: 1, memberId })).errorCode).toBe(0);
  clock.advance(10_001);
  expect((await client.ask(heartbeat, 4, { groupId: 'g', generationId: 1, memberId })).errorCode).toBe(25);
  expect(groups.status().members).toBe(0);
});

test('offsets are committed and fetched in every version', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('t', { partitions: 3 });
  const client = await connect();
  for (let version = 2; version <= 9; version++) {
    const committed = {
      partitionIndex: 1,
      committedOffset: version,
      committedLeaderEpoch: 4,
      committedMetadata: `v${version}`,
    };
    const stray = { partitionIndex: 3, committedOffset: 1 };
    const topics = [{ name: 't', partitions: [committed, stray] }];
    const answer = await client.ask(offsetCommit, version, { groupId: 'alone', topics });
    expect(answer.topics[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual([0, 3]);
    const found = { committedOffset: version, metadata: `v${version}`, errorCode: 0 };
    for (let fetchVersion = 1; fetchVersion <= 9; fetchVersion++) {
      const wanted = [{ name: 't', partitionIndexes: [0, 1] }];
      const groups = [
        { groupId: 'alone', topics: wanted },
        { groupId: 'alone', topics: null },
      ];
      const fetched = await client.ask(offsetFetch, fetchVersion, { groupId: 'alone', topics: wanted, groups });
      const topicsOf = fetchVersion >= 8 ? fetched.groups[0]!.topics : fetched.topics;
      expect(topicsOf[0]!.partitions).toMatchObject([{ committedOffset: -1, metadata: '', errorCode: 0 }, found]);
      if (fetchVersion >= 8) expect(fetched.groups[1]!.topics[0]!.partitions).toMatchObject([found]);
      const epoch = topicsOf[0]!.partitions[1]!.committedLeaderEpoch;
      expect(epoch).toBe(version >= 6 && fetchVersion >= 5 ? 4 : -1);
    }
  }
  const all = await client.ask(offsetFetch, 2, { groupId: 'alone', topics: null });
  expect(all.topics[0]!.partitions).toMatchObject([{ partitionIndex: 1, committedOffset: 9 }]);
});

test('a member of an old generation, or none, may not commit; one of this generation may', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('t');
  const client = await connect();
  const memberId = await settle(client);
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 5 }] }];
  const commit = async (generation: number, id = memberId) => {
    const answer = await client.ask(offsetCommit, 9, {
      groupId: 'g',
      generationIdOrMemberEpoch: generation,
      memberId: id,
      topics,
    });
    return answer.topics[0]!.partitions[0]!.errorCode;
  };
  expect([await commit(0), await commit(1, 'other'), await commit(-1, ''), await commit(1)]).toEqual([22, 25, 25, 0]);
});

test('groups are listed by state and type, and described', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('t');
  const client = await connect();
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 5 }] }];
  await client.ask(offsetCommit, 9, { groupId: 'alone', topics });
  const memberId = await settle(client);
  const names = async (filter: object, version = 5) =>
    (await client.ask(listGroups, version, filter)).groups.map(({ groupId }) => groupId);
  for (let version = 0; version <= 5; version++) expect(await names({}, version)).toEqual(['alone', 'g']);
  expect(await names({ statesFilter: ['stable'] })).toEqual(['g']);
  expect(await names({ statesFilter: ['Empty', 'Dead'] })).toEqual(['alone']);
  expect(await names({ typesFilter: ['classic'] })).toEqual(['alone', 'g']);
  expect(await names({ typesFilter: ['consumer'] })).toEqual([]);
  for (let version = 0; version <= 6; version++) {
    const { groups } = await client.ask(describeGroups, version, {
      groups: ['g', 'alone', 'nobody'],
      includeAuthorizedOperations: true,
    });
    expect(groups[0]).toMatchObject({ groupState: 'Stable', protocolType: 'consumer', protocolData: 'range' });
    expect(groups[0]!.members).toMatchObject([{ memberId, clientId: 'raw', clientHost: '/127.0.0.1' }]);
    expect(groups[0]!.members[0]!.memberAssignment.toString()).toBe('share');
    expect(groups[1]).toMatchObject({ errorCode: 0, groupState: 'Empty', members: [] });
    expect(groups[2]).toMatchObject({ errorCode: version >= 6 ? 69 : 0, groupState: 'Dead' });
    if (version >= 3) expect(groups[0]!.authorizedOperations).toBe(328);
  }
});

test('groups and offsets are deleted', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('t', { partitions: 2 });
  const client = await connect();
  const partitions = [0, 1].map((partitionIndex) => ({ partitionIndex, committedOffset: 5 }));
  for (let version = 0; version <= 2; version++) {
    await client.ask(offsetCommit, 9, { groupId: 'alone', topics: [{ name: 't', partitions }] });
    const wanted = [{ name: 't', partitions: [{ partitionIndex: 1 }, { partitionIndex: 2 }] }];
    const gone = await client.ask(offsetDelete, 0, { groupId: 'alone', topics: wanted });
    expect(gone.topics[0]!.partitions).toMatchObject([{ errorCode: 0 }, { errorCode: 3 }]);
    const memberId = await settle(client);
    const answer = await client.ask(deleteGroups, version, { groupsNames: ['alone', 'g', 'nobody', ''] });
    expect(answer.results.map(({ errorCode }) => errorCode)).toEqual([0, 68, 69, 24]);
    await client.ask(leaveGroup, 1, { groupId: 'g', memberId });
  }
  expect((await client.ask(offsetDelete, 0, { groupId: 'alone', topics: [] })).errorCode).toBe(69);
  expect((await client.ask(listGroups, 5, {})).groups).toEqual([]);
});

test('a leader epoch ends at the high watermark', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('t');
  const client = await connect();
  await produceOne(client, 't', batchOf(['a', 'b']));
  for (let version = 2; version <= 4; version++) {
    const partitions = [
      { partition: 0, currentLeaderEpoch: 0, leaderEpoch: 0 },
      { partition: 0, leaderEpoch: 7 },
      { partition: 0, currentLeaderEpoch: 1, leaderEpoch: 0 },
      { partition: 1, leaderEpoch: 0 },
    ];
    const { topics } = await client.ask(offsetForLeaderEpoch, version, { topics: [{ topic: 't', partitions }] });
    expect(topics[0]!.partitions).toMatchObject([
      { errorCode: 0, leaderEpoch: 0, endOffset: 2 },
      { errorCode: 0, leaderEpoch: -1, endOffset: -1 },
      { errorCode: 75 },
      { errorCode: 3 },
    ]);
  }
});

test('a door that closes answers the joins that wait', async () => {
  const { kafka, connect } = await openDoor({ groupSettings: { initialRebalanceDelayMs: 60_000 } });
  const client = await connect();
  const joining = client.send(joinGroup, 3, joinOf('', { rebalanceTimeoutMs: 60_000 }));
  await expect.poll(() => kafka.status().requests['JoinGroup']).toBe(1);
  const closing = kafka.close();
  expect(await joining()).toMatchObject({ errorCode: 16 });
  await closing;
});

test('what is advertised are the versions of the tables', async () => {
  const { connect } = await openDoor();
  const { apiKeys } = await (
    await connect()
  ).ask(apiVersions, 3, { clientSoftwareName: 'a', clientSoftwareVersion: '1' });
  const apis = [offsetCommit, offsetFetch, joinGroup, heartbeat, leaveGroup, syncGroup, describeGroups, listGroups];
  for (const { key, versions } of [...apis, offsetForLeaderEpoch, deleteGroups, offsetDelete]) {
    expect(apiKeys).toContainEqual({ apiKey: key, minVersion: versions.min, maxVersion: versions.max });
  }
});
