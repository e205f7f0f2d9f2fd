// Settings of the Kafka door that bear Kafka's own names and units, as they stand in a broker's server.properties.

import { byDefault, integer } from './config-setting.ts';

const MINUTES_MAX = 10 * 365 * 24 * 60;
const SESSION_MS_MAX = 24 * 3600_000;

export const kafkaNames = {
  'group.initial.rebalance.delay.ms': byDefault(
    integer(0, 300_000),
    3000,
    'How long an empty consumer group waits for more members after the first one, ms: without it, a group that starts ' +
      'is assigned anew with each member. Each further one makes it wait so long again.',
  ),
  'group.min.session.timeout.ms': byDefault(
    integer(1, SESSION_MS_MAX),
    6000,
    'The shortest session that a member of a group may ask for, ms.',
  ),
  'group.max.session.timeout.ms': byDefault(
    integer(1, SESSION_MS_MAX),
    1_800_000,
    'The longest one, ms. A member that is gone without a word keeps its partitions for its session.',
  ),
  'group.max.size': byDefault(
    integer(1, 10_000),
    1000,
    'Members of one group; more are refused. Each member of a large group makes each rebalance slower for all.',
  ),
  'offsets.retention.minutes': byDefault(
    integer(1, MINUTES_MAX),
    7 * 24 * 60,
    'How long the offsets of a group that nobody uses are kept, minutes. Only time while headwater runs counts, so ' +
      'that neither a card in a drawer nor a wrong clock loses them.',
  ),
};

/** The values of `kafkaNames` as they come out of the schema. */
export interface KafkaNames {
  'group.initial.rebalance.delay.ms': number;
  'group.min.session.timeout.ms': number;
  'group.max.session.timeout.ms': number;
  'group.max.size': number;
  'offsets.retention.minutes': number;
}

export interface GroupsConfig {
  initialRebalanceDelayMs: number;
  sessionTimeoutMsMin: number;
  sessionTimeoutMsMax: number;
  sizeMax: number;
  offsetsRetentionMs: number;
}

export function groupsConfig(given: KafkaNames): GroupsConfig {
  return {
    initialRebalanceDelayMs: given['group.initial.rebalance.delay.ms'],
    sessionTimeoutMsMin: given['group.min.session.timeout.ms'],
    sessionTimeoutMsMax: given['group.max.session.timeout.ms'],
    sizeMax: given['group.max.size'],
    offsetsRetentionMs: given['offsets.retention.minutes'] * 60_000,
  };
}
