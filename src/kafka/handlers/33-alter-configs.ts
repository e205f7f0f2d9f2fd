// AlterConfigs. Served: 0 to 2.
//
//   2  flexible
//
// What is not named goes back to its default, as in Kafka; IncrementalAlterConfigs is what tools use since 2.3.

import { alterConfigs } from '../../formats/kafka/33-alter-configs.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { alterResources } from '../alter-configs.ts';
import { defineHandler, type Call } from '../handler.ts';
import { DEFAULT_CONFIGS, readConfigs } from '../topic-configs.ts';

type Request = RequestOf<typeof alterConfigs>;
type Response = ResponseDraft<typeof alterConfigs>;

export const alterConfigsHandler = defineHandler(alterConfigs, answer);

function answer(request: Request, { door }: Call): Promise<Response> {
  return alterResources(request, door, (configs) => {
    const settings = readConfigs(configs);
    return typeof settings === 'string' ? settings : { ...DEFAULT_CONFIGS, ...settings };
  });
}
