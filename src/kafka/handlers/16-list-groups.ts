// ListGroups. Served: 0 to 5.
//
//   1  throttle time   3  flexible   4  states, and a filter by them   5  types, and a filter by them

import { KafkaError } from '../../formats/kafka/codes.ts';
import { listGroups } from '../../formats/kafka/16-list-groups.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call } from '../handler.ts';

export const listGroupsHandler = defineHandler(listGroups, answer);

function answer(request: RequestOf<typeof listGroups>, { door }: Call): ResponseDraft<typeof listGroups> {
  const groups = door.groups
    .list()
    .filter(({ state, kind }) => passes(request.statesFilter, state) && passes(request.typesFilter, kind))
    .map(({ id, protocolType, state, kind }) => ({ groupId: id, protocolType, groupState: state, groupType: kind }));
  return { errorCode: KafkaError.NONE, groups };
}

/** Kafka does not look at upper and lower case here. */
function passes(filter: readonly string[], value: string): boolean {
  return filter.length === 0 || filter.some((each) => each.toLowerCase() === value.toLowerCase());
}
