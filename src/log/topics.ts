// Topic definitions. The log's partitions have numbers that are never used twice, so that the remains of a deleted topic
// can't be taken for a new one of the same name. Rows of the tables:
//   topic/<name>             -> JSON TopicRow
//   meta/next-partition      -> the next number, decimal
//   start/<partition, 8 hex> -> log start offset, decimal
//   end/<partition, 8 hex>   -> offset that the next record has at least: behind records that the card has lost

import { randomBytes } from 'node:crypto';
import { HeadwaterError } from '../errors.ts';
import type { Change, Tables } from '../store/store.ts';
import { checkCleanup, checkOneOf, DEFAULT_CLEANUP } from './cleanup.ts';
import { DURABILITIES } from './durability.ts';
import type { TopicSettings } from './log.ts';
import { WHEN_FULL } from './when-full.ts';
import { checkRecordSettings, DEFAULT_RECORD_SETTINGS } from './record-settings.ts';

export interface TopicRow {
  /** Hex of 16 bytes. */
  id: string;
  /** The store's number of each partition, in order of index. */
  partitions: number[];
  settings: TopicSettings;
}

export const DEFAULT_SETTINGS: TopicSettings = {
  ...DEFAULT_CLEANUP,
  ...DEFAULT_RECORD_SETTINGS,
  partitions: 1,
  durability: 'synced',
  whenFull: 'refuse',
};

/** Bound of a topic's partitions. */
export const PARTITIONS_MAX = 4096;
const NAME_LENGTH_MAX = 249;

export interface TopicRows {
  load(): Promise<Map<string, TopicRow>>;
  /** A new row with fresh numbers, and the changes that keep it. */
  define(name: string, settings: TopicSettings): { row: TopicRow; changes: Change[] };
  /** The same topic with other settings; more partitions get fresh numbers. */
  redefine(name: string, row: TopicRow, settings: TopicSettings): { row: TopicRow; changes: Change[] };
}

export async function openTopicRows(tables: Tables): Promise<TopicRows> {
  let nextPartition = Number((await tables.get('meta/next-partition'))?.toString() ?? 0);

  function numbers(count: number): number[] {
    return Array.from({ length: count }, () => nextPartition++);
  }

  function changesOf(name: string, row: TopicRow): Change[] {
    return [
      ['meta/next-partition', Buffer.from(String(nextPartition))],
      [`topic/${name}`, Buffer.from(JSON.stringify(row))],
    ];
  }

  return {
    async load() {
      const rows = new Map<string, TopicRow>();
      for await (const [key, value] of tables.entries('topic/')) {
        rows.set(key.slice('topic/'.length), JSON.parse(value.toString('utf8')) as TopicRow);
      }
      return rows;
    },
    define(name, settings) {
      const row = { id: randomBytes(16).toString('hex'), partitions: numbers(settings.partitions), settings };
      return { row, changes: changesOf(name, row) };
    },
    redefine(name, row, settings) {
      const more = numbers(Math.max(0, settings.partitions - row.partitions.length));
      const changed = { ...row, partitions: [...row.partitions, ...more], settings };
      return { row: changed, changes: changesOf(name, changed) };
    },
  };
}

/** Kafka's rule for names: letters, digits, `.`, `_`, `-`, at most 249 of them, not `.` or `..`. Throws TOPIC_INVALID. */
export function checkTopicName(name: string): void {
  const isLegal = /^[a-zA-Z0-9._-]+$/.test(name) && name.length <= NAME_LENGTH_MAX && name !== '.' && name !== '..';
  if (isLegal) return;
  const text = `topic name ${JSON.stringify(name.slice(0, NAME_LENGTH_MAX))}: use 1 to 249 of a-z A-Z 0-9 . _ -, and not . or ..`;
  throw new HeadwaterError('TOPIC_INVALID', text);
}

/** Throws TOPIC_INVALID for what can't be made. */
export function checkTopic(name: string, settings: TopicSettings): void {
  checkTopicName(name);
  checkSettings(settings);
}

/** Throws TOPIC_INVALID. */
export function checkSettings(settings: TopicSettings): void {
  const { partitions, durability, whenFull } = settings;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX) {
    throw new HeadwaterError('TOPIC_INVALID', `${partitions} partitions: use 1 to ${PARTITIONS_MAX}`);
  }
  checkOneOf('durability', durability, DURABILITIES);
  checkOneOf('whenFull', whenFull, WHEN_FULL);
  checkCleanup(settings);
  checkRecordSettings(settings);
}

export function endKey(partition: number): string {
  return `end/${partition.toString(16).padStart(8, '0')}`;
}

export function startKey(partition: number): string {
  return `start/${partition.toString(16).padStart(8, '0')}`;
}
