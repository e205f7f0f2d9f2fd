// What a topic demands of records, and makes of them, on their way in (Kafka's compression.type, message.timestamp.* and
// max.message.bytes).

import { HeadwaterError } from '../errors.ts';
import { checkOneOf } from './cleanup.ts';

/**
 * `producer` keeps batches as they come; the others are what every batch becomes. Snappy and lz4 are read, and never
 * written, so a topic can't ask for them.
 */
export const TOPIC_COMPRESSIONS = ['producer', 'uncompressed', 'gzip', 'zstd'] as const;
export type TopicCompression = (typeof TOPIC_COMPRESSIONS)[number];

/** `LogAppendTime` gives each record the time of its commit in place of its own. */
export const TIMESTAMP_TYPES = ['CreateTime', 'LogAppendTime'] as const;
export type TimestampType = (typeof TIMESTAMP_TYPES)[number];

export interface RecordSettings {
  compression: TopicCompression;
  timestampType: TimestampType;
  /** A client's record may be so much older than the node's clock says, ms; -1 is no limit. Default -1. */
  timestampBeforeMs: number;
  /** And so much younger. Default -1: clocks of devices are often wrong, and a reading that is refused is gone. */
  timestampAfterMs: number;
  /** Largest batch of a client, bytes; -1: what the node allows. Default -1. */
  batchBytesMax: number;
}

export const DEFAULT_RECORD_SETTINGS: RecordSettings = {
  compression: 'producer',
  timestampType: 'CreateTime',
  timestampBeforeMs: -1,
  timestampAfterMs: -1,
  batchBytesMax: -1,
};

/**
 * What no topic and no node can exceed: Kafka's default for max.message.bytes, as a mirror's upstream takes no more, and as
 * the store looks for the blocks of a damaged table in stretches of twice that.
 */
export const BATCH_BYTES_MAX = 1024 * 1024 + 12;

/** Throws TOPIC_INVALID. */
export function checkRecordSettings(settings: RecordSettings): void {
  checkOneOf('compression', settings.compression, TOPIC_COMPRESSIONS);
  checkOneOf('timestampType', settings.timestampType, TIMESTAMP_TYPES);
  const { timestampBeforeMs, timestampAfterMs, batchBytesMax } = settings;
  for (const [what, value] of Object.entries({ timestampBeforeMs, timestampAfterMs })) {
    if (!Number.isSafeInteger(value) || value < -1) throw wrong(what, value, '-1 or more');
  }
  const isInBounds = batchBytesMax === -1 || (batchBytesMax >= 0 && batchBytesMax <= BATCH_BYTES_MAX);
  if (!Number.isSafeInteger(batchBytesMax) || !isInBounds) {
    throw wrong('batchBytesMax', batchBytesMax, `-1, or 0 to ${BATCH_BYTES_MAX}`);
  }
}

function wrong(what: string, value: number, instead: string): HeadwaterError {
  return new HeadwaterError('TOPIC_INVALID', `${what} ${value}: use ${instead}`);
}
