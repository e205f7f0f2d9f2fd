// Kafka's names for the settings of a topic, and what headwater makes of them.

import { DEFAULT_SETTINGS, DURABILITIES, type TopicSettings } from '../log/log.ts';

const CONFIG_SOURCE_TOPIC = 1;
const CONFIG_SOURCE_DEFAULT = 5;
/** Our own, as Kafka has no word for it. */
const DURABILITY = 'headwater.durability';
const TYPE_LONG = 5;
const TYPE_LIST = 7;
const TYPE_STRING = 2;

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
  'delete.retention.ms',
  'file.delete.delay.ms',
  'flush.messages',
  'flush.ms',
  'follower.replication.throttled.replicas',
  'index.interval.bytes',
  'leader.replication.throttled.replicas',
  'local.retention.bytes',
  'local.retention.ms',
  'max.compaction.lag.ms',
  'max.message.bytes',
  'message.timestamp.after.max.ms',
  'message.timestamp.before.max.ms',
  'min.cleanable.dirty.ratio',
  'min.compaction.lag.ms',
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

const NAMES = {
  'retention.ms': 'retentionMs',
  'retention.bytes': 'retentionBytes',
  [DURABILITY]: 'durability',
} as const;

const { retentionMs, retentionBytes, durability } = DEFAULT_SETTINGS;
/** The settings that clients can change, at their defaults. */
export const DEFAULT_CONFIGS = { retentionMs, retentionBytes, durability };

/** The default of one setting, or why there is none. */
export function defaultOf(name: string): Partial<TopicSettings> | string {
  const setting = NAMES[name as keyof typeof NAMES] as keyof typeof DEFAULT_CONFIGS | undefined;
  if (setting !== undefined) return { [setting]: DEFAULT_CONFIGS[setting] };
  return FIXED.has(name) ? {} : 'a topic has no such setting';
}

export function namesWithoutEffect(configs: readonly { name: string }[]): string[] {
  return configs.map(({ name }) => name).filter((name) => WITHOUT_EFFECT.has(name));
}

/** The settings, or what is wrong with them. */
export function readConfigs(
  configs: readonly { name: string; value: string | null }[],
): Partial<TopicSettings> | string {
  const settings: Partial<TopicSettings> = {};
  for (const { name, value } of configs) {
    if (WITHOUT_EFFECT.has(name)) continue;
    if (name === 'retention.ms' || name === 'retention.bytes') {
      const number = value === null ? NaN : Number(value);
      // Kafka's largest int64 is a usual way to say "for ever".
      if (!(number >= -1) || !/^-?\d+$/.test(value ?? '')) return `${name} is a whole number from -1`;
      settings[name === 'retention.ms' ? 'retentionMs' : 'retentionBytes'] = Number.isSafeInteger(number) ? number : -1;
    } else if (name === DURABILITY) {
      const durability = DURABILITIES.find((each) => each === value);
      if (durability === undefined) return `${DURABILITY} is one of ${DURABILITIES.join(', ')}`;
      settings.durability = durability;
    } else if (name === 'cleanup.policy') {
      if (value !== 'delete') return 'cleanup.policy: only delete is served';
    } else if (name === 'message.timestamp.type') {
      if (value !== 'CreateTime') return 'message.timestamp.type: only CreateTime is served';
    } else {
      return 'a topic has no such setting';
    }
  }
  return settings;
}

/** Those that have one value here. */
const FIXED: ReadonlySet<string> = new Set(['cleanup.policy', 'message.timestamp.type']);

/** The settings as Kafka's tools show them. */
export function configsOf({ retentionMs, retentionBytes, durability }: Readonly<TopicSettings>): TopicConfig[] {
  return [
    ownConfig('retention.ms', retentionMs),
    ownConfig('retention.bytes', retentionBytes),
    ownConfig(DURABILITY, durability, TYPE_STRING),
    fixedConfig('cleanup.policy', 'delete', TYPE_LIST),
    fixedConfig('compression.type', 'producer', TYPE_STRING),
    fixedConfig('message.timestamp.type', 'CreateTime', TYPE_STRING),
  ];
}

/** What is told of the broker. */
export function brokerConfigs(nodeId: number): TopicConfig[] {
  return [fixedConfig('node.id', String(nodeId), TYPE_STRING)];
}

function ownConfig(name: string, value: number | string, configType: number = TYPE_LONG): TopicConfig {
  const configSource = CONFIG_SOURCE_TOPIC;
  return { name, value: String(value), readOnly: false, configSource, isSensitive: false, configType };
}

function fixedConfig(name: string, value: string, configType: number): TopicConfig {
  return { name, value, readOnly: true, configSource: CONFIG_SOURCE_DEFAULT, isSensitive: false, configType };
}
