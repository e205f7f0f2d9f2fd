// DescribeTopicPartitions. Metadata of topics in portions: the answer says with which partition the next one begins.

import { OPERATIONS_NOT_ASKED } from './03-metadata.ts';
import { array, boolean, defineApi, int16, int32, list, nullableStruct, string, uuid, ZERO_UUID } from './schema.ts';

export const describeTopicPartitions = defineApi({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: '0',
  flexibleFrom: 0,
  request: {
    /** None: all of them. */
    topics: array({ name: string() }),
    responsePartitionLimit: int32({ default: 2000 }),
    cursor: nullableStruct({ topicName: string(), partitionIndex: int32() }, { default: null }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: array({
      errorCode: int16(),
      name: string({ nullable: '0+' }),
      topicId: uuid({ default: ZERO_UUID }),
      isInternal: boolean({ default: false }),
      partitions: array({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32({ default: -1 }),
        replicaNodes: list(int32()),
        isrNodes: list(int32()),
        /** Null is allowed in both, and stops the Java client. */
        eligibleLeaderReplicas: list(int32(), { nullable: '0+', default: [] }),
        lastKnownElr: list(int32(), { nullable: '0+', default: [] }),
        offlineReplicas: list(int32(), { default: [] }),
      }),
      topicAuthorizedOperations: int32({ default: OPERATIONS_NOT_ASKED }),
    }),
    nextCursor: nullableStruct({ topicName: string(), partitionIndex: int32() }, { default: null }),
  },
});
