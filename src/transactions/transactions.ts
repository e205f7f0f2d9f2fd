// The coordinator of Kafka's transactions: who may write under a transactional id, which partitions and groups its open
// transaction has, and its end. State is one mark of the log for each id (marks.ts), so whatever a request changes is atomic
// with records: the end of a transaction is its markers in all partitions, the offsets of its groups and the coordinator's
// own state in one commit. A crash leaves all of it or nothing, and nothing is ever half-way.
//
// An answer to InitProducerId, TxnOffsetCommit and EndTxn is on the card. What AddPartitionsToTxn and AddOffsetsToTxn say is
// there no later than the first batch or offset that needs it: their marks wait for the commit of that.
//
// Bounds, and what happens at them: bytes of all marks -> the id that was silent longest is forgotten, as after its
// expiration; partitions and groups of all open transactions, and aborted transactions in the log ->
// CONCURRENT_TRANSACTIONS, with which clients try again.

import type { Clock } from '../clock.ts';
import { KafkaError } from '../formats/kafka/codes.ts';
import type { Commit, Log, Partition, Topic } from '../log/log.ts';
import type { Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { createDeadlines } from './deadlines.ts';
import { abortHanging, endHanging } from './hanging.ts';
import { decodeTransaction, encodeTransaction, idOf, TRANSACTION, transactionKey, type Stored } from './marks.ts';
import { identityFault, sizeOf, step } from './state.ts';
import type { Ending, Input, Phase, ProducerIdentity, Step, Transaction } from './state.ts';
import { metricsOf, type TransactionsStatus } from './transactions-status.ts';

export type { Phase, ProducerIdentity } from './state.ts';
export type { TransactionsStatus } from './transactions-status.ts';

export interface TransactionSettings {
  /** transaction.max.timeout.ms */
  timeoutMsMax: number;
  /** transactional.id.expiration.ms: how long an id without an open transaction is remembered. */
  idExpirationMs: number;
}

export const DEFAULT_TRANSACTION_SETTINGS: Readonly<TransactionSettings> = {
  timeoutMsMax: 15 * 60_000,
  idExpirationMs: 7 * 24 * 3600_000,
};

export interface TransactionLimits {
  /** Of all marks. */
  bytesMax: number;
  /** Partitions and groups of all open transactions. */
  participantsMax: number;
  /** Aborted transactions that lie in the log, counted by partition. */
  abortedMax: number;
}

export const DEFAULT_TRANSACTION_LIMITS: Readonly<TransactionLimits> = {
  bytesMax: 4 * 1024 * 1024,
  participantsMax: 8000,
  abortedMax: 50_000,
};

/** Offsets that wait for the end of their transaction, which the groups keep. */
export interface StagedOffsets {
  /** In the commit that is being gathered: they count, or are gone. Throws LOG_CLOSED. */
  settle(producerId: number, isCommit: boolean): void;
  /** Producers that have some. */
  producers(): number[];
}

export interface TransactionsNeeds {
  log: Log;
  offsets: StagedOffsets;
  clock: Clock;
  trace: Trace;
  settings?: Partial<TransactionSettings>;
  limits?: Partial<TransactionLimits>;
}

export interface Speaker extends ProducerIdentity {
  transactionalId: string;
}

export interface TransactionSummary extends ProducerIdentity {
  transactionalId: string;
  state: Phase;
  timeoutMs: number;
  /** Wall clock, ms; -1 when none is open. */
  startedMs: number;
  /** How long it is open, ms; -1 when none is. */
  openMs: number;
  topics: { topic: string; partitions: number[] }[];
  groups: string[];
}

export interface Transactions {
  /**
   * Makes the caller the producer of the id: on return whoever was it before is fenced, its open transaction is aborted,
   * and all of that is on the card. `present`: what the producer was, if it goes on after an error. Throws LOG_CLOSED.
   */
  init(
    transactionalId: string,
    timeoutMs: number,
    present?: ProducerIdentity,
  ): Promise<{ errorCode: number } & ProducerIdentity>;
  /** A code. */
  addPartitions(speaker: Speaker, partitions: readonly Partition[]): number;
  addGroup(speaker: Speaker, groupId: string): number;
  /** Whether the speaker may write to the partition in its open transaction: a code. */
  checkPartition(speaker: Speaker, partition: Partition): number;
  checkGroup(speaker: Speaker, groupId: string): number;
  /** On return the transaction has ended, on the card: in all partitions and groups, or not at all. Throws LOG_CLOSED. */
  end(speaker: Speaker, isCommit: boolean): Promise<number>;
  /**
   * Aborts what is open under the id and fences its producer, as a time-out does: false when nothing was open. On the card on
   * return. Throws LOG_CLOSED.
   */
  abort(transactionalId: string): Promise<boolean>;
  /** Ends what no coordinator knows any more in one partition, with an abort: a code. Throws LOG_CLOSED. */
  abortHanging(partition: Partition, producer: ProducerIdentity): Promise<number>;
  /** In order of ids. */
  list(): TransactionSummary[];
  describe(transactionalId: string): TransactionSummary | undefined;
  status(): TransactionsStatus;
  metrics(): Metric[];
  close(): void;
}

interface Entry extends Stored {
  /** By the monotonic clock: the transaction began, the id was used last. */
  beganAtMs: number;
  usedAtMs: number;
  bytes: number;
  /** What changed it last, until it is on the card. */
  commit: Commit | undefined;
}

/** Longest transactional id, in characters. */
const ID_LENGTH_MAX = 1024;
const EXPIRY_LOOK_MS = 3600_000;
const NOBODY: ProducerIdentity = { producerId: -1, producerEpoch: -1 };

/** Reads back what ids there are. What is open in the log and belongs to none of them is aborted. */
export function openTransactions(needs: TransactionsNeeds): Transactions {
  const { log, offsets, clock } = needs;
  const trace = needs.trace.room('transactions');
  const settings = { ...DEFAULT_TRANSACTION_SETTINGS, ...needs.settings };
  const limits = { ...DEFAULT_TRANSACTION_LIMITS, ...needs.limits };
  // The one that was used last stands last.
  const entries = new Map<string, Entry>();
  const counts = { committed: 0, aborted: 0, timedOut: 0, hanging: 0 };
  let bytes = 0;
  let participants = 0;

  const deadlines = createDeadlines(clock, timeOut);
  load();
  counts.hanging = endHanging({ log, offsets, trace, isKnown: isOpenIn, producers: ongoingProducers() });
  const expiring = clock.every(Math.min(EXPIRY_LOOK_MS, settings.idExpirationMs), expire);

  function load(): void {
    const now = clock.monotonicMs();
    for (const [key, value] of log.marks(TRANSACTION)) {
      const stored = decodeTransaction(value);
      const entry = { ...stored, beganAtMs: now, usedAtMs: now, bytes: key.length + value.length, commit: undefined };
      place(idOf(key), undefined, entry);
    }
  }

  function ongoingProducers(): Set<number> {
    const open = [...entries.values()].filter(({ transaction }) => transaction.phase === 'Ongoing');
    return new Set(open.map(({ transaction }) => transaction.producerId));
  }

  function isOpenIn(partition: Partition, producerId: number): boolean {
    const topicId = partition.topic.id.toString('base64url');
    for (const { transaction } of entries.values()) {
      if (transaction.producerId === producerId && transaction.partitions.get(topicId)?.has(partition.index) === true) {
        return true;
      }
    }
    return false;
  }

  /** Puts an entry in the place of `before`, last in order. */
  function place(id: string, before: Entry | undefined, entry: Entry | undefined): void {
    bytes += (entry?.bytes ?? 0) - (before?.bytes ?? 0);
    participants += (entry === undefined ? 0 : sizeOf(entry.transaction)) - (before ? sizeOf(before.transaction) : 0);
    entries.delete(id);
    if (entry !== undefined) entries.set(id, entry);
    const isOpen = entry?.transaction.phase === 'Ongoing';
    // What an open one was given back while the process stood still stays its own.
    if (isOpen && before?.transaction.phase === 'Ongoing') return;
    deadlines.set(id, isOpen ? entry.beganAtMs + entry.transaction.timeoutMs : undefined);
  }

  /** Takes the input in; what changes joins the commit that is being gathered. Throws LOG_CLOSED, with nothing changed. */
  function take(id: string, input: Input): Step {
    const before = entries.get(id);
    const result = step(before?.transaction, input);
    if (before !== undefined) before.usedAtMs = clock.monotonicMs();
    if (result.kind === 'changed') change(id, before, result.transaction, result.ending);
    return result;
  }

  function change(id: string, before: Entry | undefined, transaction: Transaction, ending: Ending | undefined): void {
    const isOpen = transaction.phase === 'Ongoing';
    const wasOpen = before?.transaction.phase === 'Ongoing';
    const now = clock.monotonicMs();
    const startedMs = !isOpen ? -1 : wasOpen ? before.startedMs : clock.wallMs();
    const key = transactionKey(id);
    const value = encodeTransaction({ transaction, startedMs });
    // What only announces batches or offsets waits for their commit.
    const commit = log.mark(key, value, isOpen ? 'relaxed' : 'synced');
    if (ending !== undefined) finish(ending);
    const beganAtMs = wasOpen ? before.beganAtMs : now;
    const entry: Entry = { transaction, startedMs, beganAtMs, usedAtMs: now, bytes: key.length + value.length, commit };
    place(id, before, entry);
    commit.whenDone(() => {
      if (entry.commit === commit) entry.commit = undefined;
    });
    if (bytes > limits.bytesMax) forgetOldest(id);
  }

  function finish({ producerId, producerEpoch, isCommit, partitions }: Ending): void {
    for (const [topicId, numbers] of partitions) {
      for (const index of numbers) {
        // A topic that was deleted meanwhile takes its part of the transaction with it.
        const partition = topicOf(log, topicId)?.partitions[index];
        partition?.endTransaction({ producerId, producerEpoch, isCommit }).whenDone(() => undefined);
      }
    }
    offsets.settle(producerId, isCommit);
    counts[isCommit ? 'committed' : 'aborted'] += 1;
  }

  function timeOut(id: string): void {
    counts.timedOut += 1;
    trace.limited('a transaction took too long and is aborted', { id, ms: entries.get(id)?.transaction.timeoutMs });
    take(id, { kind: 'timeout' });
  }

  function forgetOldest(besides: string): void {
    for (const [id, entry] of entries) {
      if (bytes <= limits.bytesMax) return;
      if (id === besides || entry.transaction.phase === 'Ongoing') continue;
      trace.limited('a transactional id is forgotten, there are too many', { id });
      forget(id, entry);
    }
  }

  function expire(): void {
    const now = clock.monotonicMs();
    for (const [id, entry] of entries) {
      const isIdle = entry.transaction.phase !== 'Ongoing' && now - entry.usedAtMs >= settings.idExpirationMs;
      if (isIdle) forget(id, entry);
    }
  }

  function forget(id: string, entry: Entry): void {
    log.mark(transactionKey(id), null, 'relaxed').whenDone(() => undefined);
    place(id, entry, undefined);
  }

  /** Whether so many more may take part in open transactions, and one more be opened. */
  function hasRoom(more: number, isOpen: boolean): boolean {
    const isCrowded = participants + more > limits.participantsMax || bytes > limits.bytesMax;
    if (!isCrowded && (isOpen || log.status().transactions.aborted < limits.abortedMax)) return true;
    trace.limited('a transaction has to wait, there are too many', { participants });
    return false;
  }

  function add(speaker: Speaker, input: Input, more: number): number {
    const { transactionalId } = speaker;
    const known = entries.get(transactionalId)?.transaction;
    const fault = known === undefined ? KafkaError.INVALID_PRODUCER_ID_MAPPING : identityFault(known, speaker);
    if (fault !== KafkaError.NONE) return fault;
    if (!hasRoom(more, known!.phase === 'Ongoing')) return KafkaError.CONCURRENT_TRANSACTIONS;
    const result = take(transactionalId, input);
    return result.kind === 'refused' ? result.errorCode : KafkaError.NONE;
  }

  function check(speaker: Speaker, isIn: (transaction: Transaction) => boolean): number {
    const known = entries.get(speaker.transactionalId)?.transaction;
    if (known === undefined) return KafkaError.INVALID_PRODUCER_ID_MAPPING;
    const fault = identityFault(known, speaker);
    if (fault !== KafkaError.NONE) return fault;
    return known.phase === 'Ongoing' && isIn(known) ? KafkaError.NONE : KafkaError.INVALID_TXN_STATE;
  }

  function summaryOf(transactionalId: string, { transaction, startedMs, beganAtMs }: Entry): TransactionSummary {
    const { producerId, producerEpoch, phase, timeoutMs, partitions, groups } = transaction;
    const found = [...partitions].flatMap(([topicId, numbers]) => {
      const name = topicOf(log, topicId)?.name;
      return name === undefined ? [] : [{ topic: name, partitions: [...numbers].toSorted((a, b) => a - b) }];
    });
    const openMs = phase === 'Ongoing' ? Math.round(clock.monotonicMs() - beganAtMs) : -1;
    const told = { transactionalId, producerId, producerEpoch, state: phase, timeoutMs, startedMs, openMs };
    return { ...told, topics: found, groups: [...groups] };
  }

  function status(): TransactionsStatus {
    const states: Record<string, number> = {};
    for (const { transaction } of entries.values()) states[transaction.phase] = (states[transaction.phase] ?? 0) + 1;
    return { ids: entries.size, bytes, participants, states, ...counts };
  }

  return {
    async init(transactionalId, timeoutMs, present) {
      if (transactionalId === '' || transactionalId.length > ID_LENGTH_MAX) {
        return { errorCode: KafkaError.INVALID_REQUEST, ...NOBODY };
      }
      if (timeoutMs <= 0 || timeoutMs > settings.timeoutMsMax) {
        return { errorCode: KafkaError.INVALID_TRANSACTION_TIMEOUT, ...NOBODY };
      }
      let freshId: number | undefined;
      for (;;) {
        const result = take(transactionalId, { kind: 'init', timeoutMs, present, freshId });
        if (result.kind === 'refused') return { errorCode: result.errorCode, ...NOBODY };
        if (result.kind === 'needsProducerId') {
          freshId = await log.newProducerId();
          continue;
        }
        const { transaction, commit } = entries.get(transactionalId)!;
        await commit?.done();
        const { producerId, producerEpoch } = transaction;
        return { errorCode: KafkaError.NONE, producerId, producerEpoch };
      }
    },
    addPartitions(speaker, partitions) {
      const wanted = partitions.map(({ topic, index }) => ({
        topicId: topic.id.toString('base64url'),
        partition: index,
      }));
      return add(speaker, { kind: 'add', ...speaker, partitions: wanted }, wanted.length);
    },
    addGroup(speaker, groupId) {
      if (groupId.length > ID_LENGTH_MAX) return KafkaError.INVALID_GROUP_ID;
      return add(speaker, { kind: 'addGroup', ...speaker, groupId }, 1);
    },
    checkPartition(speaker, { topic, index }) {
      return check(speaker, ({ partitions }) => partitions.get(topic.id.toString('base64url'))?.has(index) === true);
    },
    checkGroup: (speaker, groupId) => check(speaker, ({ groups }) => groups.has(groupId)),
    async end(speaker, isCommit) {
      const result = take(speaker.transactionalId, { kind: 'end', ...speaker, isCommit });
      if (result.kind === 'refused') return result.errorCode;
      await entries.get(speaker.transactionalId)?.commit?.done();
      return KafkaError.NONE;
    },
    async abort(transactionalId) {
      const entry = entries.get(transactionalId);
      if (entry?.transaction.phase !== 'Ongoing') return false;
      take(transactionalId, { kind: 'timeout' });
      await entries.get(transactionalId)?.commit?.done();
      return true;
    },
    async abortHanging(partition, producer) {
      if (isOpenIn(partition, producer.producerId)) return KafkaError.INVALID_TXN_STATE;
      return abortHanging(partition, producer);
    },
    list: () => [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([id, entry]) => summaryOf(id, entry)),
    describe(transactionalId) {
      const entry = entries.get(transactionalId);
      return entry && summaryOf(transactionalId, entry);
    },
    status,
    metrics: () => metricsOf(status()),
    close() {
      deadlines.close();
      expiring.cancel();
    },
  };
}

/** The topic of an id as marks have it; undefined when it is gone. */
function topicOf(log: Log, topicId: string): Topic | undefined {
  return log.topicById(Buffer.from(topicId, 'base64url'));
}
