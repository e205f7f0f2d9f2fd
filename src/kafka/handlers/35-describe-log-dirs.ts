// DescribeLogDirs. Served: 1 to 5.
//
//   2  flexible   3  an error for the whole   4  bytes in all and what is left
//   5  whether new partitions go elsewhere (there is no elsewhere)
//
// One directory under a name of its own: where it lies is nobody's business here. Its size is the budget of the data folder,
// and what is left of it can be written before the oldest records go.

import { KafkaError } from '../../formats/kafka/codes.ts';
import { describeLogDirs } from '../../formats/kafka/35-describe-log-dirs.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Partition, Topic } from '../../log/log.ts';
import { defineHandler, type Call } from '../handler.ts';

type Request = RequestOf<typeof describeLogDirs>;
type Response = ResponseDraft<typeof describeLogDirs>;
type TopicResponse = Response['results'][number]['topics'][number];

const LOG_DIR = 'data';

export const describeLogDirsHandler = defineHandler(describeLogDirs, answer);

function answer({ topics: wanted }: Request, { door: { log } }: Call): Response {
  const { budgetBytes, diskBytes } = log.status();
  const topics = log.topics().flatMap((topic) => describe(topic, wanted));
  const usableBytes = Math.max(0, budgetBytes - diskBytes);
  return { results: [{ errorCode: KafkaError.NONE, logDir: LOG_DIR, topics, totalBytes: budgetBytes, usableBytes }] };
}

function describe({ name, partitions }: Topic, wanted: Request['topics']): TopicResponse[] {
  const indexes = wanted?.find(({ topic }) => topic === name)?.partitions;
  if (wanted !== null && indexes === undefined) return [];
  const shown = partitions.filter(({ index }) => indexes === undefined || indexes.includes(index));
  return [{ name, partitions: shown.map(sizeOf) }];
}

function sizeOf({ index, bytes }: Partition): TopicResponse['partitions'][number] {
  return { partitionIndex: index, partitionSize: bytes, offsetLag: 0, isFutureKey: false };
}
