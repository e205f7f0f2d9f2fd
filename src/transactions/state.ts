// One transactional id as a pure state machine: (state, input) -> state and what is to be done. No clock, no I/O.
//
//   Empty --add--> Ongoing --end--> CompleteCommit | CompleteAbort --add--> Ongoing ...
//     a producer that begins anew (init) and a transaction that takes too long (timeout) abort what is open, with a
//     higher epoch: whoever comes with the old one is fenced
//
// Kafka has states in between (PrepareCommit, PrepareAbort, PrepareEpochFence), since its markers lie in other logs than its
// own state and are written one after the other. Here an end is one atomic write, so there is nothing to prepare.

import { KafkaError } from '../formats/kafka/codes.ts';

export type Phase = 'Empty' | 'Ongoing' | 'CompleteCommit' | 'CompleteAbort';

export interface Transaction {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** The epoch that its producer raised itself with its last init: a repeated request names it. -1 when none did. */
  readonly lastEpoch: number;
  /** Its producer id until the epochs were used up; -1. */
  readonly lastProducerId: number;
  readonly timeoutMs: number;
  readonly phase: Phase;
  /** Partitions by topic id (base64url); empty unless Ongoing. */
  readonly partitions: ReadonlyMap<string, ReadonlySet<number>>;
  readonly groups: ReadonlySet<string>;
}

export interface ProducerIdentity {
  producerId: number;
  producerEpoch: number;
}

export type Input =
  | {
      kind: 'init';
      timeoutMs: number;
      /** What the producer says it is, if it goes on after an error. */
      present: ProducerIdentity | undefined;
      /** A producer id that was never given, where it is at hand. */
      freshId: number | undefined;
    }
  | ({ kind: 'add'; partitions: readonly { topicId: string; partition: number }[] } & ProducerIdentity)
  | ({ kind: 'addGroup'; groupId: string } & ProducerIdentity)
  | ({ kind: 'end'; isCommit: boolean } & ProducerIdentity)
  | { kind: 'timeout' };

/** What ends: a marker in each partition, and the offsets of its groups. */
export interface Ending extends ProducerIdentity {
  isCommit: boolean;
  partitions: Transaction['partitions'];
}

export type Step =
  | { kind: 'refused'; errorCode: number }
  /** Nothing changes: it is so already, or will be with the commit on its way. */
  | { kind: 'same' }
  /** The same input again, with a fresh producer id. */
  | { kind: 'needsProducerId' }
  | { kind: 'changed'; transaction: Transaction; ending?: Ending };

/** Kafka keeps the highest epoch for fencing alone. */
const EPOCH_LAST = 32_766;
const NONE: Pick<Transaction, 'partitions' | 'groups'> = { partitions: new Map(), groups: new Set() };

/** `transaction` is undefined for an id that is not known; it is never changed. */
export function step(transaction: Transaction | undefined, input: Input): Step {
  if (input.kind === 'init') return init(transaction, input);
  if (transaction === undefined) return refused(KafkaError.INVALID_PRODUCER_ID_MAPPING);
  if (input.kind === 'timeout') return timeout(transaction);
  const errorCode = identityFault(transaction, input);
  if (errorCode !== KafkaError.NONE) return refused(errorCode);
  if (input.kind === 'add') return add(transaction, input.partitions);
  return input.kind === 'addGroup' ? addGroup(transaction, input.groupId) : end(transaction, input.isCommit);
}

/** Why who speaks is not this transactional id's producer. */
export function identityFault(transaction: Transaction, { producerId, producerEpoch }: ProducerIdentity): number {
  if (producerId !== transaction.producerId) return KafkaError.INVALID_PRODUCER_ID_MAPPING;
  return producerEpoch === transaction.producerEpoch ? KafkaError.NONE : KafkaError.PRODUCER_FENCED;
}

function refused(errorCode: number): Step {
  return { kind: 'refused', errorCode };
}

