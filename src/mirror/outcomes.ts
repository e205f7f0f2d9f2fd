// What a broker's error code for one batch means to the mirror. The question is always whether the batch may lie in the
// upstream's log: a code that a broker may give after it has appended leaves that open.
//
//   acked     it lies there, and every replica that must have it has it
//   tooLarge  not appended; fewer records may pass
//   refused   not appended, and trying again soon gives the same answer
//   later     not appended; trying again may help
//   unknown   it may or may not lie there: ask before sending again

import { HeadwaterError } from '../errors.ts';
import { KafkaError, nameOfError } from '../formats/kafka/codes.ts';

export type Outcome = 'acked' | 'tooLarge' | 'refused' | 'later' | 'unknown';

const OUTCOMES: ReadonlyMap<number, Outcome> = new Map<number, Outcome>([
  [KafkaError.NONE, 'acked'],
  [KafkaError.MESSAGE_TOO_LARGE, 'tooLarge'],
  [KafkaError.RECORD_LIST_TOO_LARGE, 'tooLarge'],
  [KafkaError.TOPIC_AUTHORIZATION_FAILED, 'refused'],
  [KafkaError.CLUSTER_AUTHORIZATION_FAILED, 'refused'],
  [KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'refused'],
  [KafkaError.INVALID_TIMESTAMP, 'refused'],
  [KafkaError.INVALID_RECORD, 'refused'],
  [KafkaError.INVALID_TOPIC_EXCEPTION, 'refused'],
  [KafkaError.INVALID_REQUEST, 'refused'],
  [KafkaError.INVALID_REQUIRED_ACKS, 'refused'],
  [KafkaError.POLICY_VIOLATION, 'refused'],
  [KafkaError.UNSUPPORTED_VERSION, 'refused'],
  [KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT, 'refused'],
  [KafkaError.UNSUPPORTED_COMPRESSION_TYPE, 'refused'],
  // Fewer replicas than the topic demands: said before the append. Its sibling AFTER_APPEND is unknown.
  [KafkaError.NOT_ENOUGH_REPLICAS, 'later'],
  [KafkaError.THROTTLING_QUOTA_EXCEEDED, 'later'],
  // The CRC did not match: damaged on its way.
  [KafkaError.CORRUPT_MESSAGE, 'later'],
]);

/** Codes that are not listed are unknown: asking costs a round trip, guessing wrong costs records. */
export function outcomeOf(errorCode: number): Outcome {
  return OUTCOMES.get(errorCode) ?? 'unknown';
}

/** The error for a request other than Produce that was answered with `errorCode`: UPSTREAM_REFUSED or NOT_REACHABLE. */
export function refusalOf(errorCode: number, what: string): HeadwaterError {
  const code = outcomeOf(errorCode) === 'refused' ? 'UPSTREAM_REFUSED' : 'NOT_REACHABLE';
  return new HeadwaterError(code, `${what}: ${nameOfError(errorCode)}`);
}
