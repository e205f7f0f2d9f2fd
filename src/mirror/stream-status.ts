// What one partition on its way upstream says about itself, and what all of a mirror count together.

/** When the upstream's topic is not the one the position belongs to: stop, or go on from the position, or from the log's start. */
export type RecreatedPolicy = 'stop' | 'continue' | 'restart';

/** `held`: what comes next was stamped while nobody knew the time, and waits for it. */
export type StreamState = 'idle' | 'streaming' | 'settling' | 'waiting' | 'held' | 'refused' | 'stopped';

/** Counted over all streams of a mirror. */
export interface Totals {
  records: number;
  bytes: number;
  batches: number;
  resentBatches: number;
  reconciliations: number;
  errors: number;
  /** Records that the log had to give up before they were sent. */
  gapRecords: number;
  /** Records that the upstream had acknowledged and lost, and that were gone here too. */
  lostRecords: number;
  lastAckMs: number | undefined;
}

export interface StreamStatus {
  topic: string;
  partition: number;
  upstreamTopic: string;
  upstreamPartition: number;
  state: StreamState;
  reason?: string;
  /** Next offset to send, and the end of the log. */
  position: number;
  end: number;
}

export function emptyTotals(): Totals {
  return {
    records: 0,
    bytes: 0,
    batches: 0,
    resentBatches: 0,
    reconciliations: 0,
    errors: 0,
    gapRecords: 0,
    lostRecords: 0,
    lastAckMs: undefined,
  };
}
