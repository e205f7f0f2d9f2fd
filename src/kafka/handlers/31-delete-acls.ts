// DeleteAcls. Served: 1 to 3.
//
//   2  flexible
//
// See DescribeAcls: SECURITY_DISABLED for each.

import { deleteAcls } from '../../formats/kafka/31-delete-acls.ts';
import { NO_ACCESS_CONTROL } from '../codes.ts';
import { defineHandler } from '../handler.ts';

export const deleteAclsHandler = defineHandler(deleteAcls, ({ filters }) => ({
  filterResults: filters.map(() => NO_ACCESS_CONTROL),
}));
