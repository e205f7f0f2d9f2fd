// Fetch. Up to version 12 topics go by their names, from 13 on by their ids. Replicas say who they are in a tagged field from
// 15 on; nobody here is one.

import {
  array,
  defineApi,
  int16,
  int32,
  int64,
  int8,
  list,
  records,
  string,
  tagged,
  uuid,
  ZERO_UUID,
} from './schema.ts';

export const fetch = defineApi({
  key: 1,
  name: 'Fetch',
  versions: '4-17',
  flexibleFrom: 12,
  request: {
    replicaId: int32({ versions: '4-14', default: -1 }),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: int32({ default: 0x7fffffff }),
    isolationLevel: int8({ default: 0 }),
    sessionId: int32({ versions: '7+', default: 0 }),
    sessionEpoch: int32({ versions: '7+', default: -1 }),
    topics: array({
      topic: string({ versions: '4-12', default: '' }),
      topicId: uuid({ versions: '13+', default: ZERO_UUID }),
      partitions: array({
        partition: int32(),
        currentLeaderEpoch: int32({ versions: '9+', default: -1 }),
        fetchOffset: int64(),
        lastFetchedEpoch: int32({ versions: '12+', default: -1 }),
        logStartOffset: int64({ versions: '5+', default: -1 }),
        partitionMaxBytes: int32(),
        replicaDirectoryId: uuid({ versions: '17+', tag: 0, default: ZERO_UUID }),
      }),
    }),
    forgottenTopicsData: array(
      {
        topic: string({ versions: '7-12', default: '' }),
        topicId: uuid({ versions: '13+', default: ZERO_UUID }),
        partitions: list(int32()),
      },
      { versions: '7+', default: [] },
    ),
    rackId: string({ versions: '11+', default: '' }),
    clusterId: string({ versions: '12+', nullable: '12+', tag: 0, default: null }),
    replicaState: tagged(
      { replicaId: int32({ default: -1 }), replicaEpoch: int64({ default: -1 }) },
      { versions: '15+', tag: 1 },
    ),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ versions: '7+', default: 0 }),
    sessionId: int32({ versions: '7+', default: 0 }),
    responses: array({
      topic: string({ versions: '4-12', default: '' }),
      topicId: uuid({ versions: '13+', default: ZERO_UUID }),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        highWatermark: int64(),
        lastStableOffset: int64({ default: -1 }),
        logStartOffset: int64({ versions: '5+', default: -1 }),
        abortedTransactions: array({ producerId: int64(), firstOffset: int64() }, { nullable: '4+', default: null }),
        preferredReadReplica: int32({ versions: '11+', default: -1 }),
        records: records({ nullable: '0+' }),
        divergingEpoch: tagged(
          { epoch: int32({ default: -1 }), endOffset: int64({ default: -1 }) },
          { versions: '12+', tag: 0 },
        ),
        currentLeader: tagged(
          { leaderId: int32({ default: -1 }), leaderEpoch: int32({ default: -1 }) },
          { versions: '12+', tag: 1 },
        ),
        snapshotId: tagged(
          { endOffset: int64({ default: -1 }), epoch: int32({ default: -1 }) },
          { versions: '12+', tag: 2 },
        ),
      }),
    }),
    nodeEndpoints: array(
      { nodeId: int32(), host: string(), port: int32(), rack: string({ nullable: '0+', default: null }) },
      { versions: '16+', tag: 0, default: [] },
    ),
  },
});
