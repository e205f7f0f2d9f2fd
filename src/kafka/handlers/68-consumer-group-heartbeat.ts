// ConsumerGroupHeartbeat (KIP-848). Served: 0 to 1.
//
//   1  expressions for topics, in RE2's words   ids are the client's
//
// Version 0 lets the node make the id of a member that joins without one. Answered at once: what changes for a member it
// learns with its next heartbeat.

import { randomUUID } from 'node:crypto';
import { consumerGroupHeartbeat, JOINING_EPOCH } from '../../formats/kafka/68-consumer-group-heartbeat.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { byTopic, placeOf, type Share } from '../../groups/groups.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof consumerGroupHeartbeat>;
type Response = ResponseDraft<typeof consumerGroupHeartbeat>;

export const consumerGroupHeartbeatHandler = defineHandler(consumerGroupHeartbeat, answer);

function answer(request: Request, { door, version, clientId, clientHost }: Call): Response {
  const isNameless = version === 0 && request.memberId === '' && request.memberEpoch === JOINING_EPOCH;
  const beaten = door.groups.beat(request.groupId, {
    memberId: isNameless ? randomUUID() : request.memberId,
    epoch: request.memberEpoch,
    instanceId: request.instanceId,
    rackId: request.rackId,
    clientId,
    clientHost,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    names: request.subscribedTopicNames,
    pattern: request.subscribedTopicRegex,
    assignor: request.serverAssignor,
    owned: request.topicPartitions === null ? null : shareOf(request.topicPartitions),
  });
  return {
    errorCode: beaten.errorCode,
    errorMessage: beaten.errorMessage,
    memberId: beaten.memberId,
    memberEpoch: beaten.epoch,
    heartbeatIntervalMs: door.groups.heartbeatIntervalMs,
    assignment: beaten.assigned === null ? null : { topicPartitions: partitionsOf(beaten.assigned) },
  };
}

function shareOf(topics: NonNullable<Request['topicPartitions']>): Share {
  return new Set(
    topics.flatMap(({ topicId, partitions }) => partitions.map((each) => placeOf(topicId.toString('base64url'), each))),
  );
}

function partitionsOf(share: Share): { topicId: Buffer; partitions: number[] }[] {
  return [...byTopic(share)].map(([id, partitions]) => ({ topicId: Buffer.from(id, 'base64url'), partitions }));
}
