// Records over REST: reading a partition from an offset on, and appending.
//
//   GET  /topics/:topic/partitions/:partition/records?offset=&count=&bytes=&wait=
//        offset  a number, `start`, `end`, `-10` (the last ten) or `@1700000000000` (from that time on); default start
//        count   at most so many records, 1 to 10000; default 100
//        bytes   at most about so many bytes of JSON, 1 to 2097152 and one record at least; default 1048576
//        wait    milliseconds to wait when there is none yet, 0 to 30000; default 0
//        JSON, or JSON lines where `accept: application/x-ndjson` or `format=jsonl` asks for them. Where to go on stands
//        in the headers headwater-next-offset, headwater-log-start and headwater-high-watermark, and in the JSON; the
//        header headwater-offset is the offset that was asked for, as a number.
//   POST /topics/:topic/records
//        one record, a list, or JSON lines; see record-json.ts. On return all of them are on the card.

import type { Clock } from '../clock.ts';
import { HeadwaterError } from '../errors.ts';
import { BatchBuilder, decodeRecords, nextOffsetOf, readBatchHeader, type LogRecord } from '../formats/batch.ts';
import { clockHeader } from '../formats/clock-header.ts';
import { partitionOfKey } from '../formats/murmur2.ts';
import type { Log, Partition, Topic } from '../log/log.ts';
import {
  answerOf,
  checkQuery,
  json,
  JSON_LINES_TYPE,
  queryNumber,
  readValues,
  wantsLines,
  type Answer,
  type Exchange,
} from './exchange.ts';
import { recordFromJson, recordToJson, type GivenRecord } from './record-json.ts';
import { findTopic } from './topics.ts';

export interface RecordsNeeds {
  log: Log;
  clock: Clock;
  counts: RecordCounts;
}

/** Since the start. Appended bytes are those of the batches, read ones those of the records as JSON. */
export interface RecordCounts {
  appended: { records: number; bytes: number };
  read: { records: number; bytes: number };
}

const PARAMETERS = ['offset', 'count', 'bytes', 'wait', 'format'];
const COUNT_MAX = 10_000;
const ANSWER_BYTES_MAX = 2 * 1024 * 1024;
const WAIT_MS_MAX = 30_000;
const READ_BYTES = 256 * 1024;
/** A batch goes upstream as it is, and Kafka's own default bound for one is 1 MiB. */
const BATCH_BYTES_MAX = 512 * 1024;

export async function readRecords({ log, clock, counts }: RecordsNeeds, exchange: Exchange): Promise<Answer> {
  const { query, params } = exchange;
  const topic = findTopic(log, params.get('topic'));
  const partition = findPartition(topic, params.get('partition') ?? '');
  checkQuery(query, PARAMETERS);
  const asLines = wantsLines(exchange);
  const count = queryNumber(query, 'count', 100, 1, COUNT_MAX);
  const bytesMax = queryNumber(query, 'bytes', ANSWER_BYTES_MAX / 2, 1, ANSWER_BYTES_MAX);
  const waitMs = queryNumber(query, 'wait', 0, 0, WAIT_MS_MAX);
  const offset = await placeOf(partition, query.get('offset') ?? 'start');
  if (waitMs > 0 && offset >= partition.lastStableOffset)
    await waitFor(partition, offset, waitMs, clock, exchange.signal);
  const { lines, nextOffset } = await collect(partition, offset, count, bytesMax);
  counts.read.records += lines.length;
  for (const line of lines) counts.read.bytes += Buffer.byteLength(line);
  return answerWith(partition, { offset, lines, nextOffset }, asLines);
}

/** Throws TOPIC_UNKNOWN. */
export function findPartition(topic: Topic, text: string): Partition {
  const partition = /^\d{1,4}$/.test(text) ? topic.partitions[Number(text)] : undefined;
  if (partition !== undefined) return partition;
  throw new HeadwaterError(
    'TOPIC_UNKNOWN',
    `topic ${topic.name} has no partition ${JSON.stringify(text)}, it has ${topic.partitions.length}`,
  );
}

/** The offset that a word stands for. Throws USAGE, OFFSET_OUT_OF_RANGE. */
export async function placeOf(partition: Partition, text: string): Promise<number> {
  const { logStart, highWatermark } = partition;
  if (text === 'start') return logStart;
  if (text === 'end') return highWatermark;
  if (/^-\d{1,15}$/.test(text)) return Math.max(logStart, highWatermark + Number(text));
  if (/^@\d{1,15}$/.test(text)) {
    const found = await partition.offsetAtTime(Number(text.slice(1)));
    return found?.offset ?? highWatermark;
  }
  if (!/^\d{1,15}$/.test(text)) {
    throw new HeadwaterError(
      'USAGE',
      `offset must be a number, start, end, -N or @MILLISECONDS, not ${JSON.stringify(text)}`,
    );
  }
  const offset = Number(text);
  if (offset >= logStart && offset <= highWatermark) return offset;
  throw new HeadwaterError('OFFSET_OUT_OF_RANGE', `offset ${offset} is not between ${logStart} and ${highWatermark}`);
}

