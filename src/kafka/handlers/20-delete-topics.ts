// DeleteTopics. Served: 1 to 6.
//
//   1  throttle time   4  flexible   5  error messages   6  topics by id

import { KafkaError } from '../../formats/kafka/codes.ts';
import { deleteTopics } from '../../formats/kafka/20-delete-topics.ts';
import { ZERO_UUID, type RequestOf, type ResponseDraft } from '../../formats/kafka/schema.ts';
import { outcomeOf } from '../codes.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof deleteTopics>;
type TopicRequest = Request['topics'][number];
type TopicResponse = ResponseDraft<typeof deleteTopics>['responses'][number];

export const deleteTopicsHandler = defineHandler(deleteTopics, answer);

async function answer(request: Request, call: Call): Promise<ResponseDraft<typeof deleteTopics>> {
  const wanted = [...request.topics, ...request.topicNames.map((name) => ({ name, topicId: ZERO_UUID }))];
  const responses: TopicResponse[] = [];
  for (const topic of wanted) responses.push(await deleteOne(topic, call));
  return { responses };
}

async function deleteOne({ name, topicId }: TopicRequest, { door }: Call): Promise<TopicResponse> {
  const { log } = door;
  const topic = name === null ? log.topicById(topicId) : log.topic(name);
  if (topic === undefined) {
    const errorCode = name === null ? KafkaError.UNKNOWN_TOPIC_ID : KafkaError.UNKNOWN_TOPIC_OR_PARTITION;
    return { name, topicId, errorCode };
  }
  try {
    await log.deleteTopic(topic.name);
    return { name: topic.name, topicId: topic.id, errorCode: KafkaError.NONE };
  } catch (error) {
    return { name: topic.name, topicId: topic.id, ...outcomeOf(error) };
  }
}
