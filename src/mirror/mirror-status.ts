// What a mirror says about itself.

import type { Partition } from '../log/log.ts';
import type { Stream } from './stream.ts';
import type { StreamStatus } from './stream-status.ts';
import type { UpstreamState } from './peers.ts';

export interface MirrorStatus {
  name: string;
  /** `down` or `refused` (its login) since `sinceMs`; `idle` means that all is upstream. Partitions that are refused say so themselves. */
  state: 'connecting' | 'streaming' | 'idle' | 'down' | 'refused';
  /** Wall time, ms. */
  sinceMs?: number;
  reason?: string;
  bootstrap: readonly string[];
  /**
   * Bytes are estimated from the share of records. `ageMs`: of the oldest unsent record, as far as it was read.
   * `removedRecords`: the log had to remove so many more between the position and its start; once the upstream is back, what
   * of them was not in memory is in `lost`.
   */
  backlog: { records: number; bytes: number; ageMs: number; removedRecords: number };
  sent: { records: number; bytes: number; batches: number };
  lastAckAgoMs?: number;
  errors: number;
  reconciliations: number;
  resentBatches: number;
  /** Records removed here before they were sent, and records that the upstream had acknowledged and lost. */
  lost: { gapRecords: number; upstreamRecords: number };
  partitions: StreamStatus[];
}

const MOVING: ReadonlySet<StreamStatus['state']> = new Set(['streaming', 'settling', 'waiting', 'held']);

export function stateOf(
  upstream: UpstreamState,
  partitions: readonly StreamStatus[],
): Pick<MirrorStatus, 'state' | 'sinceMs' | 'reason'> {
  if (upstream.downSinceMs !== undefined) {
    const state = upstream.isRefused ? 'refused' : 'down';
    return { state, sinceMs: upstream.downSinceMs, reason: upstream.lastError ?? 'no answer' };
  }
  if (!upstream.isUp) return { state: 'connecting' };
  const bad = partitions.find(({ state }) => state === 'refused' || state === 'stopped');
  const isMoving = partitions.some(({ state }) => MOVING.has(state));
  if (bad !== undefined && !isMoving) {
    return { state: 'refused', reason: `${bad.topic}/${bad.partition}: ${bad.reason ?? ''}` };
  }
  return { state: isMoving ? 'streaming' : 'idle' };
}

export function backlogOf(
  streams: ReadonlyMap<Partition, Stream>,
  partitions: readonly StreamStatus[],
  nowMs: number,
): MirrorStatus['backlog'] {
  let records = 0;
  let bytes = 0;
  let ageMs = 0;
  let removedRecords = 0;
  for (const [index, [partition, stream]] of [...streams].entries()) {
    const { position, end } = partitions[index]!;
    removedRecords += Math.max(0, partition.logStart - position);
    const unsent = end - Math.max(position, partition.logStart);
    const kept = end - partition.logStart;
    if (unsent <= 0) continue;
    records += unsent;
    bytes += Math.round((partition.bytes * unsent) / kept);
    ageMs = Math.max(ageMs, nowMs - (stream.oldestMs() ?? nowMs));
  }
  return { records, bytes, ageMs, removedRecords };
}
