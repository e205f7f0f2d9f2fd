// DescribeAcls. Who may do what.

import { array, defineApi, int16, int32, int8, string } from './schema.ts';

export const describeAcls = defineApi({
  key: 29,
  name: 'DescribeAcls',
  versions: '1-3',
  flexibleFrom: 2,
  request: {
    resourceTypeFilter: int8(),
    resourceNameFilter: string({ nullable: '0+' }),
    patternTypeFilter: int8({ default: 3 }),
    principalFilter: string({ nullable: '0+' }),
    hostFilter: string({ nullable: '0+' }),
    operation: int8(),
    permissionType: int8(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: string({ nullable: '0+', default: null }),
    resources: array(
      {
        resourceType: int8(),
        resourceName: string(),
        patternType: int8({ default: 3 }),
        acls: array({ principal: string(), host: string(), operation: int8(), permissionType: int8() }),
      },
      { default: [] },
    ),
  },
});
