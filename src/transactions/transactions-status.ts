// What the coordinator tells of itself.

import { counter, gauge, type Metric } from '../metrics.ts';

export interface TransactionsStatus {
  /** Transactional ids that are known. */
  ids: number;
  /** Bytes of their marks. */
  bytes: number;
  /** Partitions and groups of all open transactions. */
  participants: number;
  /** Ids by state. */
  states: Record<string, number>;
  /** Since the start. `timedOut` are among the aborted; `hanging` were known to no coordinator. */
  committed: number;
  aborted: number;
  timedOut: number;
  hanging: number;
}

export function metricsOf(status: TransactionsStatus): Metric[] {
  const states = Object.entries(status.states).map(([state, value]) => ({ labels: { state }, value }));
  const ends = [
    { labels: { outcome: 'committed' }, value: status.committed },
    { labels: { outcome: 'aborted' }, value: status.aborted },
  ];
  return [
    gauge('transactional_ids', 'Transactional ids that are known, by state.', states),
    gauge('transactional_id_bytes', 'Bytes kept for transactional ids.', status.bytes),
    gauge('transaction_participants', 'Partitions and groups of open transactions.', status.participants),
    counter('transactions_total', 'Transactions that have ended.', ends),
    counter(
      'transactions_timed_out_total',
      'Transactions that were aborted because they took too long.',
      status.timedOut,
    ),
    counter('transactions_hanging_total', 'Transactions aborted that no coordinator knew.', status.hanging),
  ];
}
