// AlterConfigs. Served: 0 to 2.
//
//   2  flexible
//
// What is not named goes back to its default, as in Kafka; IncrementalAlterConfigs is what tools use since 2.3.

import { alterConfigs } from '../../formats/kafka/33-alter-configs.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { alterResource } from '../alter-configs.ts';
import { defineHandler, type Call } from '../handler.ts';
import { DEFAULT_CONFIGS, readConfigs } from '../topic-configs.ts';

type Request = RequestOf<typeof alterConfigs>;
type Response = ResponseDraft<typeof alterConfigs>;

export const alterConfigsHandler = defineHandler(alterConfigs, answer);

async function answer({ resources, validateOnly }: Request, { door }: Call): Promise<Response> {
  const responses: Response['responses'][number][] = [];
  for (const resource of resources) {
    const { resourceType, resourceName, configs } = resource;
    const outcome = await alterResource(door, resource, validateOnly, () => {
      const settings = readConfigs(configs);
      return typeof settings === 'string' ? settings : { ...DEFAULT_CONFIGS, ...settings };
    });
    responses.push({ resourceType, resourceName, ...outcome });
  }
  return { responses };
}
