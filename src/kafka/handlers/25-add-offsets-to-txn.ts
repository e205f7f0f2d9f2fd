// AddOffsetsToTxn. Served: 0 to 4.
//
//   2  PRODUCER_FENCED may be given   3  flexible   4  TRANSACTION_ABORTABLE may be given
//
// Kafka adds the partition of its offsets topic to the transaction; here the group itself is added, since its offsets are
// marks in the commit of the transaction's end.

import { addOffsetsToTxn } from '../../formats/kafka/25-add-offsets-to-txn.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { coordinatorCodeOf, fencedCodeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof addOffsetsToTxn>;

const FENCED_FROM = 2;

export const addOffsetsToTxnHandler = defineHandler(addOffsetsToTxn, answer);

function answer({ groupId, ...speaker }: Request, { door, version }: Call): ResponseDraft<typeof addOffsetsToTxn> {
  try {
    return { errorCode: fencedCodeOf(door.transactions.addGroup(speaker, groupId), version >= FENCED_FROM) };
  } catch (error) {
    return { errorCode: coordinatorCodeOf(error) };
  }
}
