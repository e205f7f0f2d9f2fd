// ListPartitionReassignments. Which partitions are on their way to other brokers.

import { array, defineApi, int16, int32, list, string } from './schema.ts';

export const listPartitionReassignments = defineApi({
  key: 46,
  name: 'ListPartitionReassignments',
  versions: '0',
  flexibleFrom: 0,
  request: {
    timeoutMs: int32({ default: 60_000 }),
    topics: array({ name: string(), partitionIndexes: list(int32()) }, { nullable: '0+', default: null }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: '0+', default: null }),
    topics: array(
      {
        name: string(),
        partitions: array({
          partitionIndex: int32(),
          replicas: list(int32()),
          addingReplicas: list(int32()),
          removingReplicas: list(int32()),
        }),
      },
      { default: [] },
    ),
  },
});
