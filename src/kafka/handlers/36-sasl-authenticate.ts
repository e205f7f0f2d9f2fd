// SaslAuthenticate. Served: 0 to 2.
//
//   1  how long the login holds   2  flexible
//
// See SaslHandshake: there is no login here.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { saslAuthenticate } from '../../formats/kafka/36-sasl-authenticate.ts';
import { defineHandler } from '../handler.ts';

export const saslAuthenticateHandler = defineHandler(saslAuthenticate, () => ({
  errorCode: KafkaError.ILLEGAL_SASL_STATE,
  errorMessage: 'nobody logs in here: set security.protocol to PLAINTEXT',
  authBytes: Buffer.alloc(0),
}));
