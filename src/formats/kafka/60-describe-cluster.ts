// DescribeCluster.

import { array, boolean, defineApi, int16, int32, int8, string } from './schema.ts';
import { OPERATIONS_NOT_ASKED } from './03-metadata.ts';

export const BROKER_ENDPOINTS = 1;

export const describeCluster = defineApi({
  key: 60,
  name: 'DescribeCluster',
  versions: '0-2',
  flexibleFrom: 0,
  request: {
    includeClusterAuthorizedOperations: boolean({ default: false }),
    endpointType: int8({ versions: '1+', default: BROKER_ENDPOINTS }),
    includeFencedBrokers: boolean({ versions: '2+', default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: '0+', default: null }),
    endpointType: int8({ versions: '1+', default: BROKER_ENDPOINTS }),
    clusterId: string(),
    controllerId: int32({ default: -1 }),
    brokers: array({
      brokerId: int32(),
      host: string(),
      port: int32(),
      rack: string({ nullable: '0+', default: null }),
      isFenced: boolean({ versions: '2+', default: false }),
    }),
    clusterAuthorizedOperations: int32({ default: OPERATIONS_NOT_ASKED }),
  },
});
