// InitProducerId. Without a transactional id it hands out a fresh id for an idempotent producer.

import { defineApi, int16, int32, int64, string } from './schema.ts';

export const initProducerId = defineApi({
  key: 22,
  name: 'InitProducerId',
  versions: '0-5',
  flexibleFrom: 2,
  request: {
    transactionalId: string({ nullable: '0+', default: null }),
    transactionTimeoutMs: int32({ default: 60_000 }),
    producerId: int64({ versions: '3+', default: -1 }),
    producerEpoch: int16({ versions: '3+', default: -1 }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    producerId: int64({ default: -1 }),
    producerEpoch: int16(),
  },
});
