// DescribeTopicPartitions. Served: 0.
//
// Topics in order of their names, up to the number of partitions that the client can take; then the place to go on from.
// Nothing is made by asking. One node: no replicas that could be eligible to lead.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { describeTopicPartitions } from '../../formats/kafka/75-describe-topic-partitions.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call, type Door } from '../handler.ts';
import { describe } from './03-metadata.ts';

type Request = RequestOf<typeof describeTopicPartitions>;
type Response = ResponseDraft<typeof describeTopicPartitions>;
type TopicResponse = Response['topics'][number];

/** Kafka's max.request.partition.size.limit. */
const PARTITIONS_TOLD_MAX = 2000;

export const describeTopicPartitionsHandler = defineHandler(describeTopicPartitions, answer);

function answer({ topics, responsePartitionLimit, cursor }: Request, { door }: Call): Response {
  const names = namesOf(topics, door).filter((name) => cursor === null || name >= cursor.topicName);
  let left = Math.min(Math.max(responsePartitionLimit, 1), PARTITIONS_TOLD_MAX);
  const told: TopicResponse[] = [];
  for (const name of names) {
    const from = cursor?.topicName === name ? Math.max(cursor.partitionIndex, 0) : 0;
    if (left === 0) return { topics: told, nextCursor: { topicName: name, partitionIndex: from } };
    const whole = find(name, door);
    const partitions = whole.partitions.slice(from, from + left);
    told.push({ ...whole, partitions });
    left -= partitions.length;
    if (from + partitions.length < whole.partitions.length) {
      return { topics: told, nextCursor: { topicName: name, partitionIndex: from + partitions.length } };
    }
  }
  return { topics: told, nextCursor: null };
}

function namesOf(wanted: Request['topics'], { log }: Door): string[] {
  if (wanted.length === 0) return log.topics().map(({ name }) => name);
  return [...new Set(wanted.map(({ name }) => name))].toSorted();
}

function find(name: string, { log, nodeId }: Door): TopicResponse {
  const topic = log.topic(name);
  if (topic !== undefined) return describe(topic, nodeId);
  return { errorCode: KafkaError.UNKNOWN_TOPIC_OR_PARTITION, name, partitions: [] };
}
