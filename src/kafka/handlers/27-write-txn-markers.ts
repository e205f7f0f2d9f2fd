// WriteTxnMarkers. Served: 1 to 2.
//
//   1  flexible   2  transaction version, which nothing here depends on
//
// Between brokers it is how a coordinator ends a transaction; there are no others. What is left is `kafka-transactions.sh
// --abort`: it ends a transaction in a partition that no coordinator knows. One that the coordinator knows is
// INVALID_TXN_STATE, as it would be ended in a part of its partitions only; a commit is nobody's to ask for.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { writeTxnMarkers } from '../../formats/kafka/27-write-txn-markers.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { coordinatorCodeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof writeTxnMarkers>;
type Marker = Request['markers'][number];
type MarkerResponse = ResponseDraft<typeof writeTxnMarkers>['markers'][number];

export const writeTxnMarkersHandler = defineHandler(writeTxnMarkers, answer);

async function answer({ markers }: Request, { door }: Call): Promise<ResponseDraft<typeof writeTxnMarkers>> {
  return { markers: await Promise.all(markers.map((marker) => write(marker, door))) };
}

async function write(marker: Marker, door: Call['door']): Promise<MarkerResponse> {
  const topics = marker.topics.map(async ({ name, partitionIndexes }) => ({
    name,
    partitions: await Promise.all(
      partitionIndexes.map(async (index) => {
        return { partitionIndex: index, errorCode: await abort(marker, name, index, door) };
      }),
    ),
  }));
  return { producerId: marker.producerId, topics: await Promise.all(topics) };
}

async function abort(
  marker: Marker,
  topic: string,
  index: number,
  { log, transactions }: Call['door'],
): Promise<number> {
  const partition = log.topic(topic)?.partitions[index];
  if (partition === undefined) return KafkaError.UNKNOWN_TOPIC_OR_PARTITION;
  if (marker.transactionResult) return KafkaError.CLUSTER_AUTHORIZATION_FAILED;
  try {
    return await transactions.abortHanging(partition, marker);
  } catch (error) {
    return coordinatorCodeOf(error);
  }
}
