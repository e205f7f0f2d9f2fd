// What the groups tell of themselves: members, states, and how far they are behind, for the groups that are most.

import type { Log } from '../log/log.ts';
import { counter, gauge, type Metric } from '../metrics.ts';
import type { GroupSummary } from './groups.ts';
import type { Offsets } from './offsets.ts';

export interface GroupsStatus {
  groups: number;
  members: number;
  memberBytes: number;
  offsetBytes: number;
  /** Generations begun since the start. */
  rebalances: number;
  states: Record<string, number>;
  /** The groups that are furthest behind, at most a hundred. */
  lag: { group: string; records: number }[];
}

export interface Told {
  list: () => GroupSummary[];
  members: number;
  memberBytes: number;
  offsets: Offsets;
  rebalances: number;
  log: Log;
}

const LAGS_MAX = 100;

export function statusOf({ list, members, memberBytes, offsets, rebalances, log }: Told): GroupsStatus {
  const states: Record<string, number> = {};
  const summaries = list();
  for (const { state } of summaries) states[state] = (states[state] ?? 0) + 1;
  return {
    groups: summaries.length,
    members,
    memberBytes,
    offsetBytes: offsets.bytes(),
    rebalances,
    states,
    lag: lagsOf(offsets, log),
  };
}

/** Records behind what each group has committed, to the high watermark. */
function lagsOf(offsets: Offsets, log: Log): { group: string; records: number }[] {
  const lags: { group: string; records: number }[] = [];
  for (const { id } of offsets.all()) {
    let records = 0;
    for (const { topic, partition, offset } of offsets.committedBy(id)) {
      const found = log.topic(topic)?.partitions[partition];
      if (found !== undefined) records += Math.max(0, found.highWatermark - Math.max(offset, found.logStart));
    }
    lags.push({ group: id, records });
  }
  return lags.toSorted((a, b) => b.records - a.records).slice(0, LAGS_MAX);
}

export function metricsOf(told: Told): Metric[] {
  const { members, memberBytes, offsetBytes, rebalances, states, lag } = statusOf(told);
  const byState = Object.entries(states).map(([state, value]) => ({ labels: { state }, value }));
  const byGroup = lag.map(({ group, records }) => ({ labels: { group }, value: records }));
  return [
    gauge('groups', 'Consumer groups, by state.', byState),
    gauge('group_members', 'Members of all consumer groups, and ids given out.', members),
    gauge('group_member_bytes', 'Bytes kept for the members of all consumer groups.', memberBytes),
    gauge('group_offset_bytes', 'Bytes of the offsets that groups have committed.', offsetBytes),
    counter('group_rebalances_total', 'Generations of consumer groups begun.', rebalances),
    gauge('group_lag_records', 'Records that a group has not committed yet; the furthest behind only.', byGroup),
  ];
}
