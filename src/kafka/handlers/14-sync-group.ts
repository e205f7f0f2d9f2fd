// SyncGroup. Served: 0 to 5.
//
//   1  throttle time   3  static members   4  flexible   5  protocol type and name, checked and back
//
// The answer waits for the leader's assignments.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { syncGroup } from '../../formats/kafka/14-sync-group.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, unlessAborted, type Call } from '../handler.ts';

type Request = RequestOf<typeof syncGroup>;
type Response = ResponseDraft<typeof syncGroup>;

export const syncGroupHandler = defineHandler(syncGroup, answer);

const NAMES_PROTOCOL_FROM = 5;

async function answer(request: Request, { door, version, signal }: Call): Promise<Response> {
  const { groupId, memberId, groupInstanceId: instanceId, generationId: generation } = request;
  const { protocolType, protocolName } = request;
  const namesProtocol = protocolType !== null && protocolName !== null;
  if (version >= NAMES_PROTOCOL_FROM && !namesProtocol) return failed(KafkaError.INCONSISTENT_GROUP_PROTOCOL);
  const assignments = new Map(request.assignments.map((each) => [each.memberId, each.assignment]));
  const syncing = door.groups.sync(groupId, {
    memberId,
    instanceId,
    generation,
    protocolType,
    assignments,
    protocol: protocolName,
  });
  const synced = await unlessAborted(syncing, signal);
  if (synced === undefined) return failed(KafkaError.NOT_COORDINATOR);
  const { errorCode, protocol, assignment } = synced;
  return { errorCode, protocolType: synced.protocolType, protocolName: protocol, assignment };
}

function failed(errorCode: number): Response {
  return { errorCode, assignment: Buffer.alloc(0) };
}
