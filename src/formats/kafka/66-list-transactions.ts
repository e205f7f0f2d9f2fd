// ListTransactions: which transactional ids the coordinator knows. Version 1 filters by age, version 2 by a pattern.

import { array, defineApi, int16, int32, int64, list, string } from './schema.ts';

export const listTransactions = defineApi({
  key: 66,
  name: 'ListTransactions',
  versions: '0-2',
  flexibleFrom: 0,
  request: {
    stateFilters: list(string()),
    producerIdFilters: list(int64()),
    durationFilter: int64({ versions: '1+', default: -1 }),
    transactionalIdPattern: string({ versions: '2+', nullable: '2+', default: null }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ default: 0 }),
    unknownStateFilters: list(string(), { default: [] }),
    transactionStates: array(
      {
        transactionalId: string(),
        producerId: int64(),
        transactionState: string(),
      },
      { default: [] },
    ),
  },
});
