// AddPartitionsToTxn. Served: 0 to 3.
//
//   2  PRODUCER_FENCED may be given   3  flexible   4-5  many transactions, between brokers: left out
//
// All partitions or none: with one that is not there, the others are OPERATION_NOT_ATTEMPTED. What is added is on the card no
// later than the first batch that needs it, so the answer waits for no commit.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { addPartitionsToTxn } from '../../formats/kafka/24-add-partitions-to-txn.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Partition } from '../../log/log.ts';
import { coordinatorCodeOf, fencedCodeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof addPartitionsToTxn>;
type Response = ResponseDraft<typeof addPartitionsToTxn>;

const FENCED_FROM = 2;

export const addPartitionsToTxnHandler = defineHandler(addPartitionsToTxn, answer);

function answer(request: Request, { door, version }: Call): Response {
  const found = new Map<string, Partition>();
  let isComplete = true;
  for (const { name, partitions } of request.v3AndBelowTopics) {
    for (const index of partitions) {
      const partition = door.log.topic(name)?.partitions[index];
      if (partition === undefined) isComplete = false;
      else found.set(`${name} ${index}`, partition);
    }
  }
  const common = isComplete ? add(request, [...found.values()], door, version) : KafkaError.OPERATION_NOT_ATTEMPTED;
  const codeOf = (name: string, index: number): number =>
    found.has(`${name} ${index}`) ? common : KafkaError.UNKNOWN_TOPIC_OR_PARTITION;
  return {
    resultsByTopicV3AndBelow: request.v3AndBelowTopics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((index) => {
        return { partitionIndex: index, partitionErrorCode: codeOf(name, index) };
      }),
    })),
  };
}

function add(request: Request, partitions: Partition[], { transactions }: Call['door'], version: number): number {
  const speaker = {
    transactionalId: request.v3AndBelowTransactionalId,
    producerId: request.v3AndBelowProducerId,
    producerEpoch: request.v3AndBelowProducerEpoch,
  };
  try {
    return fencedCodeOf(transactions.addPartitions(speaker, partitions), version >= FENCED_FROM);
  } catch (error) {
    return coordinatorCodeOf(error);
  }
}
