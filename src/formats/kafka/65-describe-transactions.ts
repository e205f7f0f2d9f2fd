// DescribeTransactions: what the coordinator knows of transactional ids.

import { array, defineApi, int16, int32, int64, list, string } from './schema.ts';

export const describeTransactions = defineApi({
  key: 65,
  name: 'DescribeTransactions',
  versions: '0',
  flexibleFrom: 0,
  request: {
    transactionalIds: list(string()),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    transactionStates: array({
      errorCode: int16(),
      transactionalId: string(),
      transactionState: string({ default: '' }),
      transactionTimeoutMs: int32({ default: 0 }),
      transactionStartTimeMs: int64({ default: -1 }),
      producerId: int64({ default: -1 }),
      producerEpoch: int16({ default: -1 }),
      topics: array({ topic: string(), partitions: list(int32()) }, { default: [] }),
    }),
  },
});
