// What OffsetCommit and TxnOffsetCommit have in common: the offsets of a request, and an answer with a code for each.

import type { OffsetToCommit } from '../groups/groups.ts';
import { coordinatorCodeOf } from './codes.ts';

interface TopicOffsets {
  name: string;
  partitions: readonly {
    partitionIndex: number;
    committedOffset: number;
    committedLeaderEpoch: number;
    committedMetadata: string | null;
  }[];
}

/** The answer's topics, with what `commit` says of each offset in the order of the request; what it throws is said of all. */
export async function commitEach(
  topics: readonly TopicOffsets[],
  commit: (offsets: OffsetToCommit[]) => Promise<number[]>,
) {
  const offsets = topics.flatMap(({ name, partitions }) =>
    partitions.map((each) => ({
      topic: name,
      partition: each.partitionIndex,
      offset: each.committedOffset,
      leaderEpoch: each.committedLeaderEpoch,
      metadata: each.committedMetadata ?? '',
    })),
  );
  const codes = await commit(offsets).catch((error: unknown) => {
    const code = coordinatorCodeOf(error);
    return offsets.map(() => code);
  });
  return topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: codes.shift()! })),
  }));
}
