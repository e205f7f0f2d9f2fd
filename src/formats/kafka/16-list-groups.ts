// ListGroups. Empty filters let everything through.

import { array, defineApi, int16, int32, list, string } from './schema.ts';

export const listGroups = defineApi({
  key: 16,
  name: 'ListGroups',
  versions: '0-5',
  flexibleFrom: 3,
  request: {
    statesFilter: list(string(), { versions: '4+', default: [] }),
    typesFilter: list(string(), { versions: '5+', default: [] }),
  },
  response: {
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    errorCode: int16(),
    groups: array({
      groupId: string(),
      protocolType: string(),
      groupState: string({ versions: '4+', default: '' }),
      groupType: string({ versions: '5+', default: '' }),
    }),
  },
});
