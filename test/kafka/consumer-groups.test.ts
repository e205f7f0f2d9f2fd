// KIP-848's protocol as a client meets it on the wire, beside the classic one: what is answered, in which words, and what
// a group may change into.

import { expect, test } from 'vitest';
import { offsetCommit } from '../../src/formats/kafka/08-offset-commit.ts';
import { offsetFetch } from '../../src/formats/kafka/09-offset-fetch.ts';
import { joinGroup } from '../../src/formats/kafka/11-join-group.ts';
import { leaveGroup } from '../../src/formats/kafka/13-leave-group.ts';
import { describeGroups } from '../../src/formats/kafka/15-describe-groups.ts';
import { listGroups } from '../../src/formats/kafka/16-list-groups.ts';
import { deleteGroups } from '../../src/formats/kafka/42-delete-groups.ts';
import { offsetDelete } from '../../src/formats/kafka/47-offset-delete.ts';
import { consumerGroupHeartbeat } from '../../src/formats/kafka/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribe } from '../../src/formats/kafka/69-consumer-group-describe.ts';
import type { RequestDraft } from '../../src/formats/kafka/schema.ts';
import { openDoor, type TestDoor } from './open-door.ts';
import type { RawClient } from './raw-client.ts';

type Beat = RequestDraft<typeof consumerGroupHeartbeat>;

function joinOf(memberId: string, more: Partial<Beat> = {}): Beat {
  const wanted = { subscribedTopicNames: ['t'], topicPartitions: [] };
  return { groupId: 'g', memberId, memberEpoch: 0, rebalanceTimeoutMs: 60_000, ...wanted, ...more };
}

async function open(): Promise<TestDoor & { client: RawClient; topicId: Buffer }> {
  const door = await openDoor();
  const { id } = await door.log.createTopic('t', { partitions: 2 });
  return { ...door, client: await door.connect(), topicId: id };
}

function commitOf(memberId: string, epoch: number, offset = 0) {
  const partitions = [{ partitionIndex: 0, committedOffset: offset }];
  return { groupId: 'g', memberId, generationIdOrMemberEpoch: epoch, topics: [{ name: 't', partitions }] };
}

async function commit(client: RawClient, memberId: string, epoch: number): Promise<number> {
  const answer = await client.ask(offsetCommit, 9, commitOf(memberId, epoch, 5));
  return answer.topics[0]!.partitions[0]!.errorCode;
}

test('a member joins, is told what it has, and says nothing more than that it lives', async () => {
  const { client, topicId } = await open();
  const joined = await client.ask(consumerGroupHeartbeat, 1, joinOf('a'));
  expect(joined).toMatchObject({ errorCode: 0, memberId: 'a', memberEpoch: 1, heartbeatIntervalMs: 5000 });
  expect(joined.assignment).toEqual({ topicPartitions: [{ topicId, partitions: [0, 1] }] });
  const again = await client.ask(consumerGroupHeartbeat, 1, { groupId: 'g', memberId: 'a', memberEpoch: 1 });
  expect(again).toMatchObject({ errorCode: 0, memberEpoch: 1, assignment: null });
});

test('version 0 has ids that the node makes', async () => {
  const { client } = await open();
  const joined = await client.ask(consumerGroupHeartbeat, 0, joinOf(''));
  expect(joined.memberId).toMatch(/^[0-9a-f-]{36}$/);
  expect((await client.ask(consumerGroupHeartbeat, 1, joinOf(''))).errorCode).toBe(42);
});

test.for([
  ['no group', { groupId: '' }, 42, /GroupId/],
  ['no rebalance timeout', { rebalanceTimeoutMs: -1 }, 42, /RebalanceTimeoutMs/],
  ['no subscription', { subscribedTopicNames: null }, 42, /SubscribedTopicNames/],
  ['something it has', { topicPartitions: [{ topicId: Buffer.alloc(16), partitions: [0] }] }, 42, /TopicPartitions/],
  ['an empty static name', { instanceId: '' }, 42, /InstanceId/],
  ['an epoch that means nothing', { memberEpoch: -3 }, 42, /MemberEpoch/],
  ['an assignor that is not known', { serverAssignor: 'best' }, 112, /uniform and range/],
  ['an expression that is none', { subscribedTopicNames: null, subscribedTopicRegex: '(' }, 128, /without/],
  ['an epoch of a group that is not known', { memberEpoch: 3 }, 25, /restarted/],
] as const)('a heartbeat with %s is refused with words', async ([, more, errorCode, words]) => {
  const { client, groups } = await open();
  const answer = await client.ask(consumerGroupHeartbeat, 1, joinOf('a', more));
  expect(answer).toMatchObject({ errorCode, errorMessage: expect.stringMatching(words) });
  expect(groups.status().groups).toBe(0);
});

