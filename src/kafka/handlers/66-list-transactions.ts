// ListTransactions. Served: 0 to 1.
//
//   0  by state and producer id   1  open for longer than so many milliseconds
//
// Version 2 filters by a pattern in RE2's syntax, which is not here: a client of this node filters by itself.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { listTransactions } from '../../formats/kafka/66-list-transactions.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { TransactionSummary } from '../../transactions/transactions.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof listTransactions>;
type Response = ResponseDraft<typeof listTransactions>;

/** Kafka's; here a transaction is in the first four only. */
const STATES = [
  'Empty',
  'Ongoing',
  'CompleteCommit',
  'CompleteAbort',
  'PrepareCommit',
  'PrepareAbort',
  'PrepareEpochFence',
  'Dead',
];

export const listTransactionsHandler = defineHandler(listTransactions, answer, { versions: '0-1' });

function answer(request: Request, { door }: Call): Response {
  const found = door.transactions.list().filter((each) => isWanted(each, request));
  return {
    errorCode: KafkaError.NONE,
    unknownStateFilters: request.stateFilters.filter((state) => !STATES.includes(state)),
    transactionStates: found.map(({ transactionalId, producerId, state }) => {
      return { transactionalId, producerId, transactionState: state };
    }),
  };
}

function isWanted({ state, producerId, openMs }: TransactionSummary, request: Request): boolean {
  const { stateFilters, producerIdFilters, durationFilter } = request;
  if (stateFilters.length > 0 && !stateFilters.includes(state)) return false;
  if (producerIdFilters.length > 0 && !producerIdFilters.includes(producerId)) return false;
  return durationFilter < 0 || openMs > durationFilter;
}
