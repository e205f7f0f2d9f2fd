// The partitions that a command of `headwater log` is about, and their batches as they are stored: checked, and with the
// damage that was met on the way.

import { HeadwaterError, isHeadwaterError, messageOf } from '../errors.ts';
import {
  batchBytes,
  checkStoredBatch,
  decodeRecords,
  isControl,
  nextOffsetOf,
  readBatchHeader,
} from '../formats/batch.ts';
import { topicPath, type Daemon } from './daemon.ts';

export interface Part {
  topic: string;
  topicId: string;
  partition: number;
  /** Of the topic. */
  partitions: number;
  retentionMs: number;
  retentionBytes: number;
  cleanup: string;
  durability: string;
  whenFull: string;
  logStart: number;
  highWatermark: number;
  /** Of its batches. */
  bytes: number;
  /** What is read of it is committed. */
  isCommitted?: boolean;
}

interface Summary {
  name: string;
  partitions: number;
  retentionMs: number;
  retentionBytes: number;
  cleanup: string;
  durability: string;
  whenFull: string;
}

interface Detail extends Summary {
  id: string;
  each: { partition: number; logStart: number; highWatermark: number; bytes: number }[];
}

/** All partitions of the topics that are named, or of all; only those of one number where it is given. */
export async function partsOf(daemon: Daemon, topics: readonly string[], partition?: number): Promise<Part[]> {
  const names = topics.length > 0 ? topics : (await daemon.getJson<Summary[]>('/topics')).map(({ name }) => name);
  const parts: Part[] = [];
  for (const name of names) {
    const { id, each, ...settings } = await daemon.getJson<Detail>(topicPath(name));
    const { partitions, retentionMs, retentionBytes, cleanup, durability, whenFull } = settings;
    const kept = { partitions, retentionMs, retentionBytes, cleanup, durability, whenFull };
    for (const one of each) {
      if (partition !== undefined && one.partition !== partition) continue;
      parts.push({ topic: name, topicId: id, ...kept, ...one });
    }
  }
  if (partition !== undefined && parts.length === 0) {
    throw new HeadwaterError('TOPIC_UNKNOWN', `no topic here has a partition ${partition}: they count from 0`);
  }
  return parts;
}

/** Batches that were checked, one after another; or what is wrong with these offsets. `to` is not included. */
export type Stretch = { from: number; to: number } & (
  { isSound: true; batches: Buffer; count: number; records: number } | { isSound: false; what: string }
);

interface Chunk {
  batches: Buffer;
  next: number;
}

/** Offsets that no batch has, between others that are there. */
export const MISSING = 'missing';
const CHUNK_BYTES = 1024 * 1024;

/**
 * All that a partition has from offset `from` up to `to`, in order: each batch is checked (its CRC, its records, that no
 * offset is missing), and what is damaged is told and passed over. `isCommitted`: without what was aborted, up to where
 * the oldest open transaction begins. Throws what the node answers to other faults.
 */
export async function* walkPart(
  daemon: Daemon,
  given: Part,
  from: number,
  to: number,
  isCommitted = false,
): AsyncGenerator<Stretch> {
  const part = { ...given, isCommitted };
  let next = from;
  while (next < to) {
    const chunk = await readOrSkip(daemon, part, next, to);
    if ('what' in chunk) {
      if (chunk.to > next) yield { isSound: false, from: next, ...chunk };
      next = chunk.to;
      continue;
    }
    // The topic was made anew meanwhile, and has less.
    if (chunk.batches.length === 0 && chunk.next <= next) return;
    for (const stretch of checkChunk(chunk, next)) {
      // What a damaged header says can be anything.
      if (!stretch.isSound) stretch.to = Math.min(to, Math.max(next + 1, stretch.to));
      next = stretch.to;
      yield stretch;
      // Where a batch begins that follows a damaged one is asked of the node.
      if (!stretch.isSound) break;
    }
  }
}

