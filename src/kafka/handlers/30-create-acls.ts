// CreateAcls. Served: 1 to 3.
//
//   2  flexible
//
// See DescribeAcls: SECURITY_DISABLED for each.

import { createAcls } from '../../formats/kafka/30-create-acls.ts';
import { NO_ACCESS_CONTROL } from '../codes.ts';
import { defineHandler } from '../handler.ts';

export const createAclsHandler = defineHandler(createAcls, ({ creations }) => ({
  results: creations.map(() => NO_ACCESS_CONTROL),
}));
