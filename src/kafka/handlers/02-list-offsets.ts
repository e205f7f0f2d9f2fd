// ListOffsets. Served: 1 to 11.
//
//   1  one offset for a time   6  flexible                                    9   latest tiered (-5: there is none)
//   2  isolation level         7  max timestamp (-3)                          10  how long it may take (at once)
//   4  leader epoch            8  earliest local (-4: the same as earliest)   11  earliest pending (-6: there is none)
//
// A place that the version does not know yet is UNSUPPORTED_VERSION for that partition, one that is asked for twice
// INVALID_REQUEST, as in Kafka.
//
// The record with the largest timestamp is found by halving over the log's search by time, which answers "none" for
// every time beyond it: some fifty index lookups for a question that only people ask.

import { KafkaError } from '../../formats/kafka/codes.ts';
import {
  EARLIEST_LOCAL_TIMESTAMP,
  EARLIEST_PENDING_TIMESTAMP,
  EARLIEST_TIMESTAMP,
  LATEST_TIERED_TIMESTAMP,
  LATEST_TIMESTAMP,
  listOffsets,
  MAX_TIMESTAMP,
} from '../../formats/kafka/02-list-offsets.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Partition } from '../../log/log.ts';
import { outcomeOf } from '../codes.ts';
import { defineHandler, LEADER_EPOCH, type Call } from '../handler.ts';

type Request = RequestOf<typeof listOffsets>;
type PartitionRequest = Request['topics'][number]['partitions'][number];
type TopicResponse = ResponseDraft<typeof listOffsets>['topics'][number];
type PartitionResponse = TopicResponse['partitions'][number];

interface Found {
  offset: number;
  timestampMs: number;
}

const READ_COMMITTED = 1;
const NOT_FOUND: Found = { offset: -1, timestampMs: -1 };

/** The first version that knows the place, for what is not a time. */
const KNOWN_SINCE: ReadonlyMap<number, number> = new Map([
  [LATEST_TIMESTAMP, 0],
  [EARLIEST_TIMESTAMP, 0],
  [MAX_TIMESTAMP, 7],
  [EARLIEST_LOCAL_TIMESTAMP, 8],
  [LATEST_TIERED_TIMESTAMP, 9],
  [EARLIEST_PENDING_TIMESTAMP, 11],
]);

export const listOffsetsHandler = defineHandler(listOffsets, answer);

async function answer(request: Request, { door, version }: Call): Promise<ResponseDraft<typeof listOffsets>> {
  const topics: TopicResponse[] = [];
  for (const { name, partitions: wanted } of request.topics) {
    const partitions: PartitionResponse[] = [];
    const counts = Map.groupBy(wanted, ({ partitionIndex }) => partitionIndex);
    for (const each of wanted) {
      const { partitionIndex } = each;
      const isTwice = counts.get(partitionIndex)!.length > 1;
      const errorCode = isTwice ? KafkaError.INVALID_REQUEST : refusalOf(each.timestamp, version);
      const known = door.log.topic(name)?.partitions;
      if (errorCode === undefined) partitions.push(await findPartition(known, each, request.isolationLevel));
      else partitions.push({ partitionIndex, errorCode });
    }
    topics.push({ name, partitions });
  }
  return { topics };
}

function refusalOf(timestamp: number, version: number): number | undefined {
  const isKnown = timestamp >= 0 || version >= (KNOWN_SINCE.get(timestamp) ?? Infinity);
  return isKnown ? undefined : KafkaError.UNSUPPORTED_VERSION;
}

async function findPartition(
  partitions: readonly Partition[] | undefined,
  { partitionIndex, timestamp, currentLeaderEpoch }: PartitionRequest,
  isolationLevel: number,
): Promise<PartitionResponse> {
  const partition = partitions?.[partitionIndex];
  if (partition === undefined) return { partitionIndex, errorCode: KafkaError.UNKNOWN_TOPIC_OR_PARTITION };
  if (currentLeaderEpoch > LEADER_EPOCH) return { partitionIndex, errorCode: KafkaError.UNKNOWN_LEADER_EPOCH };
  try {
    const end = isolationLevel === READ_COMMITTED ? partition.lastStableOffset : partition.highWatermark;
    const found = (await find(partition, timestamp, end)) ?? NOT_FOUND;
    const leaderEpoch = found.offset === -1 ? -1 : LEADER_EPOCH;
    const { offset, timestampMs } = found;
    return { partitionIndex, errorCode: KafkaError.NONE, offset, timestamp: timestampMs, leaderEpoch };
  } catch (error) {
    return { partitionIndex, errorCode: outcomeOf(error).errorCode };
  }
}

/** What lies at `end` or behind it can't be read by who asks. */
async function find(partition: Partition, timestamp: number, end: number): Promise<Found | undefined> {
  switch (timestamp) {
    case LATEST_TIMESTAMP:
      return { offset: end, timestampMs: -1 };
    case EARLIEST_TIMESTAMP:
    case EARLIEST_LOCAL_TIMESTAMP:
      return { offset: partition.logStart, timestampMs: -1 };
    case LATEST_TIERED_TIMESTAMP:
    case EARLIEST_PENDING_TIMESTAMP:
      return NOT_FOUND;
    case MAX_TIMESTAMP:
      return findLargest(partition);
    default:
      return below(end, await partition.offsetAtTime(timestamp));
  }
}

function below(end: number, found: Found | undefined): Found | undefined {
  return found !== undefined && found.offset < end ? found : undefined;
}

async function findLargest(partition: Partition): Promise<Found | undefined> {
  let largest = await partition.offsetAtTime(0);
  let beyond = Number.MAX_SAFE_INTEGER;
  while (largest !== undefined && beyond - largest.timestampMs > 1) {
    const middle = largest.timestampMs + Math.floor((beyond - largest.timestampMs) / 2);
    const found = await partition.offsetAtTime(middle);
    if (found === undefined) beyond = middle;
    else largest = found;
  }
  return largest;
}
