// Produce. Served: 3 to 13. Advertised: 0 to 13, because librdkafka before 2.11 takes a broker without version 0 for one
// that can't read compressed batches, and then sends them uncompressed without a word.
//
//   0-2  old message sets; each partition is answered UNSUPPORTED_FOR_MESSAGE_FORMAT
//   3    record batch 2, transactional id     7   zstd            10  current leader in the answer (there is only one)
//   5    log start in the answer              8   error messages, errors by record
//   9    flexible                            11  TRANSACTION_ABORTABLE
//                                            12  transactions of version 2: never, see below
//                                            13  topics by id, UNKNOWN_TOPIC_ID
//
// An answer is given when the batches are on the card, or taken where the topic is relaxed, with acks 1 as with acks -1. With acks 0 there is none; if an
// append fails then, the connection is closed, as Kafka does. `timeout_ms` is not used: a commit is decided in time or
// the card is failing, which is an answer of its own. While commits are behind no Produce is begun (connection.ts), and
// who was held back is asked to rest (KIP-219); while there is no room for records each partition is answered
// KAFKA_STORAGE_ERROR, which clients take for worth another try. A batch of a transaction needs a partition that was
// added to it: clients add it by themselves with version 12 only where the broker says transaction.version 2, and this
// one does not.
// Requests of one connection overlap: their batches are appended in order, and join the same commit.

import { compressionOf, isTransactional, readBatchHeader, type BatchHeader } from '../../formats/batch.ts';
import { KafkaError } from '../../formats/kafka/codes.ts';
import { produce } from '../../formats/kafka/00-produce.ts';
import type { RequestOf, ResponseDraft } from '../../formats/kafka/schema.ts';
import { RecordsRefused, type Partition, type Topic } from '../../log/log.ts';
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
/** How long a client shall rest when the log is full: a moment in which commits make room. */
const PUSH_BACK_MS = 100;
/** And while there is no room: that may last. */
const REFUSED_MS = 1000;
const BY_ID_FROM = 13;
const ABORTABLE_FROM = 11;
const UNKNOWN_ID: KafkaOutcome = { errorCode: KafkaError.UNKNOWN_TOPIC_ID, errorMessage: null };
const UNKNOWN: KafkaOutcome = { errorCode: KafkaError.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: null };
const NO_BATCH: KafkaOutcome = {
  errorCode: KafkaError.INVALID_RECORD,
  errorMessage: 'a partition without a record batch',
};

export const produceHandler = defineHandler(produce, answer, { mayOverlap: true, keepsNothing: true });

async function answer(request: Request, call: Call) {
  const refusal = refusalOf(request, call.version);
  const responses = await Promise.all(request.topicData.map((topic) => appendTopic(topic, request, call, refusal)));
  if (request.acks !== 0) return { responses, throttleTimeMs: pushBackMs(call) };
  const hasFailed = responses.some(({ partitionResponses }) => partitionResponses.some((each) => each.errorCode !== 0));
  return hasFailed ? HANG_UP : NO_ANSWER;
}

/** So long the client leaves its connection alone, if it keeps to it. */
function pushBackMs({ door: { log }, wasHeldBack }: Call): number {
  if (log.refusal() !== undefined) return REFUSED_MS;
  return wasHeldBack || log.isFull() ? PUSH_BACK_MS : 0;
}

/** Why nothing of the request can be taken. */
function refusalOf(request: Request, version: number): KafkaOutcome | undefined {
  if (version < 3) return { errorCode: KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT, errorMessage: null };
  if (!ACKS.includes(request.acks)) return { errorCode: KafkaError.INVALID_REQUIRED_ACKS, errorMessage: null };
  return undefined;
}

async function appendTopic(
  wanted: TopicRequest,
  request: Request,
  call: Call,
  refused: KafkaOutcome | undefined,
): Promise<TopicResponse> {
  const { name, topicId, partitionData } = wanted;
  const isById = call.version >= BY_ID_FROM;
  const topic = topicMeant(call.door.log, isById, { name, topicId });
  const refusal = refused ?? (topic === undefined && isById ? UNKNOWN_ID : undefined);
  const partitionResponses =
    refusal === undefined
      ? await Promise.all(partitionData.map((partition) => appendPartition(topic, partition, request, call)))
      : partitionData.map(({ index }) => failed(index, refusal));
  return { name, topicId, partitionResponses };
}

/** Takes the batch to the log before it first waits, so that batches are appended in the order of their requests. */
async function appendPartition(
  topic: Topic | undefined,
  { index, records }: PartitionRequest,
  { transactionalId }: Request,
  { door, version }: Call,
): Promise<PartitionResponse> {
  const partition = topic?.partitions[index];
  if (partition === undefined) return failed(index, UNKNOWN);
  try {
    if (records === null || records.length === 0) return failed(index, NO_BATCH);
    const refusal = refusalOfBatch(records, version, bytesMaxOf(partition.topic, door));
    if (refusal !== undefined) return failed(index, refusal);
    const header = readBatchHeader(records);
    const errorCode = isTransactional(header) ? checkTransaction(door, transactionalId, header, partition) : 0;
    if (errorCode !== KafkaError.NONE) return failed(index, ofTransaction(errorCode, version));
    const bytes = records.length;
    const appended = await partition.append(records, isTransactional(header));
    const { baseOffset, isDuplicate, appendTimeMs: logAppendTimeMs = -1 } = appended;
    if (!isDuplicate) countProduced(door, header.recordCount, bytes);
    return { index, errorCode: KafkaError.NONE, baseOffset, logAppendTimeMs, logStartOffset: partition.logStart };
  } catch (error) {
    return { ...failed(index, outcomeOf(error)), recordErrors: faultsOf(error) };
  }
}

/** Whether the batch belongs to an open transaction that has added this partition. */
function checkTransaction(
  { transactions }: Door,
  transactionalId: string | null,
  { producerId, producerEpoch }: BatchHeader,
  partition: Partition,
): number {
  if (transactionalId === null) return KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
  return transactions.checkPartition({ transactionalId, producerId, producerEpoch }, partition);
}

/** In the words that producers of this version expect (KIP-588, KIP-890). */
function ofTransaction(errorCode: number, version: number): KafkaOutcome {
  const errorMessage = null;
  if (errorCode === KafkaError.PRODUCER_FENCED) return { errorCode: KafkaError.INVALID_PRODUCER_EPOCH, errorMessage };
  const isAbortable = errorCode === KafkaError.INVALID_TXN_STATE && version >= ABORTABLE_FROM;
  return { errorCode: isAbortable ? KafkaError.TRANSACTION_ABORTABLE : errorCode, errorMessage };
}

function countProduced({ counters }: Door, records: number, bytes: number): void {
  counters.produced.records += records;
  counters.produced.bytes += bytes;
}

function bytesMaxOf({ settings }: Topic, door: Door): number {
  return settings.batchBytesMax < 0 ? door.settings['message.max.bytes'] : settings.batchBytesMax;
}

/** Which records of the batch it was, where the log knows: clients give the others another try. */
function faultsOf(error: unknown): NonNullable<PartitionResponse['recordErrors']> {
  if (!(error instanceof RecordsRefused)) return [];
  return error.faults.map(({ index, message }) => ({ batchIndex: index, batchIndexErrorMessage: message }));
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
