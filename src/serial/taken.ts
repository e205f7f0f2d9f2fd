// What one port has taken in and the card has not: records on their way through the intake. Most devices have no
// acknowledgement that they could wait for, so a record is held here until its commit is done, and handed in again, in
// order, should that commit fail. Bounded: the port is paused at `bytesMax` and read again below half of it.
//
//   add ──> waiting ──> in flight (one entry a commit) ──> done
//              ^                   │ failed, or refused by the intake
//              └──── after a pause ┘ and once nothing older is in flight

import type { Clock, Timer } from '../clock.ts';
import type { HeadwaterError } from '../errors.ts';
import type { Commit } from '../log/log.ts';
import type { FramedRecord } from './framing.ts';

/** A FramedRecord with what it left out filled in. */
export type TakenRecord = FramedRecord & Required<Pick<FramedRecord, 'key' | 'topic' | 'headers'>>;

export interface Taken {
  /** Hands a record to the intake, or queues it behind those that wait to be handed in again. */
  add(record: TakenRecord): void;
  bytes(): number;
  isFull(): boolean;
  /** Resolves when less than half of what may be held is held, or after close(). */
  whenRoom(): Promise<void>;
  /** Resolves when all is committed, or after close(). */
  whenEmpty(): Promise<void>;
  /** Forgets what is held. */
  close(): void;
}

export interface TakenNeeds {
  /** Hands a record in. Undefined: the record will never be taken, and was counted. Throws: try again later. */
  accept: (record: TakenRecord) => Commit | undefined;
  clock: Clock;
  bytesMax: number;
  onFailure: (error: unknown) => void;
}

interface Flight {
  commit: Commit;
  records: TakenRecord[];
}

const RETRY_MS = 1000;
/** What a held record costs beyond its bytes, so that empty values are bounded as well. */
const RECORD_OVERHEAD_BYTES = 64;

export function createTaken(needs: TakenNeeds): Taken {
  const { accept, clock, bytesMax, onFailure } = needs;
  let waiting: TakenRecord[] = [];
  let failed: TakenRecord[] = [];
  let flights: Flight[] = [];
  let isHolding = false;
  let isClosed = false;
  let retry: Timer | undefined;
  let bytes = 0;
  let watchers: { belowBytes: number; resolve: () => void }[] = [];

  function add(record: TakenRecord): void {
    bytes += sizeOf(record);
    if (isHolding) {
      waiting.push(record);
      return;
    }
    try {
      fly(record, accept(record));
    } catch (error) {
      waiting.push(record);
      hold(error);
    }
  }

  function handIn(): void {
    const records = [...failed, ...waiting];
    failed = [];
    waiting = [];
    for (const record of records) {
      bytes -= sizeOf(record);
      add(record);
    }
  }

  function fly(record: TakenRecord, commit: Commit | undefined): void {
    if (commit === undefined) {
      release([record], false);
      return;
    }
    const last = flights.at(-1);
    if (last?.commit === commit) {
      last.records.push(record);
      return;
    }
    const flight = { commit, records: [record] };
    flights.push(flight);
    commit.whenDone((error) => land(flight, error));
  }

  function land(flight: Flight, error: HeadwaterError | undefined): void {
    if (isClosed) return;
    flights = flights.filter((other) => other !== flight);
    if (error === undefined) {
      release(flight.records, true);
    } else {
      for (const record of flight.records) failed.push(record);
      hold(error);
    }
    if (isHolding) retryIfIdle();
  }

  function hold(error: unknown): void {
    isHolding = true;
    onFailure(error);
    retryIfIdle();
  }

  /** What failed is handed in again only when all that was handed in after it has come back: order is kept. */
  function retryIfIdle(): void {
    if (flights.length > 0 || retry !== undefined || isClosed) return;
    retry = clock.after(RETRY_MS, () => {
      retry = undefined;
      isHolding = false;
      handIn();
    });
  }

  function release(records: TakenRecord[], isKept: boolean): void {
    for (const record of records) {
      bytes -= sizeOf(record);
      record.receipt?.settled(isKept);
    }
    tell();
  }

  function tell(): void {
    const reached = watchers.filter((watcher) => bytes < watcher.belowBytes || isClosed);
    watchers = watchers.filter((watcher) => !reached.includes(watcher));
    for (const watcher of reached) watcher.resolve();
  }

  function whenBelow(belowBytes: number): Promise<void> {
    if (bytes < belowBytes || isClosed) return Promise.resolve();
    return new Promise((resolve) => void watchers.push({ belowBytes, resolve }));
  }

  return {
    add,
    bytes: () => bytes,
    isFull: () => bytes >= bytesMax,
    whenRoom: () => whenBelow(bytesMax / 2),
    whenEmpty: () => whenBelow(1),
    close() {
      isClosed = true;
      retry?.cancel();
      waiting = [];
      failed = [];
      flights = [];
      tell();
    },
  };
}

function sizeOf(record: TakenRecord): number {
  return RECORD_OVERHEAD_BYTES + record.value.length + (record.key?.length ?? 0);
}
