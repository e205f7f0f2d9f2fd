// What is wrong with a heartbeat before anybody looks at the group, in Kafka's codes, with words for its client.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { AWAY_EPOCH, JOINING_EPOCH } from '../../formats/kafka/68-consumer-group-heartbeat.ts';
import { refusal, type BeatAnswer, type BeatInput } from './state.ts';
import { ASSIGNORS } from './target.ts';
import { matcherOf, PatternError } from './topic-pattern.ts';

/** Undefined for one that is sound: only then its group may be asked. */
export function faultOf(input: BeatInput): BeatAnswer | undefined {
  const { memberId, epoch, assignor, pattern } = input;
  const fault = shapeFaultOf(input);
  if (fault !== undefined) return refusal(KafkaError.INVALID_REQUEST, fault, memberId, epoch);
  if (assignor !== null && !ASSIGNORS.has(assignor)) {
    const words = `there is no assignor ${assignor}, only ${[...ASSIGNORS.keys()].join(' and ')}`;
    return refusal(KafkaError.UNSUPPORTED_ASSIGNOR, words, memberId, epoch);
  }
  const patternFault = pattern === null ? undefined : patternFaultOf(pattern);
  return patternFault === undefined
    ? undefined
    : refusal(KafkaError.INVALID_REGULAR_EXPRESSION, patternFault, memberId, epoch);
}

function shapeFaultOf({ memberId, epoch, instanceId, rackId, rebalanceTimeoutMs, names, pattern, owned }: BeatInput) {
  if (memberId === '') return 'MemberId can not be empty';
  if (instanceId === '') return 'InstanceId can not be empty';
  if (rackId === '') return 'RackId can not be empty';
  if (epoch < AWAY_EPOCH) return `MemberEpoch ${epoch} means nothing`;
  if (epoch === AWAY_EPOCH && instanceId === null) return 'InstanceId is missing';
  if (epoch !== JOINING_EPOCH) return undefined;
  if (rebalanceTimeoutMs < 0) return 'RebalanceTimeoutMs is missing: it comes with the first request';
  if (owned === null || owned.size > 0) return 'TopicPartitions must be empty: who joins has none';
  if (names === null && pattern === null) return 'SubscribedTopicNames or SubscribedTopicRegex is missing';
  return undefined;
}

function patternFaultOf(pattern: string): string | undefined {
  try {
    matcherOf(pattern);
    return undefined;
  } catch (error) {
    if (error instanceof PatternError) return `${pattern.slice(0, 100)}: ${error.message}`;
    throw error;
  }
}
