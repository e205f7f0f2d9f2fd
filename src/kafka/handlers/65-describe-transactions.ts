// DescribeTransactions. Served: 0.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { describeTransactions } from '../../formats/kafka/65-describe-transactions.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof describeTransactions>;
type Response = ResponseDraft<typeof describeTransactions>;

export const describeTransactionsHandler = defineHandler(describeTransactions, answer);

function answer({ transactionalIds }: Request, { door }: Call): Response {
  return { transactionStates: transactionalIds.map((id) => describe(id, door)) };
}

function describe(transactionalId: string, { transactions }: Call['door']): Response['transactionStates'][number] {
  const found = transactions.describe(transactionalId);
  if (found === undefined) return { transactionalId, errorCode: KafkaError.TRANSACTIONAL_ID_NOT_FOUND };
  const { producerId, producerEpoch, topics } = found;
  return {
    transactionalId,
    errorCode: KafkaError.NONE,
    transactionState: found.state,
    transactionTimeoutMs: found.timeoutMs,
    transactionStartTimeMs: found.startedMs,
    producerId,
    producerEpoch,
    topics,
  };
}