async function waitFor(
  partition: Partition,
  offset: number,
  waitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const tooLong = new AbortController();
  const timer = clock.after(waitMs, () => tooLong.abort());
  await partition.waitBeyond(offset, AbortSignal.any([signal, tooLong.signal]));
  timer.cancel();
}

interface Collected {
  lines: string[];
  nextOffset: number;
}

async function collect(partition: Partition, from: number, count: number, bytesMax: number): Promise<Collected> {
  const lines: string[] = [];
  let nextOffset = from;
  let bytes = 0;
  while (lines.length < count && bytes < bytesMax) {
    const batches = await partition.readStable(nextOffset, READ_BYTES);
    if (batches.length === 0) break;
    for (const batch of batches) {
      const header = readBatchHeader(batch);
      for (const record of partition.isData(header) ? decodeRecords(batch) : []) {
        if (record.offset < nextOffset) continue;
        const line = toLine(partition, record);
        if (lines.length === count || (lines.length > 0 && bytes + line.length > bytesMax))
          return { lines, nextOffset };
        lines.push(line);
        bytes += line.length;
        nextOffset = record.offset + 1;
      }
      nextOffset = Math.max(nextOffset, nextOffsetOf(header));
    }
  }
  return { lines, nextOffset };
}

function toLine(partition: Partition, record: LogRecord): string {
  return recordToJson(partition.topic.name, partition.index, record);
}

function answerWith(
  { logStart, highWatermark }: Partition,
  found: Collected & { offset: number },
  asLines: boolean,
): Answer {
  const { offset, lines, nextOffset } = found;
  const headers = {
    'headwater-offset': String(offset),
    'headwater-next-offset': String(nextOffset),
    'headwater-log-start': String(logStart),
    'headwater-high-watermark': String(highWatermark),
  };
  if (asLines) {
    return { status: 200, type: JSON_LINES_TYPE, headers, body: lines.map((line) => `${line}\n`).join('') };
  }
  const body = `{"nextOffset":${nextOffset},"logStart":${logStart},"highWatermark":${highWatermark},"records":[${lines.join(',\n')}]}\n`;
  return { status: 200, headers, body };
}

interface Kept {
  partition: number;
  baseOffset: number;
  count: number;
}

export async function appendRecords(
  { log, clock, counts }: RecordsNeeds,
  { request, params }: Exchange,
): Promise<Answer> {
  const topic = findTopic(log, params.get('topic'));
  const values = await readValues(request);
  const nowMs = clock.wallMs();
  const records = values.map((value, index) => recordFromJson(value, index + 1, nowMs));
  const groups = byPartition(topic, records);
  const outcomes = await Promise.allSettled(
    [...groups].map(([partition, group]) => append(partition, group, counts, clock)),
  );
  const kept = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return json(200, { records: records.length, kept });
  return partly(failed.reason, kept);
}

/**
 * One batch, or several one after another where they would make too long a batch, or where some have the time of their
 * client and others are stamped while nobody knows the time.
 */
async function append(
  partition: Partition,
  records: GivenRecord[],
  { appended }: RecordCounts,
  { doubt }: Clock,
): Promise<Kept> {
  let baseOffset = -1;
  let builder = new BatchBuilder();
  let boot: number | undefined;
  const commit = async (): Promise<void> => {
    const batch = builder.build({ compression: 'auto' });
    const result = await partition.append(batch, false, boot);
    appended.records += builder.count;
    appended.bytes += batch.length;
    if (baseOffset === -1) baseOffset = result.baseOffset;
    builder = new BatchBuilder();
  };
  for (const { timestampMs, isStamped, key, value, headers = [] } of records) {
    const bytes = (key?.length ?? 0) + (value?.length ?? 0);
    const stamp = isStamped ? doubt : undefined;
    const isOther = stamp?.boot !== boot || builder.bytes + bytes > BATCH_BYTES_MAX;
    if (builder.count > 0 && isOther) await commit();
    boot = stamp?.boot;
    builder.add(timestampMs, key, value, stamp === undefined ? headers : [...headers, clockHeader(stamp, timestampMs)]);
  }
  await commit();
  return { partition: partition.index, baseOffset, count: records.length };
}

/** Records without key or partition go together to the first partition, as everywhere in headwater. */
function byPartition(topic: Topic, records: readonly GivenRecord[]): Map<Partition, GivenRecord[]> {
  const groups = new Map<Partition, GivenRecord[]>();
  for (const record of records) {
    const byKey = record.key === null ? 0 : partitionOfKey(record.key, topic.partitions.length);
    const partition = findPartition(topic, String(record.partition ?? byKey));
    const group = groups.get(partition);
    if (group === undefined) groups.set(partition, [record]);
    else group.push(record);
  }
  return groups;
}

/** What was kept must be told with the error, or the client would send it a second time. */
function partly(reason: unknown, kept: Kept[]): Answer {
  const answer = answerOf(reason);
  if (answer === undefined) throw reason;
  return kept.length === 0
    ? answer
    : { ...answer, body: `${JSON.stringify({ ...JSON.parse(answer.body.toString()), kept })}\n` };
}