function init(known: Transaction | undefined, input: Input & { kind: 'init' }): Step {
  const { timeoutMs, present, freshId } = input;
  if (known === undefined) return begun(input, -1, -1);
  const { producerId, producerEpoch, lastEpoch, lastProducerId, phase } = known;
  const isRetryOverIds = present?.producerId === lastProducerId && present.producerEpoch >= EPOCH_LAST;
  if (present !== undefined && present.producerId !== producerId && !isRetryOverIds) {
    return refused(KafkaError.PRODUCER_FENCED);
  }
  const isPresent = present === undefined || present.producerEpoch === producerEpoch;
  if (!isPresent) {
    // A repeated request, whose first answer got lost: nobody else has begun since.
    const isRepeated = present.producerEpoch === lastEpoch && phase !== 'Ongoing';
    return isRepeated ? { kind: 'changed', transaction: { ...known, timeoutMs } } : refused(KafkaError.PRODUCER_FENCED);
  }
  const ownEpoch = present === undefined ? -1 : producerEpoch;
  if (producerEpoch >= EPOCH_LAST) {
    const anew = begun(input, ownEpoch, producerId);
    if (anew.kind !== 'changed' || freshId === undefined) return anew;
    return phase === 'Ongoing' ? { ...anew, ending: fencing(known) } : anew;
  }
  const transaction = { ...known, ...NONE, timeoutMs, producerEpoch: producerEpoch + 1, lastEpoch: ownEpoch };
  const next: Step = { kind: 'changed', transaction: { ...transaction, phase: 'Empty' } };
  return phase === 'Ongoing' ? { ...next, ending: fencing(known) } : next;
}

/** Begins with a fresh producer id and epoch 0. */
function begun({ timeoutMs, freshId }: Input & { kind: 'init' }, lastEpoch: number, lastProducerId: number): Step {
  if (freshId === undefined) return { kind: 'needsProducerId' };
  const own = { producerId: freshId, producerEpoch: 0, lastEpoch, lastProducerId, timeoutMs };
  return { kind: 'changed', transaction: { ...own, phase: 'Empty', ...NONE } };
}

/** An abort whose markers have a higher epoch than the producer. */
function fencing({ producerId, producerEpoch, partitions }: Transaction): Ending {
  return { producerId, producerEpoch: producerEpoch + 1, isCommit: false, partitions };
}

function timeout(transaction: Transaction): Step {
  if (transaction.phase !== 'Ongoing') return { kind: 'same' };
  const ending = fencing(transaction);
  const { producerEpoch } = ending;
  const aborted = { ...transaction, ...NONE, producerEpoch, lastEpoch: -1 };
  return { kind: 'changed', transaction: { ...aborted, phase: 'CompleteAbort' }, ending };
}

function add(transaction: Transaction, wanted: readonly { topicId: string; partition: number }[]): Step {
  const missing = wanted.filter(
    ({ topicId, partition }) => transaction.partitions.get(topicId)?.has(partition) !== true,
  );
  if (missing.length === 0) return { kind: 'same' };
  const partitions = new Map<string, ReadonlySet<number>>(transaction.partitions);
  for (const [topicId, each] of Map.groupBy(missing, ({ topicId }) => topicId)) {
    partitions.set(topicId, new Set([...(partitions.get(topicId) ?? []), ...each.map(({ partition }) => partition)]));
  }
  return { kind: 'changed', transaction: { ...transaction, phase: 'Ongoing', partitions } };
}

function addGroup(transaction: Transaction, groupId: string): Step {
  if (transaction.groups.has(groupId)) return { kind: 'same' };
  const groups = new Set([...transaction.groups, groupId]);
  return { kind: 'changed', transaction: { ...transaction, phase: 'Ongoing', groups } };
}

function end(transaction: Transaction, isCommit: boolean): Step {
  const { phase, producerId, producerEpoch, partitions } = transaction;
  const ended = isCommit ? 'CompleteCommit' : 'CompleteAbort';
  // A repeated request. And what was added and not yet on the card when the power went is no transaction any more: its
  // producer, whose batches were not acknowledged, aborts it.
  if (phase === ended || (phase !== 'Ongoing' && !isCommit)) return { kind: 'same' };
  if (phase !== 'Ongoing') return refused(KafkaError.INVALID_TXN_STATE);
  const ending = { producerId, producerEpoch, isCommit, partitions };
  return { kind: 'changed', transaction: { ...transaction, ...NONE, phase: ended }, ending };
}

/** Partitions and groups that take part. */
export function sizeOf({ partitions, groups }: Transaction): number {
  let size = groups.size;
  for (const each of partitions.values()) size += each.size;
  return size;
}
