// DescribeClientQuotas. Served: 0 to 1.
//
//   1  flexible
//
// There are no quotas, which is an answer; there is no way to set any, so AlterClientQuotas is not served.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { describeClientQuotas } from '../../formats/kafka/48-describe-client-quotas.ts';
import { defineHandler } from '../handler.ts';

export const describeClientQuotasHandler = defineHandler(describeClientQuotas, () => ({
  errorCode: KafkaError.NONE,
  entries: [],
}));
