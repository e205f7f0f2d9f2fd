// ConsumerGroupHeartbeat (KIP-848). Joining, leaving, what one has and what one shall have, all in one request: what is
// null has not changed since the one before. Version 1 has expressions for topics, and ids that the client makes.

import { array, defineApi, int16, int32, list, nullableStruct, string, uuid } from './schema.ts';

/** Member epochs of special meaning. */
export const JOINING_EPOCH = 0;
export const LEAVING_EPOCH = -1;
/** A static member goes and will be back. */
export const AWAY_EPOCH = -2;

export const consumerGroupHeartbeat = defineApi({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: '0-1',
  flexibleFrom: 0,
  request: {
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    instanceId: string({ nullable: '0+', default: null }),
    rackId: string({ nullable: '0+', default: null }),
    rebalanceTimeoutMs: int32({ default: -1 }),
    subscribedTopicNames: list(string(), { nullable: '0+', default: null }),
    subscribedTopicRegex: string({ versions: '1+', nullable: '1+', default: null }),
    serverAssignor: string({ nullable: '0+', default: null }),
    topicPartitions: array({ topicId: uuid(), partitions: list(int32()) }, { nullable: '0+', default: null }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: '0+', default: null }),
    memberId: string({ nullable: '0+', default: null }),
    memberEpoch: int32({ default: 0 }),
    heartbeatIntervalMs: int32({ default: 0 }),
    assignment: nullableStruct(
      { topicPartitions: array({ topicId: uuid(), partitions: list(int32()) }) },
      { default: null },
    ),
  },
});
