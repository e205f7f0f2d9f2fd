// ApiVersions. Served: 0 to 4.
//
//   1  throttle time   3  flexible (the header of the answer never is), the client's name and version, features
//   4  a feature may begin at version 0
//
// A version beyond is answered in version 0 with error 35 (dispatch.ts). No features are told: a client that sees no
// transaction.version stays with the transactions of old, and one without group.version with the classic groups.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { apiVersions } from '../../formats/kafka/18-api-versions.ts';
import { defineHandler } from '../handler.ts';

export const apiVersionsHandler = defineHandler(apiVersions, (_request, { door }) => ({
  errorCode: KafkaError.NONE,
  apiKeys: door.served,
}));
