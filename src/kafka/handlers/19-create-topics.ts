// CreateTopics. Served: 2 to 7.
//
//   2  throttle time   4  -1 for the broker's own counts   5  flexible, settings in the answer   7  topic id
//
// Replication factor 1 (or -1) is all that one node can do. headwater keeps the settings of retention and compaction; other
// settings of Kafka's topics are accepted where leaving them out changes nothing that a client could see, and INVALID_CONFIG
// where it would (LogAppendTime).

import { KafkaError } from '../../formats/kafka/codes.ts';
import { createTopics } from '../../formats/kafka/19-create-topics.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Topic, TopicSettings } from '../../log/log.ts';
import { outcomeOf, type KafkaOutcome } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';
import { configsOf, PARTITIONS_MAX, readConfigs } from '../topic-configs.ts';

type Request = RequestOf<typeof createTopics>;
type TopicRequest = Request['topics'][number];
type TopicResponse = ResponseDraft<typeof createTopics>['topics'][number];
type Wanted = Partial<TopicSettings>;

const BROKERS_CHOICE = -1;

export const createTopicsHandler = defineHandler(createTopics, answer);

async function answer(request: Request, call: Call): Promise<ResponseDraft<typeof createTopics>> {
  const names = request.topics.map(({ name }) => name);
  const topics: TopicResponse[] = [];
  for (const wanted of request.topics) {
    const isTwice = names.indexOf(wanted.name) !== names.lastIndexOf(wanted.name);
    topics.push(
      isTwice
        ? failed(wanted, refusal(KafkaError.INVALID_REQUEST, 'the topic is in the request twice'))
        : await createOne(wanted, request.validateOnly, call),
    );
  }
  return { topics };
}

async function createOne(wanted: TopicRequest, isTrial: boolean, { door }: Call): Promise<TopicResponse> {
  const { log, limits, nodeId } = door;
  const settings = settingsOf(wanted, nodeId);
  if ('errorCode' in settings) return failed(wanted, settings);
  if (log.topic(wanted.name) !== undefined) {
    return failed(wanted, refusal(KafkaError.TOPIC_ALREADY_EXISTS, `topic ${wanted.name} exists`));
  }
  if (log.topics().length >= limits.topicsMax) {
    return failed(wanted, refusal(KafkaError.POLICY_VIOLATION, `there are ${limits.topicsMax} topics already`));
  }
  if (isTrial) return { name: wanted.name, errorCode: KafkaError.NONE, replicationFactor: 1, ...countOf(settings) };
  try {
    return created(await log.createTopic(wanted.name, settings));
  } catch (error) {
    return failed(wanted, outcomeOf(error));
  }
}

function countOf({ partitions }: Wanted): { numPartitions: number } {
  return { numPartitions: partitions ?? 1 };
}

function settingsOf(wanted: TopicRequest, nodeId: number): Wanted | KafkaOutcome {
  const partitions = wanted.assignments.length > 0 ? assigned(wanted, nodeId) : counted(wanted);
  if (typeof partitions === 'object') return partitions;
  const settings = readConfigs(wanted.configs);
  if (typeof settings === 'string') return refusal(KafkaError.INVALID_CONFIG, settings);
  return partitions === BROKERS_CHOICE ? settings : { ...settings, partitions };
}

function counted({ numPartitions, replicationFactor }: TopicRequest): number | KafkaOutcome {
  if (replicationFactor !== BROKERS_CHOICE && replicationFactor !== 1) {
    return refusal(
      KafkaError.INVALID_REPLICATION_FACTOR,
      `replication factor ${replicationFactor}: there is one broker`,
    );
  }
  if (numPartitions !== BROKERS_CHOICE && (numPartitions < 1 || numPartitions > PARTITIONS_MAX)) {
    return refusal(KafkaError.INVALID_PARTITIONS, `${numPartitions} partitions: use 1 to ${PARTITIONS_MAX}`);
  }
  return numPartitions;
}

/** A client may place each partition itself, which leaves it one choice. */
function assigned({ assignments, numPartitions, replicationFactor }: TopicRequest, nodeId: number) {
  if (numPartitions !== BROKERS_CHOICE || replicationFactor !== BROKERS_CHOICE) {
    return refusal(KafkaError.INVALID_REQUEST, 'both counts and an assignment are given');
  }
  const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex));
  const isWhole = assignments.every((_, index) => indexes.has(index));
  const isOurs = assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === nodeId);
  if (isWhole && isOurs && assignments.length <= PARTITIONS_MAX) return assignments.length;
  const errorMessage = `an assignment gives each partition from 0 on to broker ${nodeId} alone`;
  return refusal(KafkaError.INVALID_REPLICA_ASSIGNMENT, errorMessage);
}

function created(topic: Topic): TopicResponse {
  return {
    name: topic.name,
    topicId: topic.id,
    errorCode: KafkaError.NONE,
    numPartitions: topic.partitions.length,
    replicationFactor: 1,
    configs: configsOf(topic.settings),
  };
}

function refusal(errorCode: number, errorMessage: string): KafkaOutcome {
  return { errorCode, errorMessage };
}

function failed({ name }: TopicRequest, { errorCode, errorMessage }: KafkaOutcome): TopicResponse {
  return { name, errorCode, errorMessage };
}
