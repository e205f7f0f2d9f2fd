// What the log remembers of idempotent producers, by Kafka's rules (ProducerStateManager, KIP-98, KIP-360): for each
// partition and producer id the epoch and the last five batches. A batch that was sent before is answered with its
// original offset; a gap is SEQUENCE_OUT_OF_ORDER; an older epoch is PRODUCER_FENCED. A producer that is not known may
// begin with any sequence. Entries go a day after their last append by our own clock, and the oldest go when there are
// too many. They lie on the card twice: in the batches themselves, and as a snapshot of marks at each roll of a segment.

import { HeadwaterError } from '../errors.ts';
import { isControl, isTransactional, type BatchHeader } from '../formats/batch.ts';
import type { Change } from '../store/store.ts';

interface SentBatch {
  baseSequence: number;
  lastSequence: number;
  baseOffset: number;
  lastOffset: number;
}

export interface Producer {
  producerId: number;
  producerEpoch: number;
  /** Newest last, five at most; none where only a marker was written in this epoch. */
  batches: SentBatch[];
  /** First offset of the transaction that is open here. */
  transactionStart?: number;
  /** A transaction of it has ended here. */
  hasMarker?: boolean;
  lastTimestampMs: number;
  /** By our monotonic clock: a wall clock that jumps must not make us forget. */
  appendedMs: number;
}

const BATCHES_KEPT = 5;
const SEQUENCE_COUNT = 2 ** 31;
const EXPIRY_MS = 24 * 60 * 60 * 1000;
/** Producers remembered over all partitions. The one that was silent longest is forgotten first. */
const PRODUCERS_MAX = 10_000;
const MARK_PREFIX = 'producers/';

export interface OpenAt {
  partition: number;
  producerId: number;
  producerEpoch: number;
  transactionStart: number;
}

export interface Producers {
  /**
   * Offset at which this batch was appended before; undefined when it is new. Throws SEQUENCE_OUT_OF_ORDER,
   * PRODUCER_FENCED, and TRANSACTION_STATE for a batch outside the transaction that its producer has open.
   */
  check(partition: number, header: BatchHeader): number | undefined;
  /** Remembers a batch that passed `check`, or a marker. */
  add(partition: number, header: BatchHeader, baseOffset: number, nowMs: number): void;
  /** First offset of the producer's transaction that is open in the partition. */
  transactionStart(partition: number, producerId: number): number | undefined;
  /** All transactions that are open. */
  open(): OpenAt[];
  of(partition: number): Producer[];
  forget(partition: number): void;
  expire(nowMs: number): void;
  /** One mark a partition with all that is known. */
  snapshot(): Change[];
  /** Puts a snapshot under what was replayed from the batches since. Who is in it starts its day again. */
  restore(marks: Iterable<[key: string, value: Buffer]>, nowMs: number): void;
}

export function createProducers(): Producers {
  // In order of the last append: each add moves its entry to the end.
  const entries = new Map<string, { partition: number; producer: Producer }>();
  const snapshotted = new Set<number>();
  // Whose transaction ended in what was replayed: of it the snapshot knows nothing newer. Undefined after `restore`.
  let endedInReplay: Set<string> | undefined = new Set();

  function keyOf(partition: number, producerId: number): string {
    return `${partition}/${producerId}`;
  }

  function of(partition: number): Producer[] {
    return [...entries.values()].filter((each) => each.partition === partition).map((each) => each.producer);
  }

  /** Who has a transaction open is not forgotten: it moves to the end. */
  function makeRoom(): void {
    let looked = 0;
    for (const [key, entry] of entries) {
      if (entries.size <= PRODUCERS_MAX || looked > PRODUCERS_MAX) return;
      looked += 1;
      entries.delete(key);
      if (entry.producer.transactionStart !== undefined) entries.set(key, entry);
    }
  }

  return {
    check(partition, header) {
      const known = entries.get(keyOf(partition, header.producerId))?.producer;
      return known === undefined ? undefined : checkAgainst(known, header);
    },
    add(partition, header, baseOffset, nowMs) {
      const key = keyOf(partition, header.producerId);
      const known = entries.get(key)?.producer;
      entries.delete(key);
      entries.set(key, { partition, producer: advanced(known, header, baseOffset, nowMs) });
      if (isControl(header)) endedInReplay?.add(key);
      makeRoom();
    },
    transactionStart: (partition, producerId) => entries.get(keyOf(partition, producerId))?.producer.transactionStart,
    open() {
      return [...entries.values()].flatMap(
        ({ partition, producer: { producerId, producerEpoch, transactionStart } }) =>
          transactionStart === undefined ? [] : [{ partition, producerId, producerEpoch, transactionStart }],
      );
    },
    of,
    forget(partition) {
      for (const [key, each] of entries) if (each.partition === partition) entries.delete(key);
    },
    expire(nowMs) {
      for (const [key, { producer }] of entries) {
        if (nowMs - producer.appendedMs > EXPIRY_MS && producer.transactionStart === undefined) entries.delete(key);
      }
    },
    snapshot() {
      const byPartition = new Map<number, Producer[]>();
      for (const { partition, producer } of entries.values()) {
        const list = byPartition.get(partition);
        if (list === undefined) byPartition.set(partition, [producer]);
        else list.push(producer);
      }
      const changes: Change[] = [];
      for (const partition of snapshotted)
        if (!byPartition.has(partition)) changes.push([`${MARK_PREFIX}${partition}`, null]);
      snapshotted.clear();
      for (const [partition, producers] of byPartition) {
        snapshotted.add(partition);
        changes.push([`${MARK_PREFIX}${partition}`, Buffer.from(JSON.stringify(producers))]);
      }
      return changes;
    },
    restore(marks, nowMs) {
      const replayed = [...entries];
      entries.clear();
      for (const [key, value] of marks) {
        if (!key.startsWith(MARK_PREFIX)) continue;
        const partition = Number(key.slice(MARK_PREFIX.length));
        snapshotted.add(partition);
        for (const earlier of JSON.parse(value.toString('utf8')) as Producer[]) {
          const known = keyOf(partition, earlier.producerId);
          // It may have ended in what was replayed, and its entry have been one too many there.
          if (endedInReplay?.has(known) === true) delete earlier.transactionStart;
          entries.set(known, { partition, producer: { ...earlier, appendedMs: nowMs } });
        }
      }
      // What was replayed is newer: it comes last, and is forgotten last.
      for (const [key, { partition, producer }] of replayed) {
        const earlier = entries.get(key)?.producer;
        entries.delete(key);
        const hasEnded = endedInReplay?.has(key) ?? false;
        entries.set(key, {
          partition,
          producer: earlier === undefined ? producer : joined(earlier, producer, hasEnded),
        });
      }
      endedInReplay = undefined;
    },
  };
}

