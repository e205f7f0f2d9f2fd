// DescribeGroups. State, members and what was assigned to them, for people and their tools.

import { array, boolean, bytes, defineApi, int16, int32, list, string } from './schema.ts';
import { OPERATIONS_NOT_ASKED } from './03-metadata.ts';

export const describeGroups = defineApi({
  key: 15,
  name: 'DescribeGroups',
  versions: '0-6',
  flexibleFrom: 5,
  request: {
    groups: list(string()),
    includeAuthorizedOperations: boolean({ versions: '3+', default: false }),
  },
  response: {
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    groups: array({
      errorCode: int16(),
      errorMessage: string({ versions: '6+', nullable: '6+', default: null }),
      groupId: string(),
      groupState: string(),
      protocolType: string(),
      protocolData: string(),
      members: array({
        memberId: string(),
        groupInstanceId: string({ versions: '4+', nullable: '4+', default: null }),
        clientId: string(),
        clientHost: string(),
        memberMetadata: bytes(),
        memberAssignment: bytes(),
      }),
      authorizedOperations: int32({ versions: '3+', default: OPERATIONS_NOT_ASKED }),
    }),
  },
});
