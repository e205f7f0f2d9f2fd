// LeaveGroup. Served: 0 to 5.
//
//   1  throttle time   3  several members, static ones by their name   4  flexible   5  reason

import { KafkaError } from '../../formats/kafka/codes.ts';
import { leaveGroup } from '../../formats/kafka/13-leave-group.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call } from '../handler.ts';

export const leaveGroupHandler = defineHandler(leaveGroup, answer);

const SEVERAL_FROM = 3;

function answer(request: RequestOf<typeof leaveGroup>, { door, version }: Call): ResponseDraft<typeof leaveGroup> {
  const { groupId, memberId } = request;
  if (version < SEVERAL_FROM) return { errorCode: door.groups.leave(groupId, { memberId, instanceId: null }) };
  if (groupId === '') return { errorCode: KafkaError.INVALID_GROUP_ID };
  const members = request.members.map((each) => ({
    memberId: each.memberId,
    groupInstanceId: each.groupInstanceId,
    errorCode: door.groups.leave(groupId, { memberId: each.memberId, instanceId: each.groupInstanceId }),
  }));
  return { errorCode: KafkaError.NONE, members };
}
