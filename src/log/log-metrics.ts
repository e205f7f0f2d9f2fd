// The log's status as metrics.

import { counter, gauge, type Metric } from '../metrics.ts';
import type { LogStatus } from './log-status.ts';

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
    gauge(
      'log_room_bytes',
      'Bytes that records may still take before publishers are held back.',
      status.room.leftBytes,
    ),
    gauge('log_kept_bytes', 'Bytes of records that may not go when room is short.', status.room.keptBytes),
    gauge('log_owed_bytes', 'Bytes of records that a mirror has not sent.', status.room.owedBytes),
    gauge('log_ballast_bytes', 'Bytes kept back for a full disk.', status.room.ballastBytes),
    ...outlook(
      'log_full_seconds',
      'Time until publishers are held back, at the present pace.',
      status.room.fullSeconds,
    ),
    ...outlook('log_drain_seconds', 'Time until mirrors have sent all, at the present pace.', status.room.drainSeconds),
    gauge('log_read_only', '1 while others have filled the disk.', status.state === 'read-only' ? 1 : 0),
    gauge('log_full', '1 while the budget is reached and publishers are held back.', status.state === 'full' ? 1 : 0),
    gauge(
      'log_dropped_bytes',
      'Bytes the budget has dropped of topics with whenFull drop-oldest.',
      status.dropped.bytes,
    ),
    gauge('log_dropped_records', 'Offsets of these.', status.dropped.records),
    gauge('log_segments', 'Segments on the card.', status.segments),
    gauge('log_gaps', 'Ranges of offsets whose records the card has lost.', status.losses.gaps),
    gauge('log_gap_records', 'Offsets in these ranges.', status.losses.records),
    counter('log_scrubbed_bytes_total', 'Bytes read through slowly to find damage.', status.scrubbed.bytes),
    counter('log_scrub_damaged_segments_total', 'Segments found damaged by that.', status.scrubbed.damaged),
    counter(
      'log_cleaned_segments_total',
      'Sealed segments of which the rest was written anew.',
      status.cleaned.segments,
    ),
    counter('log_cleaned_freed_bytes_total', 'Bytes on the card that came free by it.', status.cleaned.freedBytes),
    counter('log_cleaned_written_bytes_total', 'Bytes of batches written again for it.', status.cleaned.writtenBytes),
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

/** A gauge that is not there while nobody can tell. */
function outlook(name: string, help: string, value: number | undefined): Metric[] {
  return value === undefined ? [] : [gauge(name, help, value)];
}
