// Kafka's names for the settings of a topic, and what headwater makes of them.

import {
  BATCH_BYTES_MAX,
  CLEANUPS,
  DEFAULT_SETTINGS,
  DURABILITIES,
  PINS,
  TIMESTAMP_TYPES,
  TOPIC_COMPRESSIONS,
  WHEN_FULL,
  type TopicSettings,
} from '../log/log.ts';
import { KAFKA_DEFAULTS, type KafkaNames } from '../config-kafka.ts';
import { CONFIG_SOURCE, CONFIG_TYPE, type ShownConfig } from './shown-config.ts';

/** Our own, as Kafka has no words for them. */
const DURABILITY = 'headwater.durability';
const PIN = 'headwater.pin';
const WHEN_FULL_NAME = 'headwater.when.full';
const INT64_MAX = '9223372036854775807';

/** Settings that Kafka's tools and clients give, and that change nothing here that a client could see. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'compression.gzip.level',
  'compression.lz4.level',
  'compression.zstd.level',
  'file.delete.delay.ms',
  'flush.messages',
  'flush.ms',
  'follower.replication.throttled.replicas',
  'index.interval.bytes',
  'leader.replication.throttled.replicas',
  'local.retention.bytes',
  'local.retention.ms',
  'min.insync.replicas',
  'preallocate',
  'segment.bytes',
  'segment.index.bytes',
  'segment.jitter.ms',
  'segment.ms',
  'unclean.leader.election.enable',
]);

const INSTEAD = 'zstd, gzip, uncompressed, or producer, which keeps what producers send';

/** How one setting is read and shown. */
interface Setting {
  configType: number;
  /** What takes it back to its default, where no value says that. */
  reset?: Partial<TopicSettings>;
  /** What changes, or the words for what was wrong. */
  read(value: string): Partial<TopicSettings> | string;
  show(settings: Readonly<TopicSettings>, broker: Readonly<KafkaNames>): string;
}

const SETTINGS: ReadonlyMap<string, Setting> = new Map([
  ['cleanup.policy', policy()],
  ['retention.ms', number('retentionMs', -1)],
  ['retention.bytes', number('retentionBytes', -1)],
  ['delete.retention.ms', number('deleteRetentionMs', 0)],
  ['min.compaction.lag.ms', number('compactionLagMinMs', 0)],
  ['max.compaction.lag.ms', unlimited('compactionLagMaxMs', 1)],
  ['min.cleanable.dirty.ratio', ratio()],
  ['compression.type', compression()],
  ['max.message.bytes', bytesMax()],
  ['message.timestamp.type', word('timestampType', TIMESTAMP_TYPES)],
  ['message.timestamp.before.max.ms', unlimited('timestampBeforeMs', 0)],
  ['message.timestamp.after.max.ms', unlimited('timestampAfterMs', 0)],
  [DURABILITY, word('durability', DURABILITIES)],
  [PIN, word('pin', PINS)],
  [WHEN_FULL_NAME, word('whenFull', WHEN_FULL)],
]);

const { partitions: _, ...defaults } = DEFAULT_SETTINGS;
/** The settings that clients can change, at their defaults. */
export const DEFAULT_CONFIGS: Partial<TopicSettings> = defaults;

