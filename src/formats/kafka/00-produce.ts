// Produce. Versions 0 to 2 carried the old message sets of magic 0 and 1; they are described because they are advertised
// (see kafka/handlers/00-produce.ts) and a client that sends one must be able to read the refusal. From version 13 on topics go
// by their ids.

import { array, defineApi, int16, int32, int64, records, string, tagged, uuid, ZERO_UUID } from './schema.ts';

export const produce = defineApi({
  key: 0,
  name: 'Produce',
  versions: '0-13',
  flexibleFrom: 9,
  request: {
    transactionalId: string({ versions: '3+', nullable: '3+', default: null }),
    acks: int16(),
    timeoutMs: int32(),
    topicData: array({
      name: string({ versions: '0-12', default: '' }),
      topicId: uuid({ versions: '13+', default: ZERO_UUID }),
      partitionData: array({
        index: int32(),
        records: records({ nullable: '0+' }),
      }),
    }),
  },
  response: {
    responses: array({
      name: string({ versions: '0-12', default: '' }),
      topicId: uuid({ versions: '13+', default: ZERO_UUID }),
      partitionResponses: array({
        index: int32(),
        errorCode: int16(),
        baseOffset: int64(),
        logAppendTimeMs: int64({ versions: '2+', default: -1 }),
        logStartOffset: int64({ versions: '5+', default: -1 }),
        recordErrors: array(
          { batchIndex: int32(), batchIndexErrorMessage: string({ nullable: '0+', default: null }) },
          { versions: '8+', default: [] },
        ),
        errorMessage: string({ versions: '8+', nullable: '8+', default: null }),
        currentLeader: tagged(
          { leaderId: int32({ default: -1 }), leaderEpoch: int32({ default: -1 }) },
          { versions: '10+', tag: 0 },
        ),
      }),
    }),
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    nodeEndpoints: array(
      { nodeId: int32(), host: string(), port: int32(), rack: string({ nullable: '0+', default: null }) },
      { versions: '10+', tag: 0, default: [] },
    ),
  },
});
