// Metadata. A null list of topics asks for all of them; version 0 has no null and asks by an empty list.

import { array, boolean, defineApi, int16, int32, list, string, uuid, ZERO_UUID } from './schema.ts';

/** Authorized operations that were not asked for. */
export const OPERATIONS_NOT_ASKED = -0x80000000;

export const metadata = defineApi({
  key: 3,
  name: 'Metadata',
  versions: '0-13',
  flexibleFrom: 9,
  request: {
    topics: array(
      { topicId: uuid({ versions: '10+', default: ZERO_UUID }), name: string({ nullable: '10+' }) },
      { nullable: '1+' },
    ),
    allowAutoTopicCreation: boolean({ versions: '4+', default: true }),
    includeClusterAuthorizedOperations: boolean({ versions: '8-10', default: false }),
    includeTopicAuthorizedOperations: boolean({ versions: '8+', default: false }),
  },
  response: {
    throttleTimeMs: int32({ versions: '3+', default: 0 }),
    brokers: array({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string({ versions: '1+', nullable: '1+', default: null }),
    }),
    clusterId: string({ versions: '2+', nullable: '2+', default: null }),
    controllerId: int32({ versions: '1+', default: -1 }),
    topics: array({
      errorCode: int16(),
      name: string({ nullable: '12+' }),
      topicId: uuid({ versions: '10+', default: ZERO_UUID }),
      isInternal: boolean({ versions: '1+', default: false }),
      partitions: array({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32({ versions: '7+', default: -1 }),
        replicaNodes: list(int32()),
        isrNodes: list(int32()),
        offlineReplicas: list(int32(), { versions: '5+', default: [] }),
      }),
      topicAuthorizedOperations: int32({ versions: '8+', default: OPERATIONS_NOT_ASKED }),
    }),
    clusterAuthorizedOperations: int32({ versions: '8-10', default: OPERATIONS_NOT_ASKED }),
    errorCode: int16({ versions: '13+', default: 0 }),
  },
});
