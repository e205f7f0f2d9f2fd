// ListPartitionReassignments. Served: 0. There is one broker, so nothing is on its way to another.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { listPartitionReassignments } from '../../formats/kafka/46-list-partition-reassignments.ts';
import { defineHandler } from '../handler.ts';

export const listPartitionReassignmentsHandler = defineHandler(listPartitionReassignments, () => ({
  errorCode: KafkaError.NONE,
}));
