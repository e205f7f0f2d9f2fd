// Produce. Served: 3 to 13. Advertised: 0 to 13, because librdkafka before 2.11 takes a broker without version 0 for one
// that can't read compressed batches, and then sends them uncompressed without a word.
//
//   0-2  old message sets; each partition is answered UNSUPPORTED_FOR_MESSAGE_FORMAT
//   3    record batch 2, transactional id     7   zstd            10  current leader in the answer (there is only one)
//   5    log start in the answer              8   error messages  11-12  transactions by implicit adding, see below
//   9    flexible                            13  topics by id, UNKNOWN_TOPIC_ID
//
// An answer is given when the batches are on the card, with acks 1 as with acks -1. With acks 0 there is none; if an
// append fails then, the connection is closed, as Kafka does. `timeout_ms` is not used: a commit is decided in time or
// the card is failing, which is an answer of its own. Transactional ids are refused until transactions are served.
// While the log is full no Produce is begun (connection.ts), and answers ask the client to rest (KIP-219).
// Requests of one connection overlap: their batches are appended in order, and join the same commit.

import { compressionOf, readBatchHeader } from '../../formats/batch.ts';
import { KafkaError } from '../../formats/kafka/codes.ts';
import { produce } from '../../formats/kafka/00-produce.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import type { Topic } from '../../log/log.ts';
import { outcomeOf, type KafkaOutcome } from '../codes.ts';
import { defineHandler, HANG_UP, NO_ANSWER, topicMeant, type Call, type Door } from '../handler.ts';

type Request = RequestOf<typeof produce>;
type TopicRequest = Request['topicData'][number];
type PartitionRequest = TopicRequest['partitionData'][number];
type TopicResponse = ResponseDraft<typeof produce>['responses'][number];
type PartitionResponse = TopicResponse['partitionResponses'][number];

const BATCH_VERSION_AT = 16;
const ZSTD_SINCE = 7;
const ACKS = [-1, 0, 1];
/** How long a client shall rest while the log is full: a moment in which commits make room. */
const PUSH_BACK_MS = 100;
const BY_ID_FROM = 13;
const UNKNOWN_ID: KafkaOutcome = { errorCode: KafkaError.UNKNOWN_TOPIC_ID, errorMessage: null };
const UNKNOWN: KafkaOutcome = { errorCode: KafkaError.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: null };
const NO_BATCH: KafkaOutcome = {
  errorCode: KafkaError.INVALID_RECORD,
  errorMessage: 'a partition without a record batch',
};

export const produceHandler = defineHandler(produce, answer, { mayOverlap: true });

async function answer(request: Request, call: Call) {
  const refusal = refusalOf(request, call.version);
  const responses = await Promise.all(request.topicData.map((topic) => appendTopic(topic, call, refusal)));
  if (request.acks !== 0) return { responses, throttleTimeMs: call.door.log.isFull() ? PUSH_BACK_MS : 0 };
  const hasFailed = responses.some(({ partitionResponses }) => partitionResponses.some((each) => each.errorCode !== 0));
  return hasFailed ? HANG_UP : NO_ANSWER;
}

/** Why nothing of the request can be taken. */
function refusalOf(request: Request, version: number): KafkaOutcome | undefined {
  if (version < 3) return { errorCode: KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT, errorMessage: null };
  if (!ACKS.includes(request.acks)) return { errorCode: KafkaError.INVALID_REQUIRED_ACKS, errorMessage: null };
  if (request.transactionalId === null) return undefined;
  const errorMessage = 'transactions are not served';
  return { errorCode: KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, errorMessage };
}

async function appendTopic(
  wanted: TopicRequest,
  call: Call,
  refused: KafkaOutcome | undefined,
): Promise<TopicResponse> {
  const { name, topicId, partitionData } = wanted;
  const isById = call.version >= BY_ID_FROM;
  const topic = topicMeant(call.door.log, isById, { name, topicId });
  const refusal = refused ?? (topic === undefined && isById ? UNKNOWN_ID : undefined);
  const partitionResponses =
    refusal === undefined
      ? await Promise.all(partitionData.map((partition) => appendPartition(topic, partition, call)))
      : partitionData.map(({ index }) => failed(index, refusal));
  return { name, topicId, partitionResponses };
}

/** Takes the batch to the log before it first waits, so that batches are appended in the order of their requests. */
async function appendPartition(
  topic: Topic | undefined,
  { index, records }: PartitionRequest,
  { door, version }: Call,
): Promise<PartitionResponse> {
  const partition = topic?.partitions[index];
  if (partition === undefined) return failed(index, UNKNOWN);
  try {
    if (records === null || records.length === 0) return failed(index, NO_BATCH);
    const refusal = refusalOfBatch(records, version, door.settings['message.max.bytes']);
    if (refusal !== undefined) return failed(index, refusal);
    const { recordCount } = readBatchHeader(records);
    const bytes = records.length;
    const { baseOffset, isDuplicate } = await partition.append(records);
    if (!isDuplicate) countProduced(door, recordCount, bytes);
    return { index, errorCode: KafkaError.NONE, baseOffset, logStartOffset: partition.logStart };
  } catch (error) {
    return failed(index, outcomeOf(error));
  }
}

function countProduced({ counters }: Door, records: number, bytes: number): void {
  counters.produced.records += records;
  counters.produced.bytes += bytes;
}

function refusalOfBatch(records: Buffer, version: number, bytesMax: number): KafkaOutcome | undefined {
  if (records.length > bytesMax) {
    const errorMessage = `a batch of ${records.length} bytes where ${bytesMax} are allowed`;
    return { errorCode: KafkaError.MESSAGE_TOO_LARGE, errorMessage };
  }
  if (records.length > BATCH_VERSION_AT && records[BATCH_VERSION_AT] !== 2) {
    return { errorCode: KafkaError.INVALID_RECORD, errorMessage: 'records are not a batch of version 2' };
  }
  if (version < ZSTD_SINCE && compressionOf(readBatchHeader(records)) === 'zstd') {
    return { errorCode: KafkaError.UNSUPPORTED_COMPRESSION_TYPE, errorMessage: 'zstd needs version 7 of Produce' };
  }
  return undefined;
}

function failed(index: number, { errorCode, errorMessage }: KafkaOutcome): PartitionResponse {
  return { index, errorCode, errorMessage, baseOffset: -1 };
}
