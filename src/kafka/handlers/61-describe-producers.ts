// DescribeProducers. Served: 0.
//
// The mirror of another headwater asks this before it sends a batch again, and kafka-transactions.sh before it ends one.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { describeProducers } from '../../formats/kafka/61-describe-producers.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Partition } from '../../log/log.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof describeProducers>;
type TopicResponse = ResponseDraft<typeof describeProducers>['topics'][number];
type PartitionResponse = TopicResponse['partitions'][number];

export const describeProducersHandler = defineHandler(describeProducers, answer);

function answer(request: Request, { door }: Call): ResponseDraft<typeof describeProducers> {
  return {
    topics: request.topics.map(({ name, partitionIndexes }) => {
      const partitions = door.log.topic(name)?.partitions;
      return { name, partitions: partitionIndexes.map((index) => describe(index, partitions?.[index])) };
    }),
  };
}

function describe(partitionIndex: number, partition: Partition | undefined): PartitionResponse {
  if (partition === undefined) return { partitionIndex, errorCode: KafkaError.UNKNOWN_TOPIC_OR_PARTITION };
  const activeProducers = partition.producers().map((state) => ({
    producerId: state.producerId,
    producerEpoch: state.producerEpoch,
    lastSequence: state.lastSequence,
    lastTimestamp: state.lastTimestampMs,
    coordinatorEpoch: state.coordinatorEpoch,
    currentTxnStartOffset: state.transactionStart,
  }));
  return { partitionIndex, errorCode: KafkaError.NONE, activeProducers };
}
