// WriteTxnMarkers: what a coordinator asks of the brokers that hold partitions; and a person's tool, to end a transaction
// that no coordinator knows.

import { array, boolean, defineApi, int16, int32, int64, int8, list, string } from './schema.ts';

export const writeTxnMarkers = defineApi({
  key: 27,
  name: 'WriteTxnMarkers',
  versions: '1-2',
  flexibleFrom: 1,
  request: {
    markers: array({
      producerId: int64(),
      producerEpoch: int16(),
      transactionResult: boolean(),
      topics: array({ name: string(), partitionIndexes: list(int32()) }),
      coordinatorEpoch: int32({ default: 0 }),
      transactionVersion: int8({ versions: '2+', default: 0 }),
    }),
  },
  response: {
    markers: array({
      producerId: int64(),
      topics: array({
        name: string(),
        partitions: array({ partitionIndex: int32(), errorCode: int16() }),
      }),
    }),
  },
});
