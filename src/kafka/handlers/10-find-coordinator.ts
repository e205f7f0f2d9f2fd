// FindCoordinator. Served: 0 to 6.
//
//   0  groups only   1  transactional ids, error messages   3  flexible   4  many keys at once
//
// Neither consumer groups nor transactions are served yet. The errors are those that every client takes as final, so
// that it says so instead of asking for ever.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { findCoordinator, TRANSACTION_KEY_TYPE } from '../../formats/kafka/10-find-coordinator.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler } from '../handler.ts';

type Request = RequestOf<typeof findCoordinator>;

export const findCoordinatorHandler = defineHandler(findCoordinator, answer);

function answer({ keyType, coordinatorKeys }: Request): ResponseDraft<typeof findCoordinator> {
  const refusal = refusalOf(keyType);
  return {
    ...refusal,
    coordinators: coordinatorKeys.map((key) => ({ key, nodeId: -1, host: '', port: -1, ...refusal })),
  };
}

function refusalOf(keyType: number): { errorCode: number; errorMessage: string } {
  return keyType === TRANSACTION_KEY_TYPE
    ? {
        errorCode: KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        errorMessage: 'transactions are not served',
      }
    : { errorCode: KafkaError.GROUP_AUTHORIZATION_FAILED, errorMessage: 'consumer groups are not served' };
}
