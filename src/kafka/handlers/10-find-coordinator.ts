// FindCoordinator. Served: 0 to 6.
//
//   1  type of the key   3  flexible   4  several keys   5  error for transactions   6  share groups (there are none)
//
// Of groups and of transactions the coordinator is this node.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { findCoordinator, GROUP_KEY_TYPE, TRANSACTION_KEY_TYPE } from '../../formats/kafka/10-find-coordinator.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof findCoordinator>;

export const findCoordinatorHandler = defineHandler(findCoordinator, answer);

function answer({ keyType, coordinatorKeys }: Request, call: Call): ResponseDraft<typeof findCoordinator> {
  const place = placeOf(keyType, call);
  return { ...place, coordinators: coordinatorKeys.map((key) => ({ key, ...place })) };
}

function placeOf(keyType: number, { door, endpoint }: Call) {
  if (keyType === GROUP_KEY_TYPE || keyType === TRANSACTION_KEY_TYPE) {
    return { errorCode: KafkaError.NONE, errorMessage: null, nodeId: door.nodeId, ...endpoint };
  }
  const errorMessage = `coordinators of type ${keyType} are unknown`;
  return { errorCode: KafkaError.INVALID_REQUEST, errorMessage, nodeId: -1, host: '', port: -1 };
}
