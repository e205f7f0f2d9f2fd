// DescribeGroups. Served: 0 to 6.
//
//   1  throttle time   3  what the client may do   4  static members   5  flexible   6  GROUP_ID_NOT_FOUND, with words
//
// Before version 6 a group that is not known, or is of KIP-848's protocol, is one in state Dead. Metadata and assignments are told while the group is
// stable, as in Kafka.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { describeGroups } from '../../formats/kafka/15-describe-groups.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { GroupDescription } from '../../groups/groups.ts';
import { GROUP_OPERATIONS } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Response = ResponseDraft<typeof describeGroups>;
type GroupResponse = Response['groups'][number];

export const describeGroupsHandler = defineHandler(describeGroups, answer);

const NOT_FOUND_FROM = 6;

function answer(request: RequestOf<typeof describeGroups>, { door, version }: Call): Response {
  const allowed = request.includeAuthorizedOperations ? { authorizedOperations: GROUP_OPERATIONS } : {};
  const groups = request.groups.map((groupId) => {
    const found = door.groups.describe(groupId);
    return found === undefined || found.kind !== 'Classic'
      ? unknown(groupId, version)
      : { ...described(found), ...allowed };
  });
  return { groups };
}

function unknown(groupId: string, version: number): GroupResponse {
  const dead = { groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] };
  if (version < NOT_FOUND_FROM) return { errorCode: KafkaError.NONE, ...dead };
  return {
    errorCode: KafkaError.GROUP_ID_NOT_FOUND,
    errorMessage: `there is no group ${groupId}, or it is not of the classic protocol`,
    ...dead,
  };
}

function described({ id, state, protocolType, protocol, members }: GroupDescription): GroupResponse {
  return {
    errorCode: KafkaError.NONE,
    groupId: id,
    groupState: state,
    protocolType,
    protocolData: protocol,
    members: members.map((each) => ({
      memberId: each.memberId,
      groupInstanceId: each.instanceId,
      clientId: each.clientId,
      clientHost: each.clientHost,
      memberMetadata: each.metadata,
      memberAssignment: each.assignment,
    })),
  };
}
