// DescribeConfigs. The settings of topics and brokers.

import { array, boolean, defineApi, int16, int32, int8, list, string } from './schema.ts';

export const TOPIC_RESOURCE = 2;
export const BROKER_RESOURCE = 4;

export const describeConfigs = defineApi({
  key: 32,
  name: 'DescribeConfigs',
  versions: '1-4',
  flexibleFrom: 4,
  request: {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configurationKeys: list(string(), { nullable: '0+', default: null }),
    }),
    includeSynonyms: boolean({ default: false }),
    includeDocumentation: boolean({ versions: '3+', default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: array({
      errorCode: int16(),
      errorMessage: string({ nullable: '0+', default: null }),
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
        value: string({ nullable: '0+' }),
        readOnly: boolean(),
        configSource: int8({ default: -1 }),
        isSensitive: boolean({ default: false }),
        synonyms: array({ name: string(), value: string({ nullable: '0+' }), source: int8() }, { default: [] }),
        configType: int8({ versions: '3+', default: 0 }),
        documentation: string({ versions: '3+', nullable: '0+', default: null }),
      }),
    }),
  },
});
