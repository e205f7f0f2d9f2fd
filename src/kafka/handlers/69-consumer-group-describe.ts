// ConsumerGroupDescribe (KIP-848). Served: 0 to 1.
//
//   1  the protocol of each member
//
// A group of the classic protocol is GROUP_ID_NOT_FOUND, as in Kafka: then clients ask DescribeGroups. What has a target
// has an assignment of the same epoch, since the node assigns at once.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { consumerGroupDescribe } from '../../formats/kafka/69-consumer-group-describe.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { byTopic, incrementalStateOf, together } from '../../groups/groups.ts';
import type { IncrementalGroup, IncrementalMember, Share } from '../../groups/groups.ts';
import type { Log } from '../../log/log.ts';
import { GROUP_OPERATIONS } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Response = ResponseDraft<typeof consumerGroupDescribe>;
type GroupResponse = Response['groups'][number];
type MemberResponse = NonNullable<GroupResponse['members']>[number];

export const consumerGroupDescribeHandler = defineHandler(consumerGroupDescribe, answer);

/** A member of this protocol; 0 would be one of the classic protocol. */
const MEMBER_TYPE = 1;

function answer(request: RequestOf<typeof consumerGroupDescribe>, { door }: Call): Response {
  const allowed = request.includeAuthorizedOperations ? { authorizedOperations: GROUP_OPERATIONS } : {};
  const names = namesById(door.log);
  const groups = request.groupIds.map((groupId): GroupResponse => {
    const group = door.groups.incremental(groupId);
    if (group !== undefined) return { ...described(groupId, group, names), ...allowed };
    const errorMessage = `there is no group ${groupId}, or it is of the classic protocol`;
    return { errorCode: KafkaError.GROUP_ID_NOT_FOUND, errorMessage, groupId };
  });
  return { groups };
}

function namesById(log: Log): Map<string, string> {
  return new Map(log.topics().map(({ id, name }) => [id.toString('base64url'), name]));
}

function described(groupId: string, group: IncrementalGroup, names: ReadonlyMap<string, string>): GroupResponse {
  return {
    errorCode: KafkaError.NONE,
    groupId,
    groupState: incrementalStateOf(group),
    groupEpoch: group.epoch,
    assignmentEpoch: group.epoch,
    assignorName: group.assignor,
    members: [...group.members.values()].map((member) => memberOf(member, names)),
  };
}

function memberOf(member: IncrementalMember, names: ReadonlyMap<string, string>): MemberResponse {
  return {
    memberId: member.id,
    instanceId: member.instanceId,
    rackId: member.rackId,
    memberEpoch: member.epoch,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: member.names,
    subscribedTopicRegex: member.pattern,
    assignment: shareOf(together(member.assigned, member.revoking), names),
    targetAssignment: shareOf(member.target, names),
    memberType: MEMBER_TYPE,
  };
}

/** Topics that are gone have no name to be told by. */
function shareOf(share: Share, names: ReadonlyMap<string, string>): MemberResponse['assignment'] {
  const topicPartitions = [...byTopic(share)].flatMap(([id, partitions]) => {
    const topicName = names.get(id);
    return topicName === undefined ? [] : [{ topicId: Buffer.from(id, 'base64url'), topicName, partitions }];
  });
  return { topicPartitions };
}
