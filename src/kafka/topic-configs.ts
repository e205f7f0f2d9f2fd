// Kafka's names for the settings of a topic, and what headwater makes of them.

import { BATCH_BYTES_MAX, CLEANUPS, DEFAULT_SETTINGS, DURABILITIES, PINS, type TopicSettings } from '../log/log.ts';

const CONFIG_SOURCE_TOPIC = 1;
const CONFIG_SOURCE_DEFAULT = 5;
/** Our own, as Kafka has no words for them. */
const DURABILITY = 'headwater.durability';
const PIN = 'headwater.pin';
const TIMESTAMP_TYPE = 'message.timestamp.type';
const TYPE_STRING = 2;
const TYPE_INT = 3;
const TYPE_LONG = 5;
const TYPE_DOUBLE = 6;
const TYPE_LIST = 7;
const INT64_MAX = '9223372036854775807';

export interface TopicConfig {
  name: string;
  value: string;
  readOnly: boolean;
  configSource: number;
  isSensitive: boolean;
  configType: number;
}

/** Settings that Kafka's tools and clients give, and that change nothing here that a client could see. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'compression.gzip.level',
  'compression.lz4.level',
  'compression.type',
  'compression.zstd.level',
  'file.delete.delay.ms',
  'flush.messages',
  'flush.ms',
  'follower.replication.throttled.replicas',
  'index.interval.bytes',
  'leader.replication.throttled.replicas',
  'local.retention.bytes',
  'local.retention.ms',
  'max.message.bytes',
  'message.timestamp.after.max.ms',
  'message.timestamp.before.max.ms',
  'min.insync.replicas',
  'preallocate',
  'segment.bytes',
  'segment.index.bytes',
  'segment.jitter.ms',
  'segment.ms',
  'unclean.leader.election.enable',
]);

/** Bound of a topic's partitions. */
export const PARTITIONS_MAX = 4096;

/** How one setting is read and shown. */
interface Setting {
  configType: number;
  /** What changes, or the words for what was wrong. */
  read(value: string): Partial<TopicSettings> | string;
  show(settings: Readonly<TopicSettings>): string;
}

const SETTINGS: ReadonlyMap<string, Setting> = new Map([
  ['cleanup.policy', policy()],
  ['retention.ms', number('retentionMs', -1)],
  ['retention.bytes', number('retentionBytes', -1)],
  ['delete.retention.ms', number('deleteRetentionMs', 0)],
  ['min.compaction.lag.ms', number('compactionLagMinMs', 0)],
  ['max.compaction.lag.ms', lagMax()],
  ['min.cleanable.dirty.ratio', ratio()],
  [DURABILITY, word('durability', DURABILITIES)],
  [PIN, word('pin', PINS)],
]);

const { partitions: _, ...defaults } = DEFAULT_SETTINGS;
/** The settings that clients can change, at their defaults. */
export const DEFAULT_CONFIGS: Partial<TopicSettings> = defaults;

function number(
  setting: 'retentionMs' | 'retentionBytes' | 'deleteRetentionMs' | 'compactionLagMinMs',
  least: number,
): Setting {
  return {
    configType: TYPE_LONG,
    read(value) {
      const given = wholeNumber(value, least);
      // Kafka's largest int64 is a usual way to say "for ever".
      const forEver = least < 0 ? -1 : Number.MAX_SAFE_INTEGER;
      return given === undefined ? `is a whole number from ${least}` : { [setting]: given ?? forEver };
    },
    show: (settings) => String(settings[setting]),
  };
}

/** Kafka has no word for "no limit" here but its largest number. */
function lagMax(): Setting {
  return {
    configType: TYPE_LONG,
    read(value) {
      const given = wholeNumber(value, 1);
      return given === undefined ? 'is a whole number from 1' : { compactionLagMaxMs: given ?? -1 };
    },
    show: ({ compactionLagMaxMs }) => (compactionLagMaxMs < 0 ? INT64_MAX : String(compactionLagMaxMs)),
  };
}

