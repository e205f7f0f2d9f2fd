// The mirrors' figures for /metrics.

import { counter, gauge, type Metric, type Sample } from '../metrics.ts';
import type { MirrorStatus } from './mirror-status.ts';

export function mirrorMetrics(mirrors: readonly MirrorStatus[]): Metric[] {
  const of = (value: (mirror: MirrorStatus) => number): Sample[] =>
    mirrors.map((mirror) => ({ labels: { mirror: mirror.name }, value: value(mirror) }));
  return [
    gauge(
      'mirror_up',
      '1 while the upstream answers.',
      of((mirror) => (isUp(mirror) ? 1 : 0)),
    ),
    gauge(
      'mirror_backlog_records',
      'Records not yet upstream.',
      of(({ backlog }) => backlog.records),
    ),
    gauge(
      'mirror_backlog_bytes',
      'Stored bytes not yet upstream, estimated.',
      of(({ backlog }) => backlog.bytes),
    ),
    gauge(
      'mirror_backlog_age_seconds',
      'Age of the oldest unsent record.',
      of(({ backlog }) => backlog.ageMs / 1000),
    ),
    gauge('mirror_stopped_partitions', 'Partitions that the upstream refuses.', of(stoppedPartitions)),
    counter(
      'mirror_sent_records_total',
      'Records acknowledged upstream.',
      of(({ sent }) => sent.records),
    ),
    counter(
      'mirror_sent_bytes_total',
      'Bytes of batches acknowledged upstream.',
      of(({ sent }) => sent.bytes),
    ),
    counter(
      'mirror_sent_batches_total',
      'Batches acknowledged upstream.',
      of(({ sent }) => sent.batches),
    ),
    counter(
      'mirror_resent_batches_total',
      'Batches sent again.',
      of((mirror) => mirror.resentBatches),
    ),
    counter(
      'mirror_reconciliations_total',
      'Times the upstream was asked.',
      of((mirror) => mirror.reconciliations),
    ),
    counter(
      'mirror_errors_total',
      'Answers that were errors, and missing ones.',
      of((mirror) => mirror.errors),
    ),
    counter(
      'mirror_gap_records_total',
      'Records removed here before they were sent.',
      of(({ lost }) => lost.gapRecords),
    ),
    counter(
      'mirror_upstream_lost_records_total',
      'Acknowledged, then lost upstream.',
      of(({ lost }) => lost.upstreamRecords),
    ),
  ];
}

function isUp({ state, sinceMs }: MirrorStatus): boolean {
  return state !== 'connecting' && sinceMs === undefined;
}

function stoppedPartitions({ partitions }: MirrorStatus): number {
  return partitions.filter(({ state }) => state === 'refused' || state === 'stopped').length;
}
