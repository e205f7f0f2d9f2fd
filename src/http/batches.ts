// Batches over REST as they are stored, for the tools: reading them, and taking in those of another log exactly once.
//
//   GET  /topics/:topic/partitions/:partition/batches?offset=&bytes=&committed=
//        Kafka's record batches one after another, from the one that holds `offset` on, up to about `bytes` (default
//        1 MiB) and one at least. Header headwater-next-offset: where to go on; headwater-log-start and
//        headwater-high-watermark: the ends of what can be read. With `committed=1` up to the last stable offset, and with
//        markers in the place of batches that were aborted.
//   GET  /topics/:topic/partitions/:partition/imports?source=ID
//        {"imported": [[0, 1500]]}: the offsets of that source that are here already
//   POST /topics/:topic/partitions/:partition/imports?source=ID&from=0&to=1500
//        Batches with their offsets in the source: all records that it has from offset `from` up to, not including,
//        `to`. On return they are on the card: {"records": 1500, "skipped": 0, "bytes": 9000}.
//
// A source is the id of a topic in the log that the batches come from, 32 hex digits. Which of its offsets were imported
// is a mark (`import/<topic id>/<partition>/<source>`) in the same commit as the records, so that what comes a second
// time is skipped, whatever broke off in between.

import type { Clock } from '../clock.ts';
import { HeadwaterError, isHeadwaterError, messageOf } from '../errors.ts';
import {
  checkStoredBatch,
  decodeRecords,
  encodeBatch,
  isControl,
  nextOffsetOf,
  readBatchHeader,
  splitBatches,
  stampProducer,
  type BatchHeader,
} from '../formats/batch.ts';
import { encodeAbsence } from '../formats/marker.ts';
import type { Log, Partition } from '../log/log.ts';
import { checkQuery, failure, json, queryNumber, readBytes, type Answer, type Exchange } from './exchange.ts';
import { missingOf, RANGES_MAX, withRange, type OffsetRange } from './imported.ts';
import { findPartition, type RecordCounts } from './records.ts';
import { findTopic } from './topics.ts';

const READ_BYTES_DEFAULT = 1024 * 1024;
const READ_BYTES_MAX = 4 * 1024 * 1024;
/** Marks are carried from segment to segment: more would be felt there. */
const SOURCES_MAX = 20_000;
/** Below what the command line waits for an answer. */
const ROOM_MS_MAX = 20_000;
const PREFIX = 'import/';
const DAMAGE = ['STORE_CORRUPT', 'FORMAT_CORRUPT', 'FORMAT_TRUNCATED'] as const;
const BYTES_TYPE = 'application/octet-stream';
const NOBODY = { producerId: -1, producerEpoch: -1, baseSequence: -1 };

export interface BatchesNeeds {
  log: Log;
  clock: Clock;
  counts: RecordCounts;
}

export async function readBatches({ log }: BatchesNeeds, { params, query }: Exchange): Promise<Answer> {
  checkQuery(query, ['offset', 'bytes', 'committed']);
  const partition = findPartition(findTopic(log, params.get('topic')), params.get('partition') ?? '');
  const offset = queryNumber(query, 'offset', partition.logStart, 0, Number.MAX_SAFE_INTEGER);
  const bytes = queryNumber(query, 'bytes', READ_BYTES_DEFAULT, 1, READ_BYTES_MAX);
  // What comes in meanwhile is for the next request.
  const isCommitted = queryNumber(query, 'committed', 0, 0, 1) === 1;
  const { logStart, highWatermark, lastStableOffset } = partition;
  const end = isCommitted ? lastStableOffset : highWatermark;
  try {
    const batches = isCommitted
      ? (await partition.readStable(offset, bytes)).map((batch) => committedOnly(partition, batch))
      : await partition.read(offset, bytes);
    const last = batches.at(-1);
    const headers = {
      'headwater-next-offset': String(last === undefined ? Math.max(offset, end) : nextOffsetOf(readBatchHeader(last))),
      'headwater-log-start': String(logStart),
      'headwater-high-watermark': String(highWatermark),
    };
    return { status: 200, type: BYTES_TYPE, headers, body: Buffer.concat(batches) };
  } catch (error) {
    // Whoever looks for damage must be able to tell it from a fault of the program.
    if (!DAMAGE.some((code) => isHeadwaterError(error, code))) throw error;
    return failure(500, 'STORE_CORRUPT', messageOf(error));
  }
}

