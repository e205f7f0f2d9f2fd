// Transactions of Kafka producers over REST: list, describe, abort.
//
//   GET   /transactions            [{id, state, producerId, producerEpoch, timeoutMs, openMs, partitions, groups}]
//   GET   /transactions/:id        the same, with the partitions by topic and the groups by name
//   POST  /transactions/:id/abort  on return what was open is aborted, and its producer fenced: {"aborted": true}

import { HeadwaterError } from '../errors.ts';
import type { Transactions, TransactionSummary } from '../transactions/transactions.ts';
import { json, type Answer, type Exchange } from './exchange.ts';

interface TransactionLine {
  id: string;
  state: string;
  producerId: number;
  producerEpoch: number;
  timeoutMs: number;
  /** How long it is open; -1 when it is not. */
  openMs: number;
  partitions: number;
  groups: number;
}

interface TransactionDetail extends TransactionLine {
  topics: { topic: string; partitions: number[] }[];
  groupIds: string[];
}

export function listTransactions(transactions: Transactions): Answer {
  return json(200, transactions.list().map(lineOf) satisfies TransactionLine[]);
}

export function describeTransaction(transactions: Transactions, exchange: Exchange): Answer {
  const found = find(transactions, exchange);
  const detail: TransactionDetail = { ...lineOf(found), topics: found.topics, groupIds: found.groups };
  return json(200, detail);
}

export async function abortTransaction(transactions: Transactions, exchange: Exchange): Promise<Answer> {
  const { transactionalId } = find(transactions, exchange);
  return json(200, { aborted: await transactions.abort(transactionalId) });
}

function find(transactions: Transactions, { params }: Exchange): TransactionSummary {
  const id = params.get('id') ?? '';
  const found = transactions.describe(id);
  if (found !== undefined) return found;
  const text = `there is no transactional id ${JSON.stringify(id)}: see \`headwater transactions list\``;
  throw new HeadwaterError('TRANSACTION_UNKNOWN', text);
}

function lineOf(found: TransactionSummary): TransactionLine {
  const { transactionalId, state, producerId, producerEpoch, timeoutMs, openMs, topics, groups } = found;
  const partitions = topics.reduce((sum, each) => sum + each.partitions.length, 0);
  const identity = { id: transactionalId, state, producerId, producerEpoch };
  return { ...identity, timeoutMs, openMs, partitions, groups: groups.length };
}