function number(
  setting: 'retentionMs' | 'retentionBytes' | 'deleteRetentionMs' | 'compactionLagMinMs',
  least: number,
): Setting {
  return {
    configType: CONFIG_TYPE.long,
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
function unlimited(setting: 'compactionLagMaxMs' | 'timestampBeforeMs' | 'timestampAfterMs', least: number): Setting {
  return {
    configType: CONFIG_TYPE.long,
    read(value) {
      const given = wholeNumber(value, least);
      return given === undefined ? `is a whole number from ${least}` : { [setting]: given ?? -1 };
    },
    show: (settings) => (settings[setting] < 0 ? INT64_MAX : String(settings[setting])),
  };
}

function bytesMax(): Setting {
  return {
    configType: CONFIG_TYPE.int,
    reset: { batchBytesMax: -1 },
    read(value) {
      const given = wholeNumber(value, 0);
      const isInBounds = typeof given === 'number' && given <= BATCH_BYTES_MAX;
      return isInBounds ? { batchBytesMax: given } : `is a whole number from 0 to ${BATCH_BYTES_MAX} here`;
    },
    show: ({ batchBytesMax }, broker) => String(batchBytesMax < 0 ? broker['message.max.bytes'] : batchBytesMax),
  };
}

function compression(): Setting {
  const { read, ...rest } = word('compression', TOPIC_COMPRESSIONS);
  return {
    ...rest,
    read: (value) =>
      value === 'snappy' || value === 'lz4' ? `${value} is read here, and not written: use ${INSTEAD}` : read(value),
  };
}

/** Undefined when it is none, or below `least`; null when it is beyond what a number can hold. */
function wholeNumber(text: string, least: number): number | null | undefined {
  if (!/^-?\d+$/.test(text) || Number(text) < least) return undefined;
  return Number.isSafeInteger(Number(text)) ? Number(text) : null;
}

function ratio(): Setting {
  return {
    configType: CONFIG_TYPE.double,
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
    configType: CONFIG_TYPE.list,
    read(value) {
      const words = [...new Set(value.split(',').map((each) => each.trim()))].toSorted().join(',');
      const cleanup = CLEANUPS.find((each) => each === words);
      return cleanup === undefined ? 'is compact, delete, or both with a comma between' : { cleanup };
    },
    show: ({ cleanup }) => cleanup,
  };
}

function word(
  setting: 'durability' | 'pin' | 'whenFull' | 'compression' | 'timestampType',
  words: readonly string[],
): Setting {
  return {
    configType: CONFIG_TYPE.string,
    read: (value) => (words.includes(value) ? { [setting]: value } : `is one of ${words.join(', ')}`),
    show: (settings) => settings[setting],
  };
}

/** The default of one setting, or why there is none. */
export function defaultOf(name: string): Partial<TopicSettings> | string {
  const setting = SETTINGS.get(name);
  if (setting === undefined) return `${name}: a topic has no such setting`;
  return setting.reset ?? readOne(name, setting, setting.show(DEFAULT_SETTINGS, KAFKA_DEFAULTS));
}

/** The words of a setting that is a list, as they are; undefined when it is none. */
export function wordsOf(name: string, settings: Readonly<TopicSettings>): string[] | undefined {
  const setting = SETTINGS.get(name);
  if (setting?.configType !== CONFIG_TYPE.list) return undefined;
  return setting.show(settings, KAFKA_DEFAULTS).split(',');
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
    } else {
      return `${name}: a topic has no such setting`;
    }
  }
  return settings;
}

function readOne(name: string, setting: Setting, value: string): Partial<TopicSettings> | string {
  const read = setting.read(value);
  return typeof read === 'string' ? `${name} ${read}` : read;
}

/** The settings as Kafka's tools show them, each with one synonym: itself. */
export function configsOf(settings: Readonly<TopicSettings>, broker: Readonly<KafkaNames>): ShownConfig[] {
  const own = [...SETTINGS].map(([name, { configType, show }]) => {
    const value = show(settings, broker);
    if (value !== show(DEFAULT_SETTINGS, broker)) return shown(name, value, configType, CONFIG_SOURCE.topic, false);
    const isGiven = value !== show(DEFAULT_SETTINGS, KAFKA_DEFAULTS);
    return shown(name, value, configType, isGiven ? CONFIG_SOURCE.broker : CONFIG_SOURCE.default, false);
  });
  const always = ALWAYS.map(([name, value, configType]) => shown(name, value, configType, CONFIG_SOURCE.default, true));
  return [...own, ...always];
}

/** What is so of every topic here, whatever was asked for. */
const ALWAYS: readonly [name: string, value: string, configType: number][] = [
  ['min.insync.replicas', '1', CONFIG_TYPE.int],
  ['preallocate', 'false', CONFIG_TYPE.boolean],
  ['unclean.leader.election.enable', 'false', CONFIG_TYPE.boolean],
];

function shown(name: string, value: string, configType: number, configSource: number, readOnly: boolean): ShownConfig {
  const synonyms = [{ name, value, source: configSource }];
  return { name, value, readOnly, configSource, isSensitive: false, configType, synonyms };
}
