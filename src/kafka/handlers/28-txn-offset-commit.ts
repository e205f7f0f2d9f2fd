// TxnOffsetCommit. Served: 0 to 4.
//
//   2  leader epoch   3  flexible, the member that the offsets come from   4  TRANSACTION_ABORTABLE may be given
//
// Answered when the offsets are on the card, where they wait for the end of the transaction. The group must have been added to
// it: what is late would be committed by another one.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { txnOffsetCommit } from '../../formats/kafka/28-txn-offset-commit.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { fencedCodeOf } from '../codes.ts';
import { commitEach } from '../committed-offsets.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof txnOffsetCommit>;
type Response = ResponseDraft<typeof txnOffsetCommit>;

const ABORTABLE_FROM = 4;

export const txnOffsetCommitHandler = defineHandler(txnOffsetCommit, answer);

async function answer(request: Request, { door, version }: Call): Promise<Response> {
  const { groupId, memberId, groupInstanceId: instanceId, generationId: generation, producerId } = request;
  const topics = await commitEach(request.topics, async (offsets) => {
    const refusal = refusalOf(door.transactions.checkGroup(request, groupId), version);
    if (refusal !== KafkaError.NONE) return offsets.map(() => refusal);
    return door.groups.stage(producerId, groupId, { memberId, instanceId, generation }, offsets);
  });
  return { topics };
}

function refusalOf(code: number, version: number): number {
  if (code === KafkaError.INVALID_TXN_STATE && version >= ABORTABLE_FROM) return KafkaError.TRANSACTION_ABORTABLE;
  return fencedCodeOf(code, false);
}
