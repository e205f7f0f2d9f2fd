// Finds in the upstream's log what a producer id has left there, by the headers of batches alone: a broker stores
// producer id, epoch and sequence as they were sent. A fetch ends at what all replicas have, so what it finds is safe.

import { LATEST_TIMESTAMP, EARLIEST_TIMESTAMP } from '../formats/kafka/02-list-offsets.ts';
import { KafkaError } from '../formats/kafka/codes.ts';
import { nextOffsetOf, readBatchHeader, splitBatches } from '../formats/batch.ts';
import { unreachable } from './connection.ts';
import { refusalOf } from './outcomes.ts';
import { advance, distance, type Progress } from './progress.ts';
import type { Fetched, Upstream } from './upstream.ts';

export interface Place {
  leader: number;
  topic: string;
  partition: number;
}

export interface Found {
  /** Records beyond the settled point that are safe upstream. */
  count: number;
  /** The offset after the last of them; where the search began if there is none. */
  upstreamNext: number;
}

const FETCH_BYTES = 1024 * 1024;
const FETCH_BYTES_MAX = 16 * 1024 * 1024;
const PROBE_BYTES = 64 * 1024;

/**
 * Looks for the proof that at least `count` records beyond the settled point are safe: first at the one place where the
 * last of them lies if nobody else writes there, then everywhere after the settled point. Throws NOT_REACHABLE, UPSTREAM_REFUSED.
 */
export async function prove(upstream: Upstream, place: Place, progress: Progress, count: number): Promise<Found> {
  const { leader, topic, partition } = place;
  const nothing = { count: 0, upstreamNext: progress.upstreamOffset };
  const guess = progress.upstreamOffset + count - 1;
  const { errorCode, value } = await upstream.fetch(leader, topic, partition, guess, PROBE_BYTES);
  const found = errorCode === 0 ? search(value.records, progress, nothing) : nothing;
  return found.count >= count ? found : readBack(upstream, place, progress);
}

/** Looks through everything after the settled point, up to the present end. Throws NOT_REACHABLE, UPSTREAM_REFUSED. */
export async function readBack(upstream: Upstream, place: Place, progress: Progress): Promise<Found> {
  const { leader, topic, partition } = place;
  const end = await offsetAt(upstream, place, LATEST_TIMESTAMP);
  let offset = Math.max(progress.upstreamOffset, await offsetAt(upstream, place, EARLIEST_TIMESTAMP));
  let found: Found = { count: 0, upstreamNext: offset };
  let bytesMax = FETCH_BYTES;
  while (offset < end) {
    const { errorCode, value } = await upstream.fetch(leader, topic, partition, offset, bytesMax);
    if (errorCode !== KafkaError.NONE) throw refusalOf(errorCode, 'may not read it back');
    found = search(value.records, progress, found);
    const next = endOf(value);
    if (next > offset) {
      offset = next;
      continue;
    }
    // Not one whole batch: an old broker cuts even the first one at the limit.
    if (bytesMax >= FETCH_BYTES_MAX) throw unreachable(`${topic}/${partition}: no batch at ${offset} upstream`);
    bytesMax *= 4;
  }
  return found;
}

async function offsetAt(upstream: Upstream, place: Place, timestampMs: number): Promise<number> {
  const { leader, topic, partition } = place;
  const { errorCode, value } = await upstream.offsetAt(leader, topic, partition, timestampMs);
  if (errorCode !== KafkaError.NONE) throw refusalOf(errorCode, 'may not ask for its offsets');
  return value;
}

function search(records: Buffer, progress: Progress, before: Found): Found {
  let found = before;
  for (const batch of splitBatches(records)) {
    const header = readBatchHeader(batch);
    if (header.producerId !== progress.producerId || header.producerEpoch !== progress.producerEpoch) continue;
    const next = advance(header.baseSequence, header.lastOffsetDelta + 1);
    const count = distance(progress.sequence, next);
    if (count > found.count) found = { count, upstreamNext: nextOffsetOf(header) };
  }
  return found;
}

/** The offset after the last whole batch; -1 if there is none. */
function endOf({ records }: Fetched): number {
  const last = splitBatches(records).at(-1);
  if (last === undefined) return -1;
  const header = readBatchHeader(last);
  return nextOffsetOf(header);
}
