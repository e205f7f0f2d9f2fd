// ListConfigResources. Served: 0 to 1.
//
//   0  subscriptions to client metrics (there are none)   1  resources of any type
//
// Topics and this broker have settings; nothing else has.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { BROKER_RESOURCE, TOPIC_RESOURCE } from '../../formats/kafka/32-describe-configs.ts';
import { listConfigResources } from '../../formats/kafka/74-list-config-resources.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof listConfigResources>;

const ANY_TYPE_FROM = 1;

export const listConfigResourcesHandler = defineHandler(listConfigResources, answer);

function answer({ resourceTypes }: Request, { door, version }: Call): ResponseDraft<typeof listConfigResources> {
  const isWanted = (type: number): boolean => resourceTypes.length === 0 || resourceTypes.includes(type);
  const configResources: { resourceName: string; resourceType: number }[] = [];
  if (version >= ANY_TYPE_FROM && isWanted(TOPIC_RESOURCE)) {
    for (const { name } of door.log.topics())
      configResources.push({ resourceName: name, resourceType: TOPIC_RESOURCE });
  }
  if (version >= ANY_TYPE_FROM && isWanted(BROKER_RESOURCE)) {
    configResources.push({ resourceName: String(door.nodeId), resourceType: BROKER_RESOURCE });
  }
  return { errorCode: KafkaError.NONE, configResources };
}
