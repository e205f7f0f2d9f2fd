// SaslHandshake. Served: 0 to 1.
//
//   1  what follows comes in SaslAuthenticate
//
// No listener asks for a login yet: ILLEGAL_SASL_STATE, as a listener of Kafka's without SASL answers. A listener that
// does will answer this one before all others, see kafka.ts.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { saslHandshake } from '../../formats/kafka/17-sasl-handshake.ts';
import { defineHandler } from '../handler.ts';

export const saslHandshakeHandler = defineHandler(saslHandshake, () => ({
  errorCode: KafkaError.ILLEGAL_SASL_STATE,
  mechanisms: [],
}));
