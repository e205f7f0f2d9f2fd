// DescribeConfigs. Served: 1 to 4.
//
//   1  source and synonyms   3  type and documentation   4  flexible
//
// Topics and this broker (by its number, or by no name: what holds for all brokers). Documentation is left out: Kafka's own
// fits.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { BROKER_RESOURCE, describeConfigs, TOPIC_RESOURCE } from '../../formats/kafka/32-describe-configs.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { brokerConfigs, withSynonyms } from '../broker-configs.ts';
import type { KafkaOutcome } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';
import type { ShownConfig } from '../shown-config.ts';
import { configsOf } from '../topic-configs.ts';

type Request = RequestOf<typeof describeConfigs>;
type ResourceRequest = Request['resources'][number];
type ResourceResponse = ResponseDraft<typeof describeConfigs>['results'][number];

export const describeConfigsHandler = defineHandler(describeConfigs, answer);

function answer(request: Request, call: Call): ResponseDraft<typeof describeConfigs> {
  return { results: request.resources.map((resource) => describe(resource, request.includeSynonyms, call)) };
}

function describe(wanted: ResourceRequest, hasSynonyms: boolean, call: Call): ResourceResponse {
  const { resourceType, resourceName, configurationKeys } = wanted;
  const found = find(wanted, call);
  if ('errorCode' in found) return { ...found, resourceType, resourceName, configs: [] };
  const configs = found
    .filter(({ name }) => configurationKeys === null || configurationKeys.includes(name))
    .map((config) => (hasSynonyms ? config : { ...config, synonyms: [] }));
  return { errorCode: KafkaError.NONE, resourceType, resourceName, configs };
}

function find({ resourceType, resourceName }: ResourceRequest, call: Call): ShownConfig[] | KafkaOutcome {
  const { log, nodeId, settings } = call.door;
  if (resourceType === BROKER_RESOURCE) {
    if (resourceName === '' || resourceName === String(nodeId)) return brokerConfigs(settings, call.endpoint);
    return refusal(KafkaError.INVALID_REQUEST, `there is one broker, ${nodeId}, and no ${resourceName}`);
  }
  if (resourceType !== TOPIC_RESOURCE) return refusal(KafkaError.INVALID_REQUEST, 'topics and brokers have settings');
  const topic = log.topic(resourceName);
  if (topic === undefined) return refusal(KafkaError.UNKNOWN_TOPIC_OR_PARTITION, null);
  return withSynonyms(configsOf(topic.settings, settings), settings);
}

function refusal(errorCode: number, errorMessage: string | null): KafkaOutcome {
  return { errorCode, errorMessage };
}
