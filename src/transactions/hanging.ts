// Transactions that are open in a partition and that no coordinator knows: they would hold back its readers for ever. Since
// the coordinator's state and the partitions share their commits there are none, unless the card has lost a part of either;
// Kafka, whose markers travel to other brokers, has a tool for them. They are aborted at the start.

import { KafkaError } from '../formats/kafka/codes.ts';
import type { Log, Partition } from '../log/log.ts';
import type { Trace } from '../trace.ts';
import type { ProducerIdentity } from './state.ts';
import type { StagedOffsets } from './transactions.ts';

export interface HangingNeeds {
  log: Log;
  offsets: StagedOffsets;
  trace: Trace;
  isKnown: (partition: Partition, producerId: number) => boolean;
  /** Those with an open transaction. */
  producers: ReadonlySet<number>;
}

/** Aborts what hangs, in the next commit; returns how many there were. */
export function endHanging({ log, offsets, trace, isKnown, producers }: HangingNeeds): number {
  let count = 0;
  for (const { partition, producerId, producerEpoch } of log.openTransactions()) {
    if (producers.has(producerId) && isKnown(partition, producerId)) continue;
    count += 1;
    const { topic, index } = partition;
    trace.warn('a transaction that nobody can end is aborted', { topic: topic.name, partition: index, producerId });
    partition.endTransaction({ producerId, producerEpoch, isCommit: false }).whenDone(() => undefined);
  }
  for (const producerId of offsets.producers()) if (!producers.has(producerId)) offsets.settle(producerId, false);
  return count;
}

/** On return the producer has no transaction open in the partition, on the card: a code. Throws LOG_CLOSED. */
export async function abortHanging(
  partition: Partition,
  { producerId, producerEpoch }: ProducerIdentity,
): Promise<number> {
  const known = partition.producers().find((each) => each.producerId === producerId);
  if (known === undefined || known.transactionStart < 0) return KafkaError.NONE;
  if (producerEpoch < known.producerEpoch) return KafkaError.INVALID_PRODUCER_EPOCH;
  await partition.endTransaction({ producerId, producerEpoch, isCommit: false }).done();
  return KafkaError.NONE;
}
