// ListConfigResources: what has settings of its own. Version 0 asked for subscriptions to client metrics alone.

import { array, defineApi, int16, int32, int8, list, string } from './schema.ts';

export const CLIENT_METRICS_RESOURCE = 16;

export const listConfigResources = defineApi({
  key: 74,
  name: 'ListConfigResources',
  versions: '0-1',
  flexibleFrom: 0,
  request: {
    /** None: all types. */
    resourceTypes: list(int8(), { versions: '1+', default: [] }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    configResources: array(
      { resourceName: string(), resourceType: int8({ versions: '1+', default: CLIENT_METRICS_RESOURCE }) },
      { default: [] },
    ),
  },
});
