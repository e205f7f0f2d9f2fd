// OffsetDelete. Served: 0.
//
// Offsets of topics to which members subscribe stay: GROUP_SUBSCRIBED_TO_TOPIC. A group with members whose metadata
// tells of no topics (Connect) is NON_EMPTY_GROUP. Answered when the offsets are gone from the card.

import { offsetDelete } from '../../formats/kafka/47-offset-delete.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { coordinatorCodeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof offsetDelete>;
type Response = ResponseDraft<typeof offsetDelete>;

export const offsetDeleteHandler = defineHandler(offsetDelete, answer);

async function answer({ groupId, topics }: Request, { door }: Call): Promise<Response> {
  const wanted = topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
  );
  const removed = door.groups.removeOffsets(groupId, wanted);
  const { errorCode, codes } = await removed.catch((error: unknown) => failed(coordinatorCodeOf(error)));
  if (errorCode !== 0) return { errorCode, topics: [] };
  return {
    errorCode,
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: codes.shift()! })),
    })),
  };
}

function failed(errorCode: number): { errorCode: number; codes: number[] } {
  return { errorCode, codes: [] };
}
