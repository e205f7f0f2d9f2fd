// IncrementalAlterConfigs. Served: 0 to 1.
//
//   1  flexible

import { CONFIG_OPERATION, incrementalAlterConfigs } from '../../formats/kafka/44-incremental-alter-configs.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { TopicSettings } from '../../log/log.ts';
import { alterResources } from '../alter-configs.ts';
import { defineHandler, type Call } from '../handler.ts';
import { defaultOf, readConfigs, wordsOf } from '../topic-configs.ts';

type Request = RequestOf<typeof incrementalAlterConfigs>;
type ConfigChange = Request['resources'][number]['configs'][number];
type Response = ResponseDraft<typeof incrementalAlterConfigs>;

export const incrementalAlterConfigsHandler = defineHandler(incrementalAlterConfigs, answer);

function answer(request: Request, { door }: Call): Promise<Response> {
  return alterResources(request, door, settingsOf);
}

/** What changes, or what is wrong with it. */
function settingsOf(
  changes: readonly ConfigChange[],
  before: Readonly<TopicSettings>,
): Partial<TopicSettings> | string {
  let settings: Partial<TopicSettings> = {};
  const seen = new Set<string>();
  for (const change of changes) {
    const { name } = change;
    if (seen.has(name)) return `${name} is in the request twice`;
    seen.add(name);
    const changed = changeOf(change, before);
    if (typeof changed === 'string') return changed;
    settings = { ...settings, ...changed };
  }
  return settings;
}

function changeOf(change: ConfigChange, before: Readonly<TopicSettings>): Partial<TopicSettings> | string {
  const { name, configOperation, value } = change;
  if (configOperation === CONFIG_OPERATION.set) return readConfigs([{ name, value }]);
  if (configOperation === CONFIG_OPERATION.delete) return defaultOf(name);
  const words = wordsOf(name, before);
  if (words === undefined) return `${name}: only a list can be appended to or taken from`;
  const given = (value ?? '').split(',').map((word) => word.trim());
  const left = words.filter((word) => !given.includes(word));
  const changed = configOperation === CONFIG_OPERATION.append ? [...left, ...given] : left;
  return readConfigs([{ name, value: changed.join(',') }]);
}
