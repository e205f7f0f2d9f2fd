// CreatePartitions. Served: 0 to 3.
//
//   2  flexible   3  may be answered THROTTLING_QUOTA_EXCEEDED, which never happens here

import { KafkaError } from '../../formats/kafka/codes.ts';
import { createPartitions } from '../../formats/kafka/37-create-partitions.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { PARTITIONS_MAX } from '../../log/log.ts';
import { outcomeOf, type KafkaOutcome } from '../codes.ts';
import { defineHandler, type Call, type Door } from '../handler.ts';
import { isOnlyHere, repeatedIn, TWICE } from '../placement.ts';

type Request = RequestOf<typeof createPartitions>;
type TopicRequest = Request['topics'][number];
type Response = ResponseDraft<typeof createPartitions>;

export const createPartitionsHandler = defineHandler(createPartitions, answer);

async function answer(request: Request, { door }: Call): Promise<Response> {
  const repeated = repeatedIn(request.topics);
  const results: Response['results'][number][] = [];
  for (const wanted of request.topics) {
    const { name } = wanted;
    const refusal = repeated.has(name) ? TWICE : refusalOf(wanted, door);
    results.push({ name, ...(refusal ?? (await grow(wanted, request.validateOnly, door))) });
  }
  return { results };
}

function refusalOf({ name, count, assignments }: TopicRequest, { log, nodeId }: Door): KafkaOutcome | undefined {
  const topic = log.topic(name);
  if (topic === undefined) return { errorCode: KafkaError.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: null };
  const before = topic.partitions.length;
  if (count <= before || count > PARTITIONS_MAX) {
    const errorMessage = `the topic has ${before} partitions: their number can only grow, up to ${PARTITIONS_MAX}; not to ${count}`;
    return { errorCode: KafkaError.INVALID_PARTITIONS, errorMessage };
  }
  if (assignments === null) return undefined;
  if (isOnlyHere(assignments, nodeId) && assignments.length === count - before) return undefined;
  const errorMessage = `an assignment gives each of the ${count - before} new partitions to broker ${nodeId} alone`;
  return { errorCode: KafkaError.INVALID_REPLICA_ASSIGNMENT, errorMessage };
}

async function grow({ name, count }: TopicRequest, isTrial: boolean, { log }: Door): Promise<KafkaOutcome> {
  try {
    if (!isTrial) await log.alterTopic(name, { partitions: count });
    return { errorCode: KafkaError.NONE, errorMessage: null };
  } catch (error) {
    return outcomeOf(error);
  }
}
