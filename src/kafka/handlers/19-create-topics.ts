// CreateTopics. Served: 2 to 7.
//
//   2  throttle time   4  -1 for the broker's own counts   5  flexible, settings in the answer   7  topic id
//
// Replication factor 1 (or -1) is all that one node can do; -1 partitions are those of the configuration's topic, else
// num.partitions. Settings that headwater does not keep are accepted where leaving them out changes nothing that a client
// could see, and INVALID_CONFIG where it would. A trial checks all that making the topic would.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { createTopics } from '../../formats/kafka/19-create-topics.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { checkTopic, DEFAULT_SETTINGS, PARTITIONS_MAX, type Topic, type TopicSettings } from '../../log/log.ts';
import { outcomeOf, type KafkaOutcome } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';
import { isOnlyHere, repeatedIn, TWICE } from '../placement.ts';
import { configsOf, readConfigs } from '../topic-configs.ts';

type Request = RequestOf<typeof createTopics>;
type TopicRequest = Request['topics'][number];
type TopicResponse = ResponseDraft<typeof createTopics>['topics'][number];
type Wanted = Partial<TopicSettings>;

const BROKERS_CHOICE = -1;

export const createTopicsHandler = defineHandler(createTopics, answer);

async function answer(request: Request, call: Call): Promise<ResponseDraft<typeof createTopics>> {
  const repeated = repeatedIn(request.topics);
  const topics: TopicResponse[] = [];
  for (const wanted of request.topics) {
    const isTwice = repeated.has(wanted.name);
    topics.push(isTwice ? failed(wanted, TWICE) : await createOne(wanted, request.validateOnly, call));
  }
  return { topics };
}

async function createOne(wanted: TopicRequest, isTrial: boolean, call: Call): Promise<TopicResponse> {
  const { log, limits, nodeId } = call.door;
  const settings = settingsOf(wanted, nodeId);
  if ('errorCode' in settings) return failed(wanted, settings);
  if (log.topic(wanted.name) !== undefined) {
    return failed(wanted, refusal(KafkaError.TOPIC_ALREADY_EXISTS, `topic ${wanted.name} exists`));
  }
  if (log.topics().length >= limits.topicsMax) {
    return failed(wanted, refusal(KafkaError.POLICY_VIOLATION, `there are ${limits.topicsMax} topics already`));
  }
  try {
    if (isTrial) return tried(wanted.name, settings, call);
    return created(await log.createTopic(wanted.name, settings), call);
  } catch (error) {
    return failed(wanted, outcomeOf(error));
  }
}

/** What would be made. Throws TOPIC_INVALID. */
function tried(name: string, settings: Wanted, { door }: Call): TopicResponse {
  const whole = { ...DEFAULT_SETTINGS, partitions: door.settings['num.partitions'], ...settings };
  checkTopic(name, whole);
  return {
    name,
    errorCode: KafkaError.NONE,
    numPartitions: whole.partitions,
    replicationFactor: 1,
    configs: configsOf(whole, door.settings),
  };
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

function assigned({ assignments, numPartitions, replicationFactor }: TopicRequest, nodeId: number) {
  if (numPartitions !== BROKERS_CHOICE || replicationFactor !== BROKERS_CHOICE) {
    return refusal(KafkaError.INVALID_REQUEST, 'both counts and an assignment are given');
  }
  const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex));
  const isWhole = assignments.every((_, index) => indexes.has(index));
  if (isWhole && isOnlyHere(assignments, nodeId) && assignments.length <= PARTITIONS_MAX) return assignments.length;
  const errorMessage = `an assignment gives each partition from 0 on to broker ${nodeId} alone`;
  return refusal(KafkaError.INVALID_REPLICA_ASSIGNMENT, errorMessage);
}

function created(topic: Topic, { door }: Call): TopicResponse {
  return {
    name: topic.name,
    topicId: topic.id,
    errorCode: KafkaError.NONE,
    numPartitions: topic.partitions.length,
    replicationFactor: 1,
    configs: configsOf(topic.settings, door.settings),
  };
}

function refusal(errorCode: number, errorMessage: string): KafkaOutcome {
  return { errorCode, errorMessage };
}

function failed({ name }: TopicRequest, { errorCode, errorMessage }: KafkaOutcome): TopicResponse {
  return { name, errorCode, errorMessage };
}
