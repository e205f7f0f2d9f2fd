// DescribeAcls. Served: 1 to 3.
//
//   2  flexible
//
// There is no access control by topic, so the answer is SECURITY_DISABLED: tools such as AKHQ and MirrorMaker take that for
// "there are none", where an empty answer would be "nobody may do anything".

import { describeAcls } from '../../formats/kafka/29-describe-acls.ts';
import { NO_ACCESS_CONTROL } from '../codes.ts';
import { defineHandler } from '../handler.ts';

export const describeAclsHandler = defineHandler(describeAcls, () => NO_ACCESS_CONTROL);
