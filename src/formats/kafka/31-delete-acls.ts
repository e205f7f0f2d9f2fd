// DeleteAcls. Takes back what fits a filter.

import { array, defineApi, int16, int32, int8, string } from './schema.ts';

export const deleteAcls = defineApi({
  key: 31,
  name: 'DeleteAcls',
  versions: '1-3',
  flexibleFrom: 2,
  request: {
    filters: array({
      resourceTypeFilter: int8(),
      resourceNameFilter: string({ nullable: '0+' }),
      patternTypeFilter: int8({ default: 3 }),
      principalFilter: string({ nullable: '0+' }),
      hostFilter: string({ nullable: '0+' }),
      operation: int8(),
      permissionType: int8(),
    }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    filterResults: array({
      errorCode: int16(),
      errorMessage: string({ nullable: '0+', default: null }),
      matchingAcls: array(
        {
          errorCode: int16(),
          errorMessage: string({ nullable: '0+', default: null }),
          resourceType: int8(),
          resourceName: string(),
          patternType: int8({ default: 3 }),
          principal: string(),
          host: string(),
          operation: int8(),
          permissionType: int8(),
        },
        { default: [] },
      ),
    }),
  },
});