test('offsets are committed and fetched with the epoch of the member', async () => {
  const { client } = await open();
  await client.ask(consumerGroupHeartbeat, 1, joinOf('a'));
  expect(await commit(client, 'a', 1)).toBe(0);
  expect(await commit(client, 'a', 2)).toBe(113);
  expect(await commit(client, 'b', 1)).toBe(25);
  expect(await commit(client, '', -1)).toBe(25);
  const fetch = async (memberId: string | null, memberEpoch: number) => {
    const topics = [{ name: 't', partitionIndexes: [0] }];
    const answer = await client.ask(offsetFetch, 9, { groups: [{ groupId: 'g', memberId, memberEpoch, topics }] });
    const { errorCode, topics: told } = answer.groups[0]!;
    return [errorCode, told[0]?.partitions[0]?.committedOffset];
  };
  expect(await fetch('a', 1)).toEqual([0, 5]);
  expect(await fetch('a', 2)).toEqual([113, undefined]);
  expect(await fetch('b', 1)).toEqual([25, undefined]);
  // Members of classic groups say who they are, too, and are not asked for it.
  const other = await client.ask(offsetFetch, 9, {
    groups: [{ groupId: 'h', memberId: 'b', memberEpoch: 1, topics: [] }],
  });
  expect(other.groups[0]).toMatchObject({ errorCode: 0 });
  // Tools ask without a member.
  expect(await fetch(null, -1)).toEqual([0, 5]);
});

test('a group is listed by its type and described with what its members have and shall have', async () => {
  const { client, topicId } = await open();
  await client.ask(consumerGroupHeartbeat, 1, joinOf('a', { instanceId: 'one', rackId: 'r' }));
  const { groups } = await client.ask(listGroups, 5, { typesFilter: ['consumer'] });
  expect(groups).toEqual([{ groupId: 'g', protocolType: 'consumer', groupState: 'Stable', groupType: 'Consumer' }]);
  expect((await client.ask(listGroups, 5, { typesFilter: ['classic'] })).groups).toEqual([]);
  for (const version of [0, 1]) {
    const { groups: told } = await client.ask(consumerGroupDescribe, version, { groupIds: ['g', 'none'] });
    const share = { topicPartitions: [{ topicId, topicName: 't', partitions: [0, 1] }] };
    expect(told[0]).toMatchObject({ errorCode: 0, groupState: 'Stable', groupEpoch: 1, assignorName: 'uniform' });
    expect(told[0]!.members[0]).toMatchObject({ memberId: 'a', instanceId: 'one', rackId: 'r', assignment: share });
    expect(told[0]!.members[0]).toMatchObject({ targetAssignment: share, memberType: version === 0 ? -1 : 1 });
    expect(told[1]).toMatchObject({ errorCode: 69 });
  }
  const described = await client.ask(describeGroups, 6, { groups: ['g'] });
  expect(described.groups[0]).toMatchObject({ errorCode: 69, groupState: 'Dead' });
});

test('a group with members is not deleted, nor its offsets; a tool may take a member out', async () => {
  const { client } = await open();
  await client.ask(consumerGroupHeartbeat, 1, joinOf('a', { instanceId: 'one' }));
  await commit(client, 'a', 1);
  const removal = () => client.ask(deleteGroups, 2, { groupsNames: ['g'] });
  expect((await removal()).results[0]).toMatchObject({ errorCode: 68 });
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0 }] }];
  const kept = await client.ask(offsetDelete, 0, { groupId: 'g', topics });
  expect(kept.topics[0]!.partitions[0]).toMatchObject({ errorCode: 86 });
  const members = [{ memberId: '', groupInstanceId: 'one' }];
  expect((await client.ask(leaveGroup, 5, { groupId: 'g', members })).members[0]).toMatchObject({ errorCode: 0 });
  expect((await removal()).results[0]).toMatchObject({ errorCode: 0 });
  expect((await client.ask(listGroups, 5, {})).groups).toEqual([]);
});

test('an empty group changes its type, one with members does not, and says why', async () => {
  const { client } = await open();
  const classic = (memberId = '') =>
    client.ask(joinGroup, 3, {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      memberId,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(6) }],
    });
  const type = async () => (await client.ask(listGroups, 5, {})).groups[0]?.groupType;
  await client.ask(offsetCommit, 9, commitOf('', -1, 7));
  const { memberId } = await classic();
  const refused = await client.ask(consumerGroupHeartbeat, 1, joinOf('a'));
  expect(refused).toMatchObject({ errorCode: 69, errorMessage: expect.stringContaining('classic protocol') });
  await client.ask(leaveGroup, 2, { groupId: 'g', memberId });
  expect(await type()).toBe('Classic');
  expect(await client.ask(consumerGroupHeartbeat, 1, joinOf('a'))).toMatchObject({ errorCode: 0, memberEpoch: 1 });
  expect(await type()).toBe('Consumer');
  expect(await classic()).toMatchObject({ errorCode: 23 });
  await client.ask(consumerGroupHeartbeat, 1, { groupId: 'g', memberId: 'a', memberEpoch: -1 });
  // What was committed is the group's, whatever its type.
  expect(await type()).toBe('Consumer');
  expect((await client.ask(consumerGroupDescribe, 1, { groupIds: ['g'] })).groups[0]).toMatchObject({
    errorCode: 0,
    groupState: 'Empty',
  });
  expect(await classic()).toMatchObject({ errorCode: 0 });
  expect(await type()).toBe('Classic');
});
