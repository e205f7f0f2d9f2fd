// CreatePartitions. More partitions for a topic; `count` is how many there are to be.

import { array, boolean, defineApi, int16, int32, list, string } from './schema.ts';

export const createPartitions = defineApi({
  key: 37,
  name: 'CreatePartitions',
  versions: '0-3',
  flexibleFrom: 2,
  request: {
    topics: array({
      name: string(),
      count: int32(),
      /** The brokers of each new partition; null leaves it to the cluster. */
      assignments: array({ brokerIds: list(int32()) }, { nullable: '0+' }),
    }),
    timeoutMs: int32(),
    validateOnly: boolean(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: array({
      name: string(),
      errorCode: int16(),
      errorMessage: string({ nullable: '0+', default: null }),
    }),
  },
});
