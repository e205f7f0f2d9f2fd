// OffsetForLeaderEpoch. Served: 2 to 4.
//
//   2  leader epoch of the client   3  replica   4  flexible
//
// Consumers ask where the epoch ends in which they have read, to notice that the log was cut. It never is: there is one
// epoch, and it ends at the high watermark.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { offsetForLeaderEpoch } from '../../formats/kafka/23-offset-for-leader-epoch.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Partition } from '../../log/log.ts';
import { defineHandler, LEADER_EPOCH, type Call } from '../handler.ts';

type Request = RequestOf<typeof offsetForLeaderEpoch>;
type PartitionRequest = Request['topics'][number]['partitions'][number];
type TopicResponse = ResponseDraft<typeof offsetForLeaderEpoch>['topics'][number];

export const offsetForLeaderEpochHandler = defineHandler(offsetForLeaderEpoch, answer);

function answer({ topics }: Request, { door }: Call): ResponseDraft<typeof offsetForLeaderEpoch> {
  return {
    topics: topics.map(({ topic, partitions }) => {
      const known = door.log.topic(topic)?.partitions;
      return { topic, partitions: partitions.map((wanted) => find(wanted, known?.[wanted.partition])) };
    }),
  };
}

function find(
  { partition, currentLeaderEpoch, leaderEpoch }: PartitionRequest,
  found: Partition | undefined,
): TopicResponse['partitions'][number] {
  if (found === undefined) return { partition, errorCode: KafkaError.UNKNOWN_TOPIC_OR_PARTITION };
  if (currentLeaderEpoch > LEADER_EPOCH) return { partition, errorCode: KafkaError.UNKNOWN_LEADER_EPOCH };
  if (leaderEpoch !== LEADER_EPOCH) return { partition, errorCode: KafkaError.NONE };
  return { partition, errorCode: KafkaError.NONE, leaderEpoch, endOffset: found.highWatermark };
}
