// Metadata. Served: 0 to 13.
//
//   0  an empty list asks for all topics   2  cluster id            7  leader epoch            10  topic ids
//   1  a null list does; controller, rack  4  whether to make them  8  authorized operations   11  ...not the cluster's
//   5  offline replicas                    9  flexible              12  topics by id alone
//   13 an error for the whole: it is what sends a client back to its bootstrap servers, and never happens here
//
// One node is broker, controller, leader of everything and its only replica. A topic that a client may make (it says so, and
// auto.create.topics.enable does) is there before the answer leaves, so that its first Produce finds it. Authorized operations are never told.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { metadata } from '../../formats/kafka/03-metadata.ts';
import { ZERO_UUID, type RequestOf, type ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Topic } from '../../log/log.ts';
import { outcomeOf } from '../codes.ts';
import { defineHandler, LEADER_EPOCH, type Call } from '../handler.ts';

type Request = RequestOf<typeof metadata>;
type TopicRequest = NonNullable<Request['topics']>[number];
type TopicResponse = ResponseDraft<typeof metadata>['topics'][number];

export const metadataHandler = defineHandler(metadata, answer);

function answer(request: Request, call: Call): ResponseDraft<typeof metadata> {
  const { log, nodeId } = call.door;
  const mayMake = request.allowAutoTopicCreation && call.door.settings['auto.create.topics.enable'];
  const isForAll = request.topics === null || (call.version === 0 && request.topics.length === 0);
  const topics = isForAll
    ? log.topics().map((topic) => describe(topic, nodeId))
    : (request.topics ?? []).map((wanted) => find(wanted, mayMake, call));
  return {
    brokers: [{ nodeId, ...call.endpoint }],
    clusterId: log.clusterId,
    controllerId: nodeId,
    topics,
  };
}

function find({ name, topicId }: TopicRequest, mayMake: boolean, { door, version }: Call): TopicResponse {
  const { log, limits, nodeId } = door;
  // Who asks by id gives no name, or, as Java does, an empty one.
  if (name === null || !topicId.equals(ZERO_UUID)) {
    const topic = log.topicById(topicId);
    if (topic !== undefined) return describe(topic, nodeId);
    return missing(version < 12 ? '' : null, topicId, KafkaError.UNKNOWN_TOPIC_ID);
  }
  const topic = log.topic(name);
  if (topic !== undefined) return describe(topic, nodeId);
  if (!mayMake) return missing(name, ZERO_UUID, KafkaError.UNKNOWN_TOPIC_OR_PARTITION);
  if (log.topics().length >= limits.topicsMax) return missing(name, ZERO_UUID, KafkaError.POLICY_VIOLATION);
  try {
    return describe(log.ensureTopic(name), nodeId);
  } catch (error) {
    return missing(name, ZERO_UUID, outcomeOf(error).errorCode);
  }
}

/** One topic as Metadata and DescribeTopicPartitions tell it. */
export function describe(topic: Topic, nodeId: number): TopicResponse {
  return {
    errorCode: KafkaError.NONE,
    name: topic.name,
    topicId: topic.id,
    partitions: topic.partitions.map((partition) => ({
      errorCode: KafkaError.NONE,
      partitionIndex: partition.index,
      leaderId: nodeId,
      leaderEpoch: LEADER_EPOCH,
      replicaNodes: [nodeId],
      isrNodes: [nodeId],
    })),
  };
}

function missing(name: string | null, topicId: Buffer, errorCode: number): TopicResponse {
  return { errorCode, name, topicId, partitions: [] };
}
