// What AlterConfigs and IncrementalAlterConfigs share: the settings of each resource are changed, or it is said why not.

import { KafkaError } from '../formats/kafka/codes.ts';
import { BROKER_RESOURCE, TOPIC_RESOURCE } from '../formats/kafka/32-describe-configs.ts';
import { isHeadwaterError } from '../errors.ts';
import { checkTopic, type TopicSettings } from '../log/log.ts';
import { outcomeOf, type KafkaOutcome } from './codes.ts';
import type { Door } from './handler.ts';
import { namesWithoutEffect } from './topic-configs.ts';

interface Resource<Config> {
  resourceType: number;
  resourceName: string;
  configs: readonly Config[];
}

interface Request<Config> {
  resources: readonly Resource<Config>[];
  validateOnly: boolean;
}

interface Altered extends KafkaOutcome {
  resourceType: number;
  resourceName: string;
}

const DONE: KafkaOutcome = { errorCode: KafkaError.NONE, errorMessage: null };

/**
 * One resource after another, each as a whole or not at all; a trial changes nothing. `settingsOf` gives what changes by
 * what the request says, or what is wrong with it.
 */
export async function alterResources<Config extends { name: string }>(
  { resources, validateOnly }: Request<Config>,
  door: Door,
  settingsOf: (configs: readonly Config[], before: Readonly<TopicSettings>) => Partial<TopicSettings> | string,
): Promise<{ responses: Altered[] }> {
  const responses: Altered[] = [];
  for (const resource of resources) {
    const { resourceType, resourceName, configs } = resource;
    const outcome = await alterResource(door, resource, validateOnly, (before) => settingsOf(configs, before));
    responses.push({ resourceType, resourceName, ...outcome });
  }
  return { responses };
}

async function alterResource(
  { log }: Door,
  { resourceType, resourceName, configs }: Resource<{ name: string }>,
  isTrial: boolean,
  settingsOf: (before: Readonly<TopicSettings>) => Partial<TopicSettings> | string,
): Promise<KafkaOutcome> {
  if (resourceType === BROKER_RESOURCE) {
    return refusal(KafkaError.INVALID_REQUEST, 'settings of the node stand in its configuration file');
  }
  if (resourceType !== TOPIC_RESOURCE) return refusal(KafkaError.INVALID_REQUEST, 'only topics have settings');
  const topic = log.topic(resourceName);
  if (topic === undefined) return refusal(KafkaError.UNKNOWN_TOPIC_OR_PARTITION, null);
  const idle = namesWithoutEffect(configs);
  // Whoever creates a topic gives what they give everywhere; whoever changes a setting wants something of it.
  if (idle.length > 0) return refusal(KafkaError.INVALID_CONFIG, `${idle.join(', ')}: has no effect here`);
  const settings = settingsOf(topic.settings);
  if (typeof settings === 'string') return refusal(KafkaError.INVALID_CONFIG, settings);
  try {
    if (isTrial) checkTopic(resourceName, { ...topic.settings, ...settings });
    else await log.alterTopic(resourceName, settings);
    return DONE;
  } catch (error) {
    if (isHeadwaterError(error, 'TOPIC_INVALID')) return refusal(KafkaError.INVALID_CONFIG, error.message);
    return outcomeOf(error);
  }
}

function refusal(errorCode: number, errorMessage: string | null): KafkaOutcome {
  return { errorCode, errorMessage };
}
