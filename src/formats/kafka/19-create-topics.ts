// CreateTopics. From version 4 -1 asks for the broker's own number of partitions and replicas.

import { array, boolean, defineApi, int16, int32, int8, list, string, uuid, ZERO_UUID } from './schema.ts';

export const createTopics = defineApi({
  key: 19,
  name: 'CreateTopics',
  versions: '2-7',
  flexibleFrom: 5,
  request: {
    topics: array({
      name: string(),
      numPartitions: int32(),
      replicationFactor: int16(),
      assignments: array({ partitionIndex: int32(), brokerIds: list(int32()) }, { default: [] }),
      configs: array({ name: string(), value: string({ nullable: '0+' }) }, { default: [] }),
    }),
    timeoutMs: int32({ default: 60_000 }),
    validateOnly: boolean({ default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: array({
      name: string(),
      topicId: uuid({ versions: '7+', default: ZERO_UUID }),
      errorCode: int16(),
      errorMessage: string({ nullable: '0+', default: null }),
      numPartitions: int32({ versions: '5+', default: -1 }),
      replicationFactor: int16({ versions: '5+', default: -1 }),
      configs: array(
        {
          name: string(),
          value: string({ nullable: '5+' }),
          readOnly: boolean(),
          configSource: int8({ default: -1 }),
          isSensitive: boolean(),
        },
        { versions: '5+', nullable: '5+', default: [] },
      ),
      topicConfigErrorCode: int16({ versions: '5+', tag: 0, default: 0 }),
    }),
  },
});
