// Heartbeat. Served: 0 to 4.
//
//   1  throttle time   3  static members   4  flexible

import { heartbeat } from '../../formats/kafka/12-heartbeat.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call } from '../handler.ts';

export const heartbeatHandler = defineHandler(heartbeat, answer);

function answer(request: RequestOf<typeof heartbeat>, { door }: Call): ResponseDraft<typeof heartbeat> {
  const { groupId, memberId, groupInstanceId: instanceId, generationId: generation } = request;
  return { errorCode: door.groups.heartbeat(groupId, { memberId, instanceId, generation }) };
}
