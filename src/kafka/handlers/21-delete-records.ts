// DeleteRecords. Served: 0 to 2.
//
//   2  flexible

import { KafkaError } from '../../formats/kafka/codes.ts';
import { deleteRecords } from '../../formats/kafka/21-delete-records.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { isDeleted, type Partition } from '../../log/log.ts';
import { outcomeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof deleteRecords>;
type PartitionRequest = Request['topics'][number]['partitions'][number];
type TopicResponse = ResponseDraft<typeof deleteRecords>['topics'][number];
type PartitionResponse = TopicResponse['partitions'][number];

export const deleteRecordsHandler = defineHandler(deleteRecords, answer);

async function answer(request: Request, { door }: Call): Promise<ResponseDraft<typeof deleteRecords>> {
  const topics: TopicResponse[] = [];
  for (const { name, partitions: wanted } of request.topics) {
    const partitions: PartitionResponse[] = [];
    for (const each of wanted) partitions.push(await deleteUpTo(door.log.topic(name)?.partitions, each));
    topics.push({ name, partitions });
  }
  return { topics };
}

async function deleteUpTo(
  partitions: readonly Partition[] | undefined,
  { partitionIndex, offset }: PartitionRequest,
): Promise<PartitionResponse> {
  const partition = partitions?.[partitionIndex];
  if (partition === undefined) return { partitionIndex, errorCode: KafkaError.UNKNOWN_TOPIC_OR_PARTITION };
  // As Kafka: the latest record of a key goes by a tombstone only.
  if (!isDeleted(partition.topic.settings)) return { partitionIndex, errorCode: KafkaError.POLICY_VIOLATION };
  if (offset < -1) return { partitionIndex, errorCode: KafkaError.OFFSET_OUT_OF_RANGE };
  try {
    return { partitionIndex, errorCode: KafkaError.NONE, lowWatermark: await partition.deleteRecords(offset) };
  } catch (error) {
    return { partitionIndex, errorCode: outcomeOf(error).errorCode };
  }
}
