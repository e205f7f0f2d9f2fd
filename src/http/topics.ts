// Topics over REST: list, describe, create, change, delete.
//
//   GET    /topics          [{name, partitions, records, bytes, retentionMs, cleanup, and all other TopicSettings}]
//   POST   /topics          {"name": "readings", "partitions": 4, "retentionMs": 604800000, "retentionBytes": -1}
//   GET    /topics/:topic   the same and one entry for each partition
//   POST   /topics/:topic   {"whenFull": "drop-oldest"}: what is named changes, on return it is on the card
//   DELETE /topics/:topic   on return the topic is gone

import { HeadwaterError } from '../errors.ts';
import {
  CLEANUPS,
  DEFAULT_SETTINGS,
  DURABILITIES,
  PINS,
  WHEN_FULL,
  TIMESTAMP_TYPES,
  TOPIC_COMPRESSIONS,
  type Log,
  type Topic,
  type TopicSettings,
} from '../log/log.ts';
import { json, readValues, type Answer, type Exchange } from './exchange.ts';

export interface TopicSummary extends TopicSettings {
  name: string;
  records: number;
  bytes: number;
}

export interface TopicDetail extends TopicSummary {
  /** 32 hex digits, new for each creation. */
  id: string;
  each: { partition: number; logStart: number; highWatermark: number; bytes: number }[];
}

const WORDS = {
  durability: DURABILITIES,
  cleanup: CLEANUPS,
  pin: PINS,
  whenFull: WHEN_FULL,
  compression: TOPIC_COMPRESSIONS,
  timestampType: TIMESTAMP_TYPES,
} as const;
const NUMBERS = Object.keys(DEFAULT_SETTINGS).filter((name) => !(name in WORDS));

export function listTopics(log: Log): Answer {
  return json(200, log.topics().map(summarize));
}

export function describeTopic(log: Log, { params }: Exchange): Answer {
  const topic = findTopic(log, params.get('topic'));
  const each = topic.partitions.map(({ index, logStart, highWatermark, bytes }) => {
    return { partition: index, logStart, highWatermark, bytes };
  });
  return json(200, { ...summarize(topic), id: topic.id.toString('hex'), each } satisfies TopicDetail);
}

export async function createTopic(log: Log, { request }: Exchange): Promise<Answer> {
  const { name, ...fields } = await readFields(request);
  if (typeof name !== 'string') throw new HeadwaterError('USAGE', 'a topic needs a name');
  return json(201, summarize(await log.createTopic(name, settingsIn(fields))));
}

export async function alterTopic(log: Log, { params, request }: Exchange): Promise<Answer> {
  const topic = findTopic(log, params.get('topic'));
  await log.alterTopic(topic.name, settingsIn(await readFields(request)));
  return json(200, summarize(topic));
}

async function readFields(request: Exchange['request']): Promise<Record<string, unknown>> {
  const [value] = await readValues(request);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function settingsIn(fields: Record<string, unknown>): Partial<TopicSettings> {
  const settings: Record<string, number | string> = {};
  for (const [field, given] of Object.entries(fields)) {
    if (!isSetting(field, given)) {
      const words = Object.entries(WORDS).map(([setting, each]) => `${setting}: ${each.join(' or ')}`);
      const all = `the numbers ${NUMBERS.join(', ')}, and ${words.join('; ')}`;
      throw new HeadwaterError('USAGE', `a topic has ${all}; not ${field}: ${JSON.stringify(given)}`);
    }
    settings[field] = given;
  }
  return settings;
}

/** What the number or word may be is the log's to say. */
function isSetting(field: string, given: unknown): given is number | string {
  if (NUMBERS.includes(field)) return typeof given === 'number';
  return (
    typeof given === 'string' &&
    (WORDS[field as keyof typeof WORDS] as readonly string[] | undefined)?.includes(given) === true
  );
}

export async function deleteTopic(log: Log, { params }: Exchange): Promise<Answer> {
  const { name } = findTopic(log, params.get('topic'));
  await log.deleteTopic(name);
  return json(200, { deleted: name });
}

/** Throws TOPIC_UNKNOWN. */
export function findTopic(log: Log, name = ''): Topic {
  const topic = log.topic(name);
  if (topic === undefined) throw new HeadwaterError('TOPIC_UNKNOWN', `there is no topic ${JSON.stringify(name)}`);
  return topic;
}

function summarize({ name, settings, partitions }: Topic): TopicSummary {
  let records = 0;
  let bytes = 0;
  for (const partition of partitions) {
    records += partition.highWatermark - partition.logStart;
    bytes += partition.bytes;
  }
  return { ...settings, name, partitions: partitions.length, records, bytes };
}
