// DescribeConfigs. Served: 1 to 4.
//
//   1  source and synonyms   3  type and documentation   4  flexible
//
// Synonyms and documentation are left out. Of the broker only its id is told.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { BROKER_RESOURCE, describeConfigs, TOPIC_RESOURCE } from '../../formats/kafka/32-describe-configs.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { defineHandler, type Call, type Door } from '../handler.ts';
import { brokerConfigs, configsOf, type TopicConfig } from '../topic-configs.ts';

type Request = RequestOf<typeof describeConfigs>;
type ResourceRequest = Request['resources'][number];
type ResourceResponse = ResponseDraft<typeof describeConfigs>['results'][number];

export const describeConfigsHandler = defineHandler(describeConfigs, answer);

function answer(request: Request, { door }: Call): ResponseDraft<typeof describeConfigs> {
  return { results: request.resources.map((resource) => describe(resource, door)) };
}

function describe(wanted: ResourceRequest, door: Door): ResourceResponse {
  const { resourceType, resourceName, configurationKeys } = wanted;
  const configs = find(wanted, door);
  if (typeof configs === 'number') return { errorCode: configs, resourceType, resourceName, configs: [] };
  return {
    errorCode: KafkaError.NONE,
    resourceType,
    resourceName,
    configs: configs.filter(({ name }) => configurationKeys === null || configurationKeys.includes(name)),
  };
}

function find({ resourceType, resourceName }: ResourceRequest, { log, nodeId }: Door): TopicConfig[] | number {
  if (resourceType === BROKER_RESOURCE) {
    const isUs = resourceName === '' || resourceName === String(nodeId);
    return isUs ? brokerConfigs(nodeId) : KafkaError.INVALID_REQUEST;
  }
  if (resourceType !== TOPIC_RESOURCE) return KafkaError.INVALID_REQUEST;
  const topic = log.topic(resourceName);
  return topic === undefined ? KafkaError.UNKNOWN_TOPIC_OR_PARTITION : configsOf(topic.settings);
}
