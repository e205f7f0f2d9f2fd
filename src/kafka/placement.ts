// What requests about several topics share: a topic that is named twice, and partitions that the client places itself.

import { KafkaError } from '../formats/kafka/codes.ts';
import type { KafkaOutcome } from './codes.ts';

/** For a topic that `repeatedIn` finds: which of the two is meant can't be known. */
export const TWICE: KafkaOutcome = {
  errorCode: KafkaError.INVALID_REQUEST,
  errorMessage: 'the topic is in the request twice',
};

export function repeatedIn(topics: readonly { name: string }[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const { name } of topics) {
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
  }
  return repeated;
}

/** A client may choose the brokers of each partition, which leaves it one choice. */
export function isOnlyHere(assignments: readonly { brokerIds: readonly number[] }[], nodeId: number): boolean {
  return assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === nodeId);
}
