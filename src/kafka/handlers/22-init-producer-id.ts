// InitProducerId. Served: 0 to 5.
//
//   2  flexible   3  the producer's present id and epoch   4  PRODUCER_FENCED may be given   5  other transactions
//
// Without a transactional id each request gets a fresh id with epoch 0, whatever the producer had before, as in Kafka.
// With one, on return whoever had it before is fenced and the transaction that was open is aborted, durably. Kafka answers
// CONCURRENT_TRANSACTIONS until that is done; here it is done with the answer.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { initProducerId } from '../../formats/kafka/22-init-producer-id.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { coordinatorCodeOf, fencedCodeOf, outcomeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof initProducerId>;
type Response = ResponseDraft<typeof initProducerId>;

const FENCED_FROM = 4;

export const initProducerIdHandler = defineHandler(initProducerId, answer);

async function answer(request: Request, call: Call): Promise<Response> {
  const { transactionalId, producerId, producerEpoch } = request;
  // Who goes on after an error says both, and who begins neither.
  if (producerId < 0 !== producerEpoch < 0) return failed(KafkaError.INVALID_REQUEST);
  return transactionalId === null ? idempotent(call) : transactional(transactionalId, request, call);
}

async function idempotent({ door }: Call): Promise<Response> {
  try {
    return { errorCode: KafkaError.NONE, producerId: await door.log.newProducerId(), producerEpoch: 0 };
  } catch (error) {
    return failed(outcomeOf(error).errorCode);
  }
}

async function transactional(transactionalId: string, request: Request, { door, version }: Call): Promise<Response> {
  const { transactionTimeoutMs, producerId, producerEpoch } = request;
  const present = producerId < 0 ? undefined : { producerId, producerEpoch };
  try {
    const { errorCode, ...given } = await door.transactions.init(transactionalId, transactionTimeoutMs, present);
    return { errorCode: fencedCodeOf(errorCode, version >= FENCED_FROM), ...given };
  } catch (error) {
    return failed(coordinatorCodeOf(error));
  }
}

function failed(errorCode: number): Response {
  return { errorCode, producerId: -1, producerEpoch: -1 };
}
