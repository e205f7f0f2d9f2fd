// Settings of the Kafka door that bear Kafka's own names and units, as they stand in a broker's server.properties.

import { byDefault, flag, integer } from './config-setting.ts';

const MINUTES_MAX = 10 * 365 * 24 * 60;
const SESSION_MS_MAX = 24 * 3600_000;
const INT32_MAX = 2 ** 31 - 1;
/** The log's own bound of a batch, see log/record-settings.ts. */
const BATCH_BYTES_MAX = 1024 * 1024 + 12;
const DAY_MS = 24 * 3600_000;

/** What holds without a word in the file: Kafka's own defaults, but for `group.max.size`. */
export const KAFKA_DEFAULTS = {
  'node.id': 1,
  'auto.create.topics.enable': true,
  'num.partitions': 1,
  'message.max.bytes': BATCH_BYTES_MAX,
  'max.connections.per.ip': INT32_MAX,
  'connections.max.idle.ms': 600_000,
  'group.initial.rebalance.delay.ms': 3000,
  'group.min.session.timeout.ms': 6000,
  'group.max.session.timeout.ms': 1_800_000,
  'group.max.size': 1000,
  'group.consumer.session.timeout.ms': 45_000,
  'group.consumer.heartbeat.interval.ms': 5000,
  'offsets.retention.minutes': 7 * 24 * 60,
  'transaction.max.timeout.ms': 900_000,
  'transactional.id.expiration.ms': 7 * 24 * 3600_000,
};

export const kafkaNames = {
  'node.id': byDefault(
    integer(0, INT32_MAX),
    KAFKA_DEFAULTS['node.id'],
    'The number of this node among brokers. Only tools show it.',
  ),
  'auto.create.topics.enable': byDefault(
    flag,
    KAFKA_DEFAULTS['auto.create.topics.enable'],
    'Makes a topic that a Kafka client asks for and that is missing, if the client lets it. MQTT and serial ports make theirs ' +
      'in any case.',
  ),
  'num.partitions': byDefault(
    integer(1, 4096),
    KAFKA_DEFAULTS['num.partitions'],
    'Partitions of a topic that is made without a number, whoever makes it.',
  ),
  'message.max.bytes': byDefault(
    integer(1024, BATCH_BYTES_MAX),
    KAFKA_DEFAULTS['message.max.bytes'],
    'Largest batch that Kafka clients may write, as it is sent (compressed), bytes; a topic may have its own `max.message.bytes`. More is not to be had: a Kafka that topics are mirrored to takes no more either, unless it is told to.',
  ),
  'max.connections.per.ip': byDefault(
    integer(1, INT32_MAX),
    KAFKA_DEFAULTS['max.connections.per.ip'],
    'Connections from one address at a time; more are refused. Below `clients`, no single machine can take them all; but ' +
      'everybody behind one NAT or container bridge has one address.',
  ),
  'connections.max.idle.ms': byDefault(
    integer(1000, DAY_MS),
    KAFKA_DEFAULTS['connections.max.idle.ms'],
    'A connection on which nothing was asked for so long is closed, ms; clients come back when they have something to ask.',
  ),
  'group.initial.rebalance.delay.ms': byDefault(
    integer(0, 300_000),
    KAFKA_DEFAULTS['group.initial.rebalance.delay.ms'],
    'How long an empty consumer group waits for more members after the first one, ms: without it, a group that starts ' +
      'is assigned anew with each member. Each further one makes it wait so long again.',
  ),
  'group.min.session.timeout.ms': byDefault(
    integer(1, SESSION_MS_MAX),
    KAFKA_DEFAULTS['group.min.session.timeout.ms'],
    'The shortest session that a member of a group may ask for, ms.',
  ),
  'group.max.session.timeout.ms': byDefault(
    integer(1, SESSION_MS_MAX),
    KAFKA_DEFAULTS['group.max.session.timeout.ms'],
    'The longest one, ms. A member that is gone without a word keeps its partitions for its session.',
  ),
  'group.max.size': byDefault(
    integer(1, 10_000),
    KAFKA_DEFAULTS['group.max.size'],
    'Members of one group; more are refused. Each member of a large group makes each rebalance slower for all.',
  ),
  'group.consumer.session.timeout.ms': byDefault(
    integer(100, SESSION_MS_MAX),
    KAFKA_DEFAULTS['group.consumer.session.timeout.ms'],
    'The session of members with group.protocol=consumer, ms: there the node says, not the member.',
  ),
  'group.consumer.heartbeat.interval.ms': byDefault(
    integer(50, 3600_000),
    KAFKA_DEFAULTS['group.consumer.heartbeat.interval.ms'],
    'How often those members are to send a heartbeat, ms. A partition that changes hands takes up to two of them.',
  ),
  'offsets.retention.minutes': byDefault(
    integer(1, MINUTES_MAX),
    KAFKA_DEFAULTS['offsets.retention.minutes'],
    'How long the offsets of a group that nobody uses are kept, minutes. Only time while headwater runs counts, so ' +
      'that neither a card in a drawer nor a wrong clock loses them.',
  ),
  'transaction.max.timeout.ms': byDefault(
    integer(1, SESSION_MS_MAX),
    KAFKA_DEFAULTS['transaction.max.timeout.ms'],
    'The longest time that a transaction may ask to be open, ms. Readers of committed records wait at its beginning.',
  ),
  'transactional.id.expiration.ms': byDefault(
    integer(1, INT32_MAX),
    KAFKA_DEFAULTS['transactional.id.expiration.ms'],
    'How long a transactional id that nobody uses is remembered, ms. Only time while headwater runs counts, and it ' +
      'begins anew with each start.',
  ),
};

/** The values of `kafkaNames` as they come out of the schema. */
export type KafkaNames = {
  [Name in keyof typeof KAFKA_DEFAULTS]: (typeof KAFKA_DEFAULTS)[Name] extends boolean ? boolean : number;
};

/** Those of them that `given`, which may hold more, has. */
export function kafkaSettings(given: KafkaNames): KafkaNames {
  const names = Object.keys(KAFKA_DEFAULTS) as (keyof KafkaNames)[];
  return Object.fromEntries(names.map((name) => [name, given[name]])) as KafkaNames;
}

export interface GroupsConfig {
  initialRebalanceDelayMs: number;
  sessionTimeoutMsMin: number;
  sessionTimeoutMsMax: number;
  sizeMax: number;
  consumerSessionTimeoutMs: number;
  consumerHeartbeatIntervalMs: number;
  offsetsRetentionMs: number;
}

export function groupsConfig(given: KafkaNames): GroupsConfig {
  return {
    initialRebalanceDelayMs: given['group.initial.rebalance.delay.ms'],
    sessionTimeoutMsMin: given['group.min.session.timeout.ms'],
    sessionTimeoutMsMax: given['group.max.session.timeout.ms'],
    sizeMax: given['group.max.size'],
    consumerSessionTimeoutMs: given['group.consumer.session.timeout.ms'],
    consumerHeartbeatIntervalMs: given['group.consumer.heartbeat.interval.ms'],
    offsetsRetentionMs: given['offsets.retention.minutes'] * 60_000,
  };
}

export interface TransactionsConfig {
  timeoutMsMax: number;
  idExpirationMs: number;
}

export function transactionsConfig(given: KafkaNames): TransactionsConfig {
  return {
    timeoutMsMax: given['transaction.max.timeout.ms'],
    idExpirationMs: given['transactional.id.expiration.ms'],
  };
}
