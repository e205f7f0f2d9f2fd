// OffsetFetch. Served: 1 to 9.
//
//   2  all partitions (null topics), error of the group   6  flexible              8  many groups
//   3  throttle time                                      7  stable offsets only   9  members of KIP-848's protocol
//   5  leader epoch
//
// A partition without an offset, and a group that is not known, are no error: the offset is -1. What is told is on the
// card. An offset that an open transaction may still move is UNSTABLE_OFFSET_COMMIT to who wants stable ones only. A
// member of KIP-848's protocol names itself with its epoch, so that one that has lost its partitions does not begin where
// others are.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { offsetFetch } from '../../formats/kafka/09-offset-fetch.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Groups } from '../../groups/groups.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof offsetFetch>;
type Wanted = Request['topics'];
type TopicResponse = NonNullable<ResponseDraft<typeof offsetFetch>['topics']>[number];
type PartitionResponse = TopicResponse['partitions'][number];

export const offsetFetchHandler = defineHandler(offsetFetch, answer);

const GROUPS_LISTED_FROM = 8;

function answer(request: Request, { door, version }: Call): ResponseDraft<typeof offsetFetch> {
  const { requireStable } = request;
  if (version < GROUPS_LISTED_FROM) {
    return { topics: topicsOf(door.groups, request.groupId, request.topics, requireStable) };
  }
  return {
    groups: request.groups.map(({ groupId, memberId, memberEpoch, topics }) => {
      const errorCode = door.groups.fetchCode(groupId, memberId, memberEpoch);
      const told = errorCode === KafkaError.NONE ? topicsOf(door.groups, groupId, topics, requireStable) : [];
      return { groupId, topics: told, errorCode };
    }),
  };
}

function topicsOf(groups: Groups, groupId: string, wanted: Wanted, requireStable: boolean): TopicResponse[] {
  const find = (topic: string, index: number): PartitionResponse => {
    const isUnstable = requireStable && groups.isUnstable(groupId, topic, index);
    return isUnstable ? unstable(index) : found(index, groups.committed(groupId, topic, index));
  };
  const topics = wanted ?? everything(groups, groupId);
  return topics.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((index) => find(name, index)),
  }));
}

function everything(groups: Groups, groupId: string): NonNullable<Wanted> {
  const topics = Map.groupBy(groups.committedBy(groupId), ({ topic }) => topic);
  return [...topics].map(([name, rows]) => ({ name, partitionIndexes: rows.map(({ partition }) => partition) }));
}

function unstable(partitionIndex: number): PartitionResponse {
  return { ...found(partitionIndex, undefined), errorCode: KafkaError.UNSTABLE_OFFSET_COMMIT };
}

function found(partitionIndex: number, committed: ReturnType<Groups['committed']>): PartitionResponse {
  const { offset, leaderEpoch, metadata } = committed ?? { offset: -1, leaderEpoch: -1, metadata: '' };
  const errorCode = KafkaError.NONE;
  return { partitionIndex, committedOffset: offset, committedLeaderEpoch: leaderEpoch, metadata, errorCode };
}