function committedOnly(partition: Partition, batch: Buffer): Buffer {
  const header = readBatchHeader(batch);
  return isControl(header) || partition.isData(header) ? batch : encodeAbsence(header);
}

export interface Imports {
  list(exchange: Exchange): Answer;
  take(exchange: Exchange): Promise<Answer>;
}

export function createImports({ log, clock, counts }: BatchesNeeds): Imports {
  // Two imports of the same records at a time would not see each other's mark.
  const running = new Map<string, Promise<unknown>>();

  async function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (running.get(key) ?? Promise.resolve()).catch(() => undefined).then(work);
    running.set(key, turn);
    try {
      return await turn;
    } finally {
      if (running.get(key) === turn) running.delete(key);
    }
  }

  function placeOf({ params, query }: Exchange): { partition: Partition; key: string } {
    const topic = findTopic(log, params.get('topic'));
    const partition = findPartition(topic, params.get('partition') ?? '');
    const source = query.get('source') ?? '';
    if (!/^[0-9a-f]{32}$/.test(source)) throw new HeadwaterError('USAGE', 'source must be 32 hex digits: a topic id');
    return { partition, key: `${PREFIX}${topic.id.toString('hex')}/${partition.index}/${source}` };
  }

  return {
    list(exchange) {
      checkQuery(exchange.query, ['source']);
      return json(200, { imported: rangesAt(log, placeOf(exchange).key) });
    },
    async take(exchange) {
      const { query, request } = exchange;
      checkQuery(query, ['source', 'from', 'to']);
      const { partition, key } = placeOf(exchange);
      const from = queryNumber(query, 'from', -1, 0, Number.MAX_SAFE_INTEGER);
      const to = queryNumber(query, 'to', -1, from + 1, Number.MAX_SAFE_INTEGER);
      if (from < 0 || to < 0)
        throw new HeadwaterError('USAGE', 'from and to say which offsets of the source these are');
      // As for JSON: a page of another site can't send this type without asking first.
      if (request.headers['content-type'] !== BYTES_TYPE)
        throw new HeadwaterError('USAGE', `the body must be ${BYTES_TYPE}`);
      const batches = batchesIn(await readBytes(request), from, to);
      const outcome = await inTurn(key, async () => {
        await whenRoom(log, clock, exchange.signal);
        return importBatches(log, partition, key, [from, to], batches);
      });
      counts.appended.records += outcome.records;
      counts.appended.bytes += outcome.bytes;
      return json(200, outcome);
    },
  };
}

/** Holds an import back while the card catches up, so that whoever imports is no faster. Throws LOG_FULL. */
async function whenRoom(log: Log, clock: Clock, signal: AbortSignal): Promise<void> {
  if (!log.isFull()) return;
  const tooLong = new AbortController();
  const timer = clock.after(ROOM_MS_MAX, () => tooLong.abort());
  await log.whenRoom(AbortSignal.any([signal, tooLong.signal]));
  timer.cancel();
  if (log.isFull()) throw new HeadwaterError('LOG_FULL', 'the card has not caught up: import the same again later');
}

interface Outcome {
  records: number;
  /** Of those that came: they were here already. */
  skipped: number;
  /** Of the batches that were appended. */
  bytes: number;
}

interface SourceBatch {
  header: BatchHeader;
  batch: Buffer;
}

