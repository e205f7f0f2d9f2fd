// What a consumer that catches up asks for next, read while it works on what it has. Clients ask for more when they have
// nothing left of a node (Java since 3.9), so each answer's way from the card is time in which nothing else happens. One for
// each connection: begun when an answer leaves records behind, the next Fetch's own, dropped after a while without one.

import type { Clock } from '../clock.ts';
import type { Partition } from '../log/log.ts';
import type { AnswerMemory } from './answer-memory.ts';
import type { Budget } from './budget.ts';

/** Where a client is expected to read on. */
export interface Place {
  partition: Partition;
  offset: number;
  bytesMax: number;
  isCommittedOnly: boolean;
}

/** Batches that were read before they were asked for. */
export interface Ahead {
  /** Undefined for what was not read. Resolves with undefined or none when there is nothing to be had this way. */
  find(place: Place): Promise<Buffer[] | undefined> | undefined;
  /** Its memory is another's as soon as its reads have ended. */
  drop(): void;
}

interface Begun extends Ahead {
  readonly startedMs: number;
  /** From here on it counts as part of an answer. */
  uncount(): void;
}

export interface ReadAhead {
  /** Reads from these places on, unless there is no memory for it or it was no use the last times. */
  begin(places: readonly Place[]): void;
  /** What was begun; the caller drops it. */
  take(): Ahead | undefined;
  /** To be called every few seconds: drops what nobody has come for. */
  sweep(): void;
  /** On return nothing is read any longer. */
  close(): Promise<void>;
}

export interface ReadAheadNeeds {
  responseBytes: Budget;
  answerMemory: AnswerMemory;
  clock: Clock;
}

const KEEP_MS = 3000;
/** So many answers without it when what was read was not what the client asked for. */
const REST_ANSWERS = 20;

export function createReadAhead({ responseBytes, answerMemory, clock }: ReadAheadNeeds): ReadAhead {
  let current: Begun | undefined;
  let lastReads: Promise<unknown> = Promise.resolve();
  let restAnswers = 0;
  let isClosed = false;

  function start(places: readonly Place[], bytes: number): Begun {
    const loan = answerMemory.lend();
    responseBytes.take(bytes);
    const reads = new Map<Partition, { place: Place; batches: Promise<Buffer[] | undefined> }>();
    for (const place of places) {
      const { partition, offset, bytesMax, isCommittedOnly } = place;
      // A client may name a partition twice; memory is given back when every read has ended.
      if (reads.has(partition)) continue;
      const reading = isCommittedOnly
        ? partition.readStable(offset, bytesMax, loan.allocate)
        : partition.read(offset, bytesMax, loan.allocate);
      // Whoever asks for it finds out by a read of his own.
      reads.set(partition, { place, batches: reading.catch(() => undefined) });
    }
    const ended = Promise.all([...reads.values()].map(({ batches }) => batches));
    lastReads = Promise.all([lastReads, ended]);
    let countedBytes = bytes;
    let isUsed = false;
    let isDropped = false;
    const uncount = (): void => {
      responseBytes.release(countedBytes);
      countedBytes = 0;
    };
    return {
      startedMs: clock.monotonicMs(),
      uncount,
      find({ partition, offset, isCommittedOnly }) {
        const found = reads.get(partition);
        if (found?.place.offset !== offset || found.place.isCommittedOnly !== isCommittedOnly) return undefined;
        isUsed = true;
        return found.batches;
      },
      drop() {
        if (isDropped) return;
        isDropped = true;
        if (!isUsed) restAnswers = REST_ANSWERS;
        void ended.then(() => {
          loan.giveBack();
          uncount();
        });
      },
    };
  }

  function dropCurrent(): void {
    current?.drop();
    current = undefined;
  }

  return {
    begin(places) {
      dropCurrent();
      if (places.length === 0 || isClosed) return;
      if (restAnswers > 0) {
        restAnswers -= 1;
        return;
      }
      const bytes = places.reduce((sum, { bytesMax }) => sum + bytesMax, 0);
      // Answers that somebody waits for have the other half.
      if (bytes + responseBytes.usedBytes <= responseBytes.leftBytes) current = start(places, bytes);
    },
    take() {
      const taken = current;
      current = undefined;
      taken?.uncount();
      return taken;
    },
    sweep() {
      if (current !== undefined && clock.monotonicMs() - current.startedMs > KEEP_MS) dropCurrent();
    },
    async close() {
      isClosed = true;
      dropCurrent();
      await lastReads;
    },
  };
}
