// DeleteTopics. Up to version 5 by name, from version 6 by name or id.

import { array, defineApi, int16, int32, list, string, uuid, ZERO_UUID } from './schema.ts';

export const deleteTopics = defineApi({
  key: 20,
  name: 'DeleteTopics',
  versions: '1-6',
  flexibleFrom: 4,
  request: {
    topics: array(
      { name: string({ nullable: '6+', default: null }), topicId: uuid({ default: ZERO_UUID }) },
      { versions: '6+', default: [] },
    ),
    topicNames: list(string(), { versions: '0-5', default: [] }),
    timeoutMs: int32({ default: 60_000 }),
  },
  response: {
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    responses: array({
      name: string({ nullable: '6+' }),
      topicId: uuid({ versions: '6+', default: ZERO_UUID }),
      errorCode: int16(),
      errorMessage: string({ versions: '5+', nullable: '5+', default: null }),
    }),
  },
});