/** The original offset, or undefined: next in sequence. */
function checkAgainst(known: Producer, header: BatchHeader): number | undefined {
  const { producerEpoch, baseSequence } = header;
  const lastSequence = sequenceAfter(baseSequence, header.lastOffsetDelta);
  if (producerEpoch === known.producerEpoch) {
    const same = known.batches.find((each) => each.baseSequence === baseSequence && each.lastSequence === lastSequence);
    if (same !== undefined) return same.baseOffset;
  }
  if (producerEpoch < known.producerEpoch) {
    throw new HeadwaterError(
      'PRODUCER_FENCED',
      `epoch ${producerEpoch} of producer ${header.producerId} is below ${known.producerEpoch}`,
    );
  }
  const last = producerEpoch === known.producerEpoch ? known.batches.at(-1) : undefined;
  const expected = last === undefined ? 0 : sequenceAfter(last.lastSequence, 1);
  if (baseSequence !== expected) {
    const text = `sequence ${baseSequence} of producer ${header.producerId} where ${expected} comes next`;
    throw new HeadwaterError('SEQUENCE_OUT_OF_ORDER', text);
  }
  if (known.transactionStart !== undefined && !isTransactional(header)) {
    const text = `producer ${header.producerId} has a transaction open here, and the batch is outside of it`;
    throw new HeadwaterError('TRANSACTION_STATE', text);
  }
  return undefined;
}

function advanced(known: Producer | undefined, header: BatchHeader, baseOffset: number, nowMs: number): Producer {
  const { producerId, producerEpoch } = header;
  const isMarker = isControl(header);
  const earlier = known?.producerEpoch === producerEpoch ? known.batches : [];
  const transactionStart = isTransactional(header) ? (known?.transactionStart ?? baseOffset) : known?.transactionStart;
  return {
    producerId,
    producerEpoch,
    batches: isMarker ? earlier : [...earlier, sentBatch(header, baseOffset)].slice(-BATCHES_KEPT),
    ...(transactionStart !== undefined && !isMarker && { transactionStart }),
    ...((isMarker || known?.hasMarker === true) && { hasMarker: true }),
    lastTimestampMs: header.maxTimestampMs,
    appendedMs: nowMs,
  };
}

function sentBatch({ baseSequence, lastOffsetDelta }: BatchHeader, baseOffset: number): SentBatch {
  const lastSequence = sequenceAfter(baseSequence, lastOffsetDelta);
  return { baseSequence, lastSequence, baseOffset, lastOffset: baseOffset + lastOffsetDelta };
}

/** A snapshot's entry followed by what was replayed; batches that both know are taken once. */
function joined(earlier: Producer, replayed: Producer, hasEnded: boolean): Producer {
  const { transactionStart: ownStart, ...rest } = replayed;
  // A transaction that did not end since may have begun before.
  const start = hasEnded ? ownStart : (earlier.transactionStart ?? ownStart);
  const whole = { ...rest, ...(start !== undefined && { transactionStart: start }) };
  if (earlier.hasMarker === true) whole.hasMarker = true;
  if (earlier.producerEpoch !== replayed.producerEpoch) return whole;
  const first = replayed.batches[0]?.baseOffset ?? Infinity;
  const before = earlier.batches.filter((each) => each.lastOffset < first);
  return { ...whole, batches: [...before, ...replayed.batches].slice(-BATCHES_KEPT) };
}

/** Sequences are int32 without a sign bit: 0 comes after 2^31 - 1. */
function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % SEQUENCE_COUNT;
}
