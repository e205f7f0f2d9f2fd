// InitProducerId. Served: 0 to 5.
//
//   2  flexible   3  the producer's present id and epoch   4  PRODUCER_FENCED may be given   5  other transactions
//
// Without a transactional id each request gets a fresh id with epoch 0, whatever the producer had before, as in Kafka.
// Transactional ids are refused with the error that every client takes as final.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { initProducerId } from '../../formats/kafka/22-init-producer-id.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { outcomeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof initProducerId>;
type Response = ResponseDraft<typeof initProducerId>;

export const initProducerIdHandler = defineHandler(initProducerId, answer);

async function answer({ transactionalId }: Request, { door }: Call): Promise<Response> {
  if (transactionalId === '') return failed(KafkaError.INVALID_REQUEST);
  if (transactionalId !== null) return failed(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
  try {
    return { errorCode: KafkaError.NONE, producerId: await door.log.newProducerId(), producerEpoch: 0 };
  } catch (error) {
    return failed(outcomeOf(error).errorCode);
  }
}

function failed(errorCode: number): Response {
  return { errorCode, producerId: -1, producerEpoch: -1 };
}
