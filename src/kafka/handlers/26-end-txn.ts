// EndTxn. Served: 0 to 4.
//
//   2  PRODUCER_FENCED may be given   3  flexible   4  TRANSACTION_ABORTABLE may be given
//
// Version 5 belongs to transaction.version 2, which is not advertised: there each end raises the epoch. The answer comes when
// the markers of all partitions, the offsets of all groups and the coordinator's state are on the card, in one commit.

import { endTxn } from '../../formats/kafka/26-end-txn.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { coordinatorCodeOf, fencedCodeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof endTxn>;

const FENCED_FROM = 2;

export const endTxnHandler = defineHandler(endTxn, answer);

async function answer(
  { committed, ...speaker }: Request,
  { door, version }: Call,
): Promise<ResponseDraft<typeof endTxn>> {
  try {
    return { errorCode: fencedCodeOf(await door.transactions.end(speaker, committed), version >= FENCED_FROM) };
  } catch (error) {
    return { errorCode: coordinatorCodeOf(error) };
  }
}
