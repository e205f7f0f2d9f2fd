// DescribeProducers: the idempotent producers that a partition remembers. A mirror asks it before it sends a batch again.

import { array, defineApi, int16, int32, int64, list, string } from './schema.ts';

export const describeProducers = defineApi({
  key: 61,
  name: 'DescribeProducers',
  versions: '0',
  flexibleFrom: 0,
  request: {
    topics: array({ name: string(), partitionIndexes: list(int32()) }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string({ nullable: '0+', default: null }),
        activeProducers: array(
          {
            producerId: int64(),
            producerEpoch: int32(),
            lastSequence: int32({ default: -1 }),
            lastTimestamp: int64({ default: -1 }),
            coordinatorEpoch: int32({ default: -1 }),
            currentTxnStartOffset: int64({ default: -1 }),
          },
          { default: [] },
        ),
      }),
    }),
  },
});
