// What DescribeConfigs tells of this broker, under Kafka's names: what the configuration file sets, the defaults that topics
// go back to, and what is so of every headwater. Tools such as kafka-ui and AKHQ show these, and decide by some of them what
// they offer. All are read-only: clients can't change a file.

import { KAFKA_DEFAULTS, type KafkaNames } from '../config-kafka.ts';
import { DEFAULT_SETTINGS } from '../log/log.ts';
import type { Endpoint } from './handler.ts';
import { configsOf } from './topic-configs.ts';
import { CONFIG_SOURCE, CONFIG_TYPE, type ShownConfig } from './shown-config.ts';

/** A broker's names for what topics take from it. */
const NAMES_OF_DEFAULTS: ReadonlyMap<string, string> = new Map([
  ['cleanup.policy', 'log.cleanup.policy'],
  ['compression.type', 'compression.type'],
  ['delete.retention.ms', 'log.cleaner.delete.retention.ms'],
  ['max.compaction.lag.ms', 'log.cleaner.max.compaction.lag.ms'],
  ['max.message.bytes', 'message.max.bytes'],
  ['message.timestamp.after.max.ms', 'log.message.timestamp.after.max.ms'],
  ['message.timestamp.before.max.ms', 'log.message.timestamp.before.max.ms'],
  ['message.timestamp.type', 'log.message.timestamp.type'],
  ['min.cleanable.dirty.ratio', 'log.cleaner.min.cleanable.ratio'],
  ['min.compaction.lag.ms', 'log.cleaner.min.compaction.lag.ms'],
  ['min.insync.replicas', 'min.insync.replicas'],
  ['retention.bytes', 'log.retention.bytes'],
  ['retention.ms', 'log.retention.ms'],
]);

/** The settings of the file that are no int, by the type that Kafka gives them. */
const TYPES: Partial<Record<keyof KafkaNames, number>> = {
  'auto.create.topics.enable': CONFIG_TYPE.boolean,
  'connections.max.idle.ms': CONFIG_TYPE.long,
};

/** The release of Kafka whose brokers answer as this one does: kafka-ui takes from it what it may ask for. */
const PROTOCOL_VERSION = '3.9-IV0';

export function brokerConfigs(settings: Readonly<KafkaNames>, endpoint: Endpoint): ShownConfig[] {
  const listener = `PLAINTEXT://${endpoint.host}:${endpoint.port}`;
  return [...ofFile(settings), ...ofTopics(settings), ...always(settings, listener)].toSorted(byName);
}

function ofFile(settings: Readonly<KafkaNames>): ShownConfig[] {
  return (Object.keys(KAFKA_DEFAULTS) as (keyof KafkaNames)[])
    .filter((name) => name !== 'message.max.bytes')
    .map((name) => {
      const source = settings[name] === KAFKA_DEFAULTS[name] ? CONFIG_SOURCE.default : CONFIG_SOURCE.broker;
      return shown(name, String(settings[name]), TYPES[name] ?? CONFIG_TYPE.int, source);
    });
}

function ofTopics(settings: Readonly<KafkaNames>): ShownConfig[] {
  return configsOf(DEFAULT_SETTINGS, settings).flatMap(({ name, value, configType, configSource }) => {
    const ours = NAMES_OF_DEFAULTS.get(name);
    return ours === undefined ? [] : [shown(ours, value, configType, configSource)];
  });
}

function always(settings: Readonly<KafkaNames>, listener: string): ShownConfig[] {
  const rows: [name: string, value: string | null, configType: number][] = [
    ['advertised.listeners', listener, CONFIG_TYPE.list],
    ['broker.id', String(settings['node.id']), CONFIG_TYPE.int],
    ['broker.rack', null, CONFIG_TYPE.string],
    ['default.replication.factor', '1', CONFIG_TYPE.int],
    ['delete.topic.enable', 'true', CONFIG_TYPE.boolean],
    ['inter.broker.protocol.version', PROTOCOL_VERSION, CONFIG_TYPE.string],
    ['process.roles', 'broker,controller', CONFIG_TYPE.list],
    ['unclean.leader.election.enable', 'false', CONFIG_TYPE.boolean],
  ];
  return rows.map(([name, value, configType]) => shown(name, value, configType, CONFIG_SOURCE.default));
}

function shown(name: string, value: string | null, configType: number, configSource: number): ShownConfig {
  const synonyms = [{ name, value, source: configSource }];
  return { name, value, readOnly: true, configSource, isSensitive: false, configType, synonyms };
}

/** What a topic goes back to when its own value is taken away, under the broker's name for it. */
export function withSynonyms(configs: ShownConfig[], settings: Readonly<KafkaNames>): ShownConfig[] {
  const defaults = new Map(configsOf(DEFAULT_SETTINGS, settings).map((each) => [each.name, each]));
  return configs.map((config) => {
    const { name, value, configSource } = config;
    const own = configSource === CONFIG_SOURCE.topic ? [{ name, value, source: configSource }] : [];
    const fallback = defaults.get(name)!;
    const brokerName = NAMES_OF_DEFAULTS.get(name) ?? name;
    const below = { name: brokerName, value: fallback.value, source: fallback.configSource };
    return { ...config, synonyms: [...own, below] };
  });
}

function byName(a: ShownConfig, b: ShownConfig): number {
  return a.name < b.name ? -1 : 1;
}
