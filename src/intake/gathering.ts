// Gathering: for each partition the one batch that is open, between the first record that joins a commit and the moment
// the commit starts and takes the bytes. Everything that arrives in between shares one batch, one compression and one
// Commit object. A batch that is full is followed by another one in the same commit, in order.

import type { Clock } from '../clock.ts';
import { BATCH_HEADER_BYTES, BatchBuilder, stampBoot, type RecordHeader } from '../formats/batch.ts';
import { CLOCK_HEADER_BYTES_MAX, clockHeader } from '../formats/clock-header.ts';
import { partitionOfKey } from '../formats/murmur2.ts';
import { HeadwaterError } from '../errors.ts';
import type { BatchSource, Commit, Log, Partition, Topic } from '../log/log.ts';

/** One partition and its open batch, if records wait there. */
export interface Feeder {
  readonly partition: Partition;
  open: OpenBatch | undefined;
  /** Bytes of the last batch that was taken. */
  lastBytes: number;
}

export interface Gathering {
  /**
   * The feeder of a record's partition; the topic is made if there is none. Throws TOPIC_INVALID: the name is not
   * allowed, the topic has no such partition, or `topicsMax` topics exist and this would be one more.
   */
  feeder(topic: string, partition: number | undefined, key: Buffer | null): Feeder;
  /**
   * Adds a record, copied. Returns the commit it is part of. `isStamped`: the time is the clock's, and no one else's.
   * Throws RECORD_TOO_LARGE, LOG_CLOSED, LOG_FULL.
   */
  add(
    feeder: Feeder,
    timestampMs: number,
    isStamped: boolean,
    key: Buffer | null,
    value: Buffer | null,
    headers: RecordHeader[],
  ): Commit;
  /** Forgets topics that were deleted or made anew. True if there were any. */
  prune(): boolean;
}

export interface GatheringNeeds {
  log: Log;
  clock: Clock;
  batchBytesMax: number;
  topicsMax: number;
}

// A record's varints (length, attributes, timestamp, offset, two lengths, header count) take at most 41 bytes, the two
// lengths of a header 10, and UTF-8 at most three bytes for each UTF-16 unit of a string: `sizeOf` is never too small.
const RECORD_OVERHEAD_BYTES = 41;
const HEADER_OVERHEAD_BYTES = 10;
const UTF8_BYTES_MAX = 3;

// A batch is begun with as much memory as the last one of its partition needed, up to this.
const SIZE_HINT_MAX = 64 * 1024;

/** What records become that come one by one: the topic's own compression, or what is worth its while. */
const COMPRESSION = { producer: 'auto', uncompressed: 'none', gzip: 'gzip', zstd: 'zstd' } as const;

class OpenBatch implements BatchSource {
  readonly builder: BatchBuilder;
  readonly topic: Topic;
  /** The boot by whose time its records are stamped, while nobody knows a better one. */
  readonly boot: number | undefined;
  readonly onTake: (batch: OpenBatch) => void;
  commit: Commit | undefined;

  constructor(topic: Topic, sizeHint: number, boot: number | undefined, onTake: (batch: OpenBatch) => void) {
    this.topic = topic;
    this.builder = new BatchBuilder(sizeHint);
    this.boot = boot;
    this.onTake = onTake;
  }

  take(): Buffer {
    this.onTake(this);
    const batch = this.builder.build({ compression: COMPRESSION[this.topic.settings.compression] });
    if (this.boot !== undefined) stampBoot(batch, this.boot);
    return batch;
  }
}

