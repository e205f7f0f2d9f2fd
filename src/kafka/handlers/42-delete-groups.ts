// DeleteGroups. Served: 0 to 2.
//
//   1  throttle time of the broker   2  flexible
//
// Answered when the offsets are gone from the card.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { deleteGroups } from '../../formats/kafka/42-delete-groups.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { coordinatorCodeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

export const deleteGroupsHandler = defineHandler(deleteGroups, answer);

type Response = ResponseDraft<typeof deleteGroups>;

async function answer({ groupsNames }: RequestOf<typeof deleteGroups>, { door }: Call): Promise<Response> {
  const results = groupsNames.map(async (groupId) => {
    if (groupId === '') return { groupId, errorCode: KafkaError.INVALID_GROUP_ID };
    return { groupId, errorCode: await door.groups.remove(groupId).catch(coordinatorCodeOf) };
  });
  return { results: await Promise.all(results) };
}
