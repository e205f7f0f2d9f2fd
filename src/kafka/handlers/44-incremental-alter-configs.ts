// IncrementalAlterConfigs. Served: 0 to 1.
//
//   1  flexible

import { CONFIG_OPERATION, incrementalAlterConfigs } from '../../formats/kafka/44-incremental-alter-configs.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { TopicSettings } from '../../log/log.ts';
import { alterResources } from '../alter-configs.ts';
import { defineHandler, type Call } from '../handler.ts';
import { defaultOf, readConfigs } from '../topic-configs.ts';

type Request = RequestOf<typeof incrementalAlterConfigs>;
type ConfigChange = Request['resources'][number]['configs'][number];
type Response = ResponseDraft<typeof incrementalAlterConfigs>;

export const incrementalAlterConfigsHandler = defineHandler(incrementalAlterConfigs, answer);

function answer(request: Request, { door }: Call): Promise<Response> {
  return alterResources(request, door, settingsOf);
}

/** What changes, or what is wrong with it. */
function settingsOf(changes: readonly ConfigChange[]): Partial<TopicSettings> | string {
  let settings: Partial<TopicSettings> = {};
  const seen = new Set<string>();
  for (const { name, configOperation, value } of changes) {
    if (seen.has(name)) return `${name} is in the request twice`;
    seen.add(name);
    const changed = changeOf(name, configOperation, value);
    if (typeof changed === 'string') return changed;
    settings = { ...settings, ...changed };
  }
  return settings;
}

function changeOf(name: string, operation: number, value: string | null): Partial<TopicSettings> | string {
  if (operation === CONFIG_OPERATION.set) return readConfigs([{ name, value }]);
  if (operation === CONFIG_OPERATION.delete) return defaultOf(name);
  return `${name}: only a list can be appended to or taken from, and no list can be changed here`;
}
