// ConsumerGroupDescribe (KIP-848). Members, what they have and what they shall have. Version 1 tells members of the
// classic protocol from the others.

import { OPERATIONS_NOT_ASKED } from './03-metadata.ts';
import { array, boolean, defineApi, int16, int32, int8, list, string, struct, uuid } from './schema.ts';

const SHARE = { topicPartitions: array({ topicId: uuid(), topicName: string(), partitions: list(int32()) }) };

export const consumerGroupDescribe = defineApi({
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: '0-1',
  flexibleFrom: 0,
  request: {
    groupIds: list(string()),
    includeAuthorizedOperations: boolean({ default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    groups: array({
      errorCode: int16(),
      errorMessage: string({ nullable: '0+', default: null }),
      groupId: string(),
      groupState: string({ default: '' }),
      groupEpoch: int32({ default: 0 }),
      assignmentEpoch: int32({ default: 0 }),
      assignorName: string({ default: '' }),
      members: array(
        {
          memberId: string(),
          instanceId: string({ nullable: '0+', default: null }),
          rackId: string({ nullable: '0+', default: null }),
          memberEpoch: int32(),
          clientId: string(),
          clientHost: string(),
          subscribedTopicNames: list(string()),
          subscribedTopicRegex: string({ nullable: '0+', default: null }),
          assignment: struct(SHARE),
          targetAssignment: struct(SHARE),
          memberType: int8({ versions: '1+', default: -1 }),
        },
        { default: [] },
      ),
      authorizedOperations: int32({ default: OPERATIONS_NOT_ASKED }),
    }),
  },
});
