// FindCoordinator. Up to version 3 one key a request, from version 4 a list.

import { array, defineApi, int16, int32, int8, list, string } from './schema.ts';

export const GROUP_KEY_TYPE = 0;
export const TRANSACTION_KEY_TYPE = 1;

export const findCoordinator = defineApi({
  key: 10,
  name: 'FindCoordinator',
  versions: '0-6',
  flexibleFrom: 3,
  request: {
    key: string({ versions: '0-3', default: '' }),
    keyType: int8({ versions: '1+', default: GROUP_KEY_TYPE }),
    coordinatorKeys: list(string(), { versions: '4+', default: [] }),
  },
  response: {
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    errorCode: int16({ versions: '0-3', default: 0 }),
    errorMessage: string({ versions: '1-3', nullable: '1-3', default: null }),
    nodeId: int32({ versions: '0-3', default: -1 }),
    host: string({ versions: '0-3', default: '' }),
    port: int32({ versions: '0-3', default: -1 }),
    coordinators: array(
      {
        key: string(),
        nodeId: int32(),
        host: string(),
        port: int32(),
        errorCode: int16(),
        errorMessage: string({ nullable: '4+', default: null }),
      },
      { versions: '4+', default: [] },
    ),
  },
});
