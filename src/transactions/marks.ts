// The marks of the log that hold transactional ids.
//
//   transaction/<transactional id>   JSON {"producerId", "producerEpoch", "lastEpoch", "lastProducerId", "timeoutMs", "phase",
//                                    "startedMs", "partitions": {"<topic id, base64url>": [0, 1]}, "groups": ["g"]}
//
// `startedMs` is the wall clock's, for people only.

import type { Phase, Transaction } from './state.ts';

export interface Stored {
  transaction: Transaction;
  /** When it began by the wall clock; -1 when none is open. */
  startedMs: number;
}

interface Row extends Omit<Transaction, 'partitions' | 'groups'> {
  phase: Phase;
  startedMs: number;
  partitions: Record<string, number[]>;
  groups: string[];
}

export const TRANSACTION = 'transaction/';

export function transactionKey(transactionalId: string): string {
  return TRANSACTION + transactionalId;
}

export function idOf(key: string): string {
  return key.slice(TRANSACTION.length);
}

export function encodeTransaction({ transaction, startedMs }: Stored): Buffer {
  const { partitions, groups, ...plain } = transaction;
  const listed = Object.fromEntries([...partitions].map(([topicId, numbers]) => [topicId, [...numbers]]));
  const row: Row = { ...plain, startedMs, partitions: listed, groups: [...groups] };
  return Buffer.from(JSON.stringify(row));
}

export function decodeTransaction(value: Buffer): Stored {
  const { partitions, groups, startedMs, ...plain } = JSON.parse(value.toString()) as Row;
  const sets = Object.entries(partitions).map(([topicId, numbers]): [string, Set<number>] => [
    topicId,
    new Set(numbers),
  ]);
  return { transaction: { ...plain, partitions: new Map(sets), groups: new Set(groups) }, startedMs };
}
