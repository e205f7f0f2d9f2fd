// ListOffsets. Version 0 answered with a list of segment offsets and is gone from Kafka.

import { array, defineApi, int16, int32, int64, int8, string } from './schema.ts';

/** Values of `timestamp` that are not a time. */
export const LATEST_TIMESTAMP = -1;
export const EARLIEST_TIMESTAMP = -2;
/** Of the record with the largest timestamp; version 7 and later. */
export const MAX_TIMESTAMP = -3;
/** Of the first record on the broker's own disk; version 8 and later. */
export const EARLIEST_LOCAL_TIMESTAMP = -4;
/** Of the last record in tiered storage; version 9 and later. */
export const LATEST_TIERED_TIMESTAMP = -5;

/** Of the first record that waits for tiered storage; version 11 and later. */
export const EARLIEST_PENDING_TIMESTAMP = -6;

export const listOffsets = defineApi({
  key: 2,
  name: 'ListOffsets',
  versions: '1-11',
  flexibleFrom: 6,
  request: {
    replicaId: int32({ default: -1 }),
    isolationLevel: int8({ versions: '2+', default: 0 }),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        currentLeaderEpoch: int32({ versions: '4+', default: -1 }),
        timestamp: int64(),
      }),
    }),
    timeoutMs: int32({ versions: '10+', default: 0 }),
  },
  response: {
    throttleTimeMs: int32({ versions: '2+', default: 0 }),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        timestamp: int64({ default: -1 }),
        offset: int64({ default: -1 }),
        leaderEpoch: int32({ versions: '4+', default: -1 }),
      }),
    }),
  },
});