/** What is in batches that were read from offset `from` on, as far as the first that is not sound; `next` is their end. */
export function* checkChunk({ batches, next }: Chunk, from: number): Generator<Stretch> {
  let [position, at, count, records] = [0, from, 0, 0];
  const sound = (): Stretch => ({
    isSound: true,
    from,
    to: at,
    batches: batches.subarray(0, position),
    count,
    records,
  });
  while (position < batches.length) {
    const seen = look(batches, position);
    if ('what' in seen || seen.baseOffset > at) {
      if (count > 0) yield sound();
      if ('what' in seen) yield { isSound: false, from: at, to: seen.end ?? next, what: seen.what };
      else yield { isSound: false, from: at, to: seen.baseOffset, what: MISSING };
      return;
    }
    position += seen.size;
    at = seen.end;
    count += 1;
    records += seen.records;
  }
  if (count > 0) yield sound();
  if (at < next) yield { isSound: false, from: at, to: next, what: MISSING };
}

type Seen =
  { size: number; baseOffset: number; end: number; records: number } | { what: string; end: number | undefined };

function look(batches: Buffer, position: number): Seen {
  let end: number | undefined;
  try {
    const batch = batches.subarray(position, position + batchBytes(batches, position));
    const read = readBatchHeader(batch);
    const { baseOffset } = read;
    end = nextOffsetOf(read);
    const header = checkStoredBatch(batch);
    if (!isControl(header)) decodeRecords(batch);
    return { size: batch.length, baseOffset, end, records: isControl(header) ? 0 : header.recordCount };
  } catch (error) {
    return { what: messageOf(error), end };
  }
}

/** The batches from the one that holds `offset` on; or where those begin that can be read again. */
async function readOrSkip(
  daemon: Daemon,
  part: Part,
  offset: number,
  end: number,
): Promise<Chunk | { to: number; what: string }> {
  try {
    return await readChunk(daemon, part, offset, CHUNK_BYTES);
  } catch (cause) {
    if (isHeadwaterError(cause, 'OFFSET_OUT_OF_RANGE')) {
      // Retention has taken meanwhile what was to be read next: that is no damage.
      const [now] = await partsOf(daemon, [part.topic], part.partition);
      if (now !== undefined && now.logStart > offset) return { to: now.logStart, what: 'expired meanwhile' };
    }
    if (!isHeadwaterError(cause, 'STORE_CORRUPT')) throw cause;
    // What is damaged may be further on: alone the first batch can be good.
    const alone = await readIfSound(daemon, part, offset);
    return alone ?? { to: await firstSound(daemon, part, offset, end), what: messageOf(cause) };
  }
}

/** The first offset behind `offset` that can be read: by doubling steps, then by halves. */
async function firstSound(daemon: Daemon, part: Part, offset: number, end: number): Promise<number> {
  let [bad, good] = [offset, end];
  for (let step = 1; bad + step < end; step *= 2) {
    if ((await readIfSound(daemon, part, bad + step)) !== undefined) {
      good = bad + step;
      break;
    }
    bad += step;
  }
  while (good - bad > 1) {
    const middle = Math.floor((good + bad) / 2);
    if ((await readIfSound(daemon, part, middle)) === undefined) bad = middle;
    else good = middle;
  }
  return good;
}

async function readIfSound(daemon: Daemon, part: Part, offset: number): Promise<Chunk | undefined> {
  try {
    return await readChunk(daemon, part, offset, 1);
  } catch (error) {
    if (isHeadwaterError(error, 'STORE_CORRUPT')) return undefined;
    throw error;
  }
}

async function readChunk(daemon: Daemon, part: Part, offset: number, bytes: number): Promise<Chunk> {
  const path = `${topicPath(part.topic)}/partitions/${part.partition}/batches?offset=${offset}&bytes=${bytes}${part.isCommitted === true ? '&committed=1' : ''}`;
  const { headers, bytes: batches } = await daemon.get(path, 'application/octet-stream');
  return { batches, next: Number(headers['headwater-next-offset']) };
}

/** Bytes of all of them. */
export function totalOf(parts: readonly Part[]): number {
  return parts.reduce((total, { bytes }) => total + bytes, 0);
}
