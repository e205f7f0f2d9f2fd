// What the log's errors are called in Kafka's protocol. The table does not compile until each code is mapped.

import { HeadwaterError, type Code } from '../errors.ts';
import { KafkaError } from '../formats/kafka/codes.ts';

const KAFKA_ERROR_OF: Record<Code, number> = {
  FORMAT_TRUNCATED: KafkaError.CORRUPT_MESSAGE,
  FORMAT_CORRUPT: KafkaError.CORRUPT_MESSAGE,
  // Nothing was kept, and clients try again by themselves: 19 and 56 are retriable in all of them.
  STORE_UNAVAILABLE: KafkaError.KAFKA_STORAGE_ERROR,
  STORE_LOCKED: KafkaError.KAFKA_STORAGE_ERROR,
  STORE_CORRUPT: KafkaError.KAFKA_STORAGE_ERROR,
  LOG_FULL: KafkaError.NOT_ENOUGH_REPLICAS,
  LOG_CLOSED: KafkaError.NOT_LEADER_OR_FOLLOWER,
  TOPIC_UNKNOWN: KafkaError.UNKNOWN_TOPIC_OR_PARTITION,
  TOPIC_EXISTS: KafkaError.TOPIC_ALREADY_EXISTS,
  TOPIC_INVALID: KafkaError.INVALID_TOPIC_EXCEPTION,
  OFFSET_OUT_OF_RANGE: KafkaError.OFFSET_OUT_OF_RANGE,
  GROUP_UNKNOWN: KafkaError.GROUP_ID_NOT_FOUND,
  TRANSACTION_UNKNOWN: KafkaError.TRANSACTIONAL_ID_NOT_FOUND,
  GROUP_BUSY: KafkaError.NON_EMPTY_GROUP,
  RECORD_TOO_LARGE: KafkaError.MESSAGE_TOO_LARGE,
  RECORD_INVALID: KafkaError.INVALID_RECORD,
  TIMESTAMP_INVALID: KafkaError.INVALID_TIMESTAMP,
  SEQUENCE_OUT_OF_ORDER: KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
  PRODUCER_FENCED: KafkaError.INVALID_PRODUCER_EPOCH,
  TRANSACTION_STATE: KafkaError.INVALID_TXN_STATE,
  // These belong to people and other doors; no handler meets them.
  CONFIG_INVALID: KafkaError.UNKNOWN_SERVER_ERROR,
  PORT_MISSING: KafkaError.UNKNOWN_SERVER_ERROR,
  PORT_REFUSED: KafkaError.UNKNOWN_SERVER_ERROR,
  USAGE: KafkaError.UNKNOWN_SERVER_ERROR,
  NOT_PERMITTED: KafkaError.UNKNOWN_SERVER_ERROR,
  NOT_REACHABLE: KafkaError.UNKNOWN_SERVER_ERROR,
  UPSTREAM_REFUSED: KafkaError.UNKNOWN_SERVER_ERROR,
  TIMED_OUT: KafkaError.REQUEST_TIMED_OUT,
};

/** Errors that are about what the client sent: only their text goes to it. The others tell of this machine. */
const CLIENTS_OWN: ReadonlySet<Code> = new Set<Code>([
  'FORMAT_TRUNCATED',
  'FORMAT_CORRUPT',
  'TOPIC_INVALID',
  'RECORD_TOO_LARGE',
  'RECORD_INVALID',
  'TIMESTAMP_INVALID',
  'SEQUENCE_OUT_OF_ORDER',
  'PRODUCER_FENCED',
  'TRANSACTION_STATE',
]);

/** Read, delete and describe a group, as bits of Kafka's AclOperation: without access control everybody may. */
export const GROUP_OPERATIONS = (1 << 3) | (1 << 6) | (1 << 8);

const MESSAGE_LENGTH_MAX = 400;

export interface KafkaOutcome {
  errorCode: number;
  errorMessage: string | null;
}

/** There are no rights by topic, user or group. */
export const NO_ACCESS_CONTROL: KafkaOutcome = {
  errorCode: KafkaError.SECURITY_DISABLED,
  errorMessage: 'this node has no access control by topic',
};

/** The outcome for the client. What is no HeadwaterError is thrown on: it must never happen. */
export function outcomeOf(error: unknown): KafkaOutcome {
  if (!(error instanceof HeadwaterError)) throw error;
  const errorMessage = CLIENTS_OWN.has(error.code) ? error.message.slice(0, MESSAGE_LENGTH_MAX) : null;
  return { errorCode: KAFKA_ERROR_OF[error.code], errorMessage };
}

/** What a group's request is told when the log was closed meanwhile: to look for its coordinator again. */
export function coordinatorCodeOf(error: unknown): number {
  if (!(error instanceof HeadwaterError)) throw error;
  return error.code === 'LOG_CLOSED' ? KafkaError.NOT_COORDINATOR : KAFKA_ERROR_OF[error.code];
}

/** PRODUCER_FENCED where the client knows it (KIP-588), else what it was called before. */
export function fencedCodeOf(errorCode: number, isKnown: boolean): number {
  return errorCode === KafkaError.PRODUCER_FENCED && !isKnown ? KafkaError.INVALID_PRODUCER_EPOCH : errorCode;
}