export function createGathering(needs: GatheringNeeds): Gathering {
  const { log, clock, batchBytesMax, topicsMax } = needs;
  const feeders = new Map<string, { topic: Topic; feeders: Feeder[] }>();

  function feedersOf(name: string): Feeder[] {
    const known = feeders.get(name);
    if (known !== undefined) return known.feeders;
    if (log.topic(name) === undefined && log.topics().length >= topicsMax) {
      throw new HeadwaterError('TOPIC_INVALID', `topic ${name} is not made: there are ${topicsMax} topics already`);
    }
    const topic = log.ensureTopic(name);
    const made = topic.partitions.map((partition): Feeder => ({ partition, open: undefined, lastBytes: 0 }));
    feeders.set(name, { topic, feeders: made });
    return made;
  }

  function feeder(topic: string, partition: number | undefined, key: Buffer | null): Feeder {
    const all = feedersOf(topic);
    const index = partition ?? (key === null || all.length === 1 ? 0 : partitionOfKey(key, all.length));
    const found = all[index];
    if (found !== undefined) return found;
    throw new HeadwaterError('TOPIC_INVALID', `topic ${topic} has no partition ${index}, it has ${all.length}`);
  }

  function add(
    feeder: Feeder,
    timestampMs: number,
    isStamped: boolean,
    key: Buffer | null,
    value: Buffer | null,
    given: RecordHeader[],
  ): Commit {
    const doubt = isStamped ? clock.doubt : undefined;
    let headers = given;
    let size = sizeOf(key, value, headers);
    if (size + BATCH_HEADER_BYTES > batchBytesMax) throw tooLarge(feeder, size);
    // A record that has just room is not refused for the sake of a note.
    if (doubt !== undefined && size + CLOCK_HEADER_BYTES_MAX + BATCH_HEADER_BYTES <= batchBytesMax) {
      headers = [...given, clockHeader(doubt, timestampMs)];
      size += CLOCK_HEADER_BYTES_MAX;
    }
    let batch = feeder.open;
    if (batch === undefined || batch.boot !== doubt?.boot || batch.builder.bytes + size > batchBytesMax) {
      batch = openBatch(feeder, doubt?.boot);
    }
    const bytesBefore = batch.builder.bytes;
    batch.builder.add(timestampMs, key, value, headers);
    // A batch joins its commit with the first record in it: the commit may start, and take it, at any later turn.
    batch.commit ??= join(feeder, batch);
    batch.commit.grow(batch.builder.bytes - bytesBefore);
    return batch.commit;
  }

  function openBatch(feeder: Feeder, boot: number | undefined): OpenBatch {
    return new OpenBatch(feeder.partition.topic, Math.min(feeder.lastBytes, SIZE_HINT_MAX), boot, (batch) => {
      if (feeder.open === batch) feeder.open = undefined;
      feeder.lastBytes = batch.builder.bytes;
    });
  }

  /** If the log refuses, the batch and its one record are forgotten, and what was open stays so. */
  function join(feeder: Feeder, batch: OpenBatch): Commit {
    const commit = feeder.partition.gather(batch);
    feeder.open = batch;
    return commit;
  }

  function prune(): boolean {
    let isStale = false;
    for (const [name, { topic, feeders: list }] of feeders) {
      if (log.topic(name) === topic && topic.partitions.length === list.length) continue;
      feeders.delete(name);
      isStale = true;
    }
    return isStale;
  }

  function tooLarge(feeder: Feeder, size: number): HeadwaterError {
    const { topic } = feeder.partition;
    const text = `a record of ${size} bytes for topic ${topic.name} does not fit a batch of ${batchBytesMax}`;
    return new HeadwaterError('RECORD_TOO_LARGE', text);
  }

  return { feeder, add, prune };
}

/** An upper bound of the bytes that a record takes in a batch, before compression. */
function sizeOf(key: Buffer | null, value: Buffer | null, headers: RecordHeader[]): number {
  let size = RECORD_OVERHEAD_BYTES;
  if (key !== null) size += key.length;
  if (value !== null) size += value.length;
  for (const header of headers) {
    size += HEADER_OVERHEAD_BYTES + header.key.length * UTF8_BYTES_MAX + (header.value?.length ?? 0);
  }
  return size;
}
