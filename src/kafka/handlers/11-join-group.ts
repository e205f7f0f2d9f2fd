// JoinGroup. Served: 0 to 9.
//
//   1  rebalance timeout (before, the session's)   5  static members        8  reason
//   2  throttle time                               6  flexible              9  a leader that need not assign
//   4  the id first (KIP-394)                      7  protocol type back
//
// The answer waits until all members have joined, or their time is up. With a static member's return nothing is
// rebalanced; its leader assigns anew only if it is too old to be told not to (before 9: it is not told that it leads).

import { randomUUID } from 'node:crypto';
import { KafkaError } from '../../formats/kafka/codes.ts';
import { joinGroup } from '../../formats/kafka/11-join-group.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, unlessAborted, type Call } from '../handler.ts';

type Request = RequestOf<typeof joinGroup>;
type Response = ResponseDraft<typeof joinGroup>;

export const joinGroupHandler = defineHandler(joinGroup, answer);

const TAKES_ID_FIRST = 4;
const HAS_NULL_PROTOCOL = 7;
const CAN_SKIP_ASSIGNMENT = 9;

async function answer(request: Request, call: Call): Promise<Response> {
  const { memberId, groupInstanceId: instanceId, sessionTimeoutMs, rebalanceTimeoutMs } = request;
  const joining = call.door.groups.join(request.groupId, {
    memberId,
    newMemberId: `${instanceId ?? call.clientId}-${randomUUID()}`,
    instanceId,
    clientId: call.clientId,
    clientHost: call.clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    protocolType: request.protocolType,
    protocols: request.protocols,
    takesIdFirst: call.version >= TAKES_ID_FIRST,
    canSkipAssignment: call.version >= CAN_SKIP_ASSIGNMENT,
  });
  const joined = await unlessAborted(joining, call.signal);
  if (joined === undefined) return nowhere(memberId, call.version);
  const { errorCode, generation, protocolType, protocol, leaderId, skipAssignment } = joined;
  return {
    errorCode,
    generationId: generation,
    protocolType,
    protocolName: protocol ?? noProtocol(call.version),
    leader: leaderId,
    skipAssignment,
    memberId: joined.memberId,
    members: joined.members.map((each) => ({
      memberId: each.memberId,
      groupInstanceId: each.instanceId,
      metadata: each.metadata,
    })),
  };
}

function noProtocol(version: number): string | null {
  return version >= HAS_NULL_PROTOCOL ? null : '';
}

/** The door closes: the client shall look for its coordinator again. */
function nowhere(memberId: string, version: number): Response {
  const errorCode = KafkaError.NOT_COORDINATOR;
  return { errorCode, protocolName: noProtocol(version), leader: '', memberId, members: [] };
}
