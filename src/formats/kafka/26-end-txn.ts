// EndTxn: commits or aborts a transaction. Version 5 gives a new epoch with each end, see handlers/26-end-txn.ts.

import { boolean, defineApi, int16, int32, int64, string } from './schema.ts';

export const endTxn = defineApi({
  key: 26,
  name: 'EndTxn',
  versions: '0-4',
  flexibleFrom: 3,
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    committed: boolean(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
  },
});