/** Undefined when it is none, or below `least`; null when it is beyond what a number can hold. */
function wholeNumber(text: string, least: number): number | null | undefined {
  if (!/^-?\d+$/.test(text) || Number(text) < least) return undefined;
  return Number.isSafeInteger(Number(text)) ? Number(text) : null;
}

function ratio(): Setting {
  return {
    configType: TYPE_DOUBLE,
    read(value) {
      const dirtyRatioMin = value.trim() === '' ? NaN : Number(value);
      return dirtyRatioMin >= 0 && dirtyRatioMin <= 1 ? { dirtyRatioMin } : 'is a number from 0 to 1';
    },
    show: ({ dirtyRatioMin }) => String(dirtyRatioMin),
  };
}

/** A list of words, in any order. */
function policy(): Setting {
  return {
    configType: TYPE_LIST,
    read(value) {
      const words = [...new Set(value.split(',').map((each) => each.trim()))].toSorted().join(',');
      const cleanup = CLEANUPS.find((each) => each === words);
      return cleanup === undefined ? 'is compact, delete, or both with a comma between' : { cleanup };
    },
    show: ({ cleanup }) => cleanup,
  };
}

function word(setting: 'durability' | 'pin', words: readonly string[]): Setting {
  return {
    configType: TYPE_STRING,
    read: (value) => (words.includes(value) ? { [setting]: value } : `is one of ${words.join(', ')}`),
    show: (settings) => settings[setting],
  };
}

/** The default of one setting, or why there is none. */
export function defaultOf(name: string): Partial<TopicSettings> | string {
  const setting = SETTINGS.get(name);
  if (setting !== undefined) return readOne(name, setting, setting.show(DEFAULT_SETTINGS));
  return name === TIMESTAMP_TYPE ? {} : 'a topic has no such setting';
}

export function namesWithoutEffect(configs: readonly { name: string }[]): string[] {
  return configs.map(({ name }) => name).filter((name) => WITHOUT_EFFECT.has(name));
}

/** The settings, or what is wrong with them. */
export function readConfigs(
  configs: readonly { name: string; value: string | null }[],
): Partial<TopicSettings> | string {
  let settings: Partial<TopicSettings> = {};
  for (const { name, value } of configs) {
    if (WITHOUT_EFFECT.has(name)) continue;
    const setting = SETTINGS.get(name);
    if (setting !== undefined) {
      const read = readOne(name, setting, value ?? '');
      if (typeof read === 'string') return read;
      settings = { ...settings, ...read };
    } else if (name === TIMESTAMP_TYPE) {
      if (value !== 'CreateTime') return `${TIMESTAMP_TYPE}: only CreateTime is served`;
    } else {
      return 'a topic has no such setting';
    }
  }
  return settings;
}

function readOne(name: string, setting: Setting, value: string): Partial<TopicSettings> | string {
  const read = setting.read(value);
  return typeof read === 'string' ? `${name} ${read}` : read;
}

/** The settings as Kafka's tools show them. */
export function configsOf(settings: Readonly<TopicSettings>): TopicConfig[] {
  const own = [...SETTINGS].map(([name, { configType, show }]) => {
    const value = show(settings);
    const isDefault = value === show(DEFAULT_SETTINGS);
    const configSource = isDefault ? CONFIG_SOURCE_DEFAULT : CONFIG_SOURCE_TOPIC;
    return { name, value, readOnly: false, configSource, isSensitive: false, configType };
  });
  return [
    ...own,
    fixedConfig('compression.type', 'producer', TYPE_STRING),
    fixedConfig('max.message.bytes', String(BATCH_BYTES_MAX), TYPE_INT),
    fixedConfig(TIMESTAMP_TYPE, 'CreateTime', TYPE_STRING),
    fixedConfig('min.insync.replicas', '1', TYPE_INT),
  ];
}

/** What is told of the broker. */
export function brokerConfigs(nodeId: number): TopicConfig[] {
  return [fixedConfig('node.id', String(nodeId), TYPE_STRING)];
}

function fixedConfig(name: string, value: string, configType: number): TopicConfig {
  return { name, value, readOnly: true, configSource: CONFIG_SOURCE_DEFAULT, isSensitive: false, configType };
}