/** Everything that can be wrong is found before anything is kept. Throws RECORD_INVALID, FORMAT_CORRUPT. */
function batchesIn(bytes: Buffer, from: number, to: number): SourceBatch[] {
  const found: SourceBatch[] = [];
  let position = 0;
  try {
    for (const batch of splitBatches(bytes)) {
      const header = checkStoredBatch(batch);
      decodeRecords(batch);
      found.push({ header, batch });
      position += batch.length;
    }
  } catch (cause) {
    throw new HeadwaterError('RECORD_INVALID', `batch ${found.length + 1} is damaged: ${String(cause)}`, { cause });
  }
  if (position !== bytes.length) throw new HeadwaterError('RECORD_INVALID', 'the last batch is cut');
  let at = from;
  for (const { header } of found) {
    const isFirst = at === from;
    const isLate = header.baseOffset < at && !isFirst;
    at = nextOffsetOf(header);
    if (isLate || at > to || at <= from) {
      throw new HeadwaterError('RECORD_INVALID', `a batch up to offset ${at - 1} is not between ${from} and ${to}`);
    }
  }
  return found;
}

async function importBatches(
  log: Log,
  partition: Partition,
  key: string,
  range: OffsetRange,
  batches: readonly SourceBatch[],
): Promise<Outcome> {
  const ranges = rangesAt(log, key);
  const missing = missingOf(ranges, range);
  let [records, skipped, bytes] = [0, 0, 0];
  const fresh: Buffer[] = [];
  for (const each of batches) {
    const taken = takeMissing(each, missing);
    fresh.push(...taken.batches);
    for (const { length } of taken.batches) bytes += length;
    records += taken.records;
    skipped += each.header.recordCount - taken.records;
  }
  if (missing.length === 0) return { records, skipped, bytes };
  const next = withRange(ranges, range);
  checkBounds(log, ranges, next);
  // All in one turn: the records and their mark are in one commit.
  const commits = fresh.map((batch) => {
    const commit = partition.gather({ take: () => batch });
    commit.grow(batch.length);
    return commit.done();
  });
  await Promise.all([...commits, log.mark(key, Buffer.from(JSON.stringify(next))).done()]);
  return { records, skipped, bytes };
}

/** The records of a batch that are still missing, as batches of no producer. */
function takeMissing(
  { header, batch }: SourceBatch,
  missing: readonly OffsetRange[],
): { batches: Buffer[]; records: number } {
  if (isControl(header)) return { batches: [], records: 0 };
  const end = nextOffsetOf(header);
  const isWhole = missing.some(([from, to]) => from <= header.baseOffset && to >= end);
  if (isWhole && header.recordCount === header.lastOffsetDelta + 1) {
    return { batches: [stampProducer(batch, NOBODY)], records: header.recordCount };
  }
  const wanted = decodeRecords(batch).filter(({ offset }) =>
    missing.some(([from, to]) => offset >= from && offset < to),
  );
  return { batches: wanted.length === 0 ? [] : [encodeBatch(wanted, { compression: 'auto' })], records: wanted.length };
}

function rangesAt(log: Log, key: string): OffsetRange[] {
  for (const [name, value] of log.marks(key)) {
    if (name === key) return JSON.parse(value.toString('utf8')) as OffsetRange[];
  }
  return [];
}

function checkBounds(log: Log, before: readonly OffsetRange[], after: readonly OffsetRange[]): void {
  if (after.length > RANGES_MAX) {
    const text = `more than ${RANGES_MAX} stretches of this source with others missing between them: import older files first`;
    throw new HeadwaterError('RECORD_INVALID', text);
  }
  if (before.length > 0) return;
  const ids = new Set(log.topics().map(({ id }) => id.toString('hex')));
  let count = 0;
  for (const [name] of log.marks(PREFIX)) {
    // A topic that is gone took its records with it: what was imported into it does not matter any more.
    if (ids.has(name.split('/')[1] ?? '')) count += 1;
    else log.mark(name, null);
  }
  if (count >= SOURCES_MAX) {
    throw new HeadwaterError(
      'RECORD_INVALID',
      `partitions of ${SOURCES_MAX} sources were imported, and no more can be`,
    );
  }
}
