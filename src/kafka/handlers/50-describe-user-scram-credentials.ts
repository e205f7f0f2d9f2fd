// DescribeUserScramCredentials. Served: 0.
//
// There are no users: an empty list, and RESOURCE_NOT_FOUND for each who is asked for by name. They can't be made, so
// AlterUserScramCredentials is not served.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { describeUserScramCredentials } from '../../formats/kafka/50-describe-user-scram-credentials.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler } from '../handler.ts';

type Request = RequestOf<typeof describeUserScramCredentials>;

export const describeUserScramCredentialsHandler = defineHandler(describeUserScramCredentials, answer);

function answer({ users }: Request): ResponseDraft<typeof describeUserScramCredentials> {
  const results = (users ?? []).map(({ name }) => ({
    user: name,
    errorCode: KafkaError.RESOURCE_NOT_FOUND,
    errorMessage: 'this node knows no users',
  }));
  return { errorCode: KafkaError.NONE, results };
}
