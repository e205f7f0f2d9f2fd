// The log's status as metrics.

import { counter, gauge, type Metric } from '../metrics.ts';
import type { Losses } from './gaps.ts';
import type { LogStatus } from './log.ts';

export function summaryOf({ gaps, forgotten, quarantine }: Losses): LogStatus['losses'] {
  return {
    gaps: gaps.length,
    records: gaps.reduce((sum, { records }) => sum + records, 0),
    forgotten,
    quarantineBytes: quarantine.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

export function metricsOf(status: LogStatus): Metric[] {
  const { commits, appended } = status;
  return [
    counter('log_appended_records_total', 'Records appended.', appended.records),
    counter('log_appended_bytes_total', 'Bytes of the batches appended, as stored.', appended.bytes),
    counter('log_read_bytes_total', 'Bytes of batches read by consumers and mirrors.', status.read.bytes),
    counter('log_commits_total', 'Synced group commits.', commits.count),
    counter('log_commit_seconds_total', 'Time spent in commits.', commits.seconds),
    gauge('log_commit_last_seconds', 'Time the last commit took.', commits.lastMs / 1000),
    gauge('log_commit_worst_seconds', 'Longest commit since the start.', commits.worstMs / 1000),
    gauge('log_commit_credits', 'Commits that may start at once.', status.credits),
    gauge('log_waiting_bytes', 'Bytes that wait for their commit.', status.waitingBytes),
    gauge('log_bytes', 'Bytes of all batches that can be read.', status.bytes),
    gauge('log_disk_bytes', 'Bytes of the data folder.', status.diskBytes),
    gauge('log_budget_bytes', 'Ceiling of the data folder.', status.budgetBytes),
    gauge('log_segments', 'Segments on the card.', status.segments),
    gauge('log_gaps', 'Ranges of offsets whose records the card has lost.', status.losses.gaps),
    gauge('log_gap_records', 'Offsets in these ranges.', status.losses.records),
    counter('log_scrubbed_bytes_total', 'Bytes read through slowly to find damage.', status.scrubbed.bytes),
    counter('log_scrub_damaged_segments_total', 'Segments found damaged by that.', status.scrubbed.damaged),
    gauge('log_quarantine_bytes', 'Bytes of damaged folders that were set aside.', status.losses.quarantineBytes),
    gauge('log_topics', 'Topics.', status.topics),
    gauge('log_partitions', 'Partitions.', status.partitions),
    gauge('log_up', '1 while the card takes writes.', status.state === 'ok' ? 1 : 0),
    counter(
      'log_dropped_unsent_bytes_total',
      'Bytes the budget removed before a mirror had sent them.',
      status.droppedUnsent.bytes,
    ),
  ];
}
