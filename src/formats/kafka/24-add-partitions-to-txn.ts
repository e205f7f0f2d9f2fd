// AddPartitionsToTxn: a transaction is going to write to these partitions. From version 4 on it is what brokers ask each other.

import { array, defineApi, int16, int32, int64, list, string } from './schema.ts';

export const addPartitionsToTxn = defineApi({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: '0-3',
  flexibleFrom: 3,
  request: {
    v3AndBelowTransactionalId: string(),
    v3AndBelowProducerId: int64(),
    v3AndBelowProducerEpoch: int16(),
    v3AndBelowTopics: array({ name: string(), partitions: list(int32()) }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    resultsByTopicV3AndBelow: array({
      name: string(),
      resultsByPartition: array({ partitionIndex: int32(), partitionErrorCode: int16() }),
    }),
  },
});
