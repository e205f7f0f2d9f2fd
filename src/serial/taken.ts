// What one port has taken in and the card has not: lines on their way through the intake. A line has no acknowledgement
// that its device could wait for, so it is held here until its commit is done, and handed in again, in order, should
// that commit fail. Bounded: the port is paused at `bytesMax` and read again below half of it.
//
//   add ──> waiting ──> in flight (one entry a commit) ──> done
//              ^                   │ failed, or refused by the intake
//              └──── after a pause ┘ and once nothing older is in flight

import type { Clock, Timer } from '../clock.ts';
import type { HeadwaterError } from '../errors.ts';
import type { Commit } from '../log/log.ts';

export interface TakenLine {
  key: Buffer | null;
  value: Buffer;
  timestampMs: number;
}

export interface Taken {
  /** Hands a line to the intake, or queues it behind those that wait to be handed in again. */
  add(line: TakenLine): void;
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
  /** Hands a line in. Undefined: the line will never be taken, and was counted. Throws: try again later. */
  accept: (line: TakenLine) => Commit | undefined;
  clock: Clock;
  bytesMax: number;
  onFailure: (error: unknown) => void;
}

interface Flight {
  commit: Commit;
  lines: TakenLine[];
}

const RETRY_MS = 1000;
/** What a held line costs beyond its bytes, so that empty values are bounded as well. */
const LINE_OVERHEAD_BYTES = 64;

export function createTaken(needs: TakenNeeds): Taken {
  const { accept, clock, bytesMax, onFailure } = needs;
  let waiting: TakenLine[] = [];
  let failed: TakenLine[] = [];
  let flights: Flight[] = [];
  let isHolding = false;
  let isClosed = false;
  let retry: Timer | undefined;
  let bytes = 0;
  let watchers: { belowBytes: number; resolve: () => void }[] = [];

  function add(line: TakenLine): void {
    bytes += sizeOf(line);
    if (isHolding) {
      waiting.push(line);
      return;
    }
    try {
      fly(line, accept(line));
    } catch (error) {
      waiting.push(line);
      hold(error);
    }
  }

  function handIn(): void {
    const lines = [...failed, ...waiting];
    failed = [];
    waiting = [];
    for (const line of lines) {
      bytes -= sizeOf(line);
      add(line);
    }
  }

  function fly(line: TakenLine, commit: Commit | undefined): void {
    if (commit === undefined) {
      release([line]);
      return;
    }
    const last = flights.at(-1);
    if (last?.commit === commit) {
      last.lines.push(line);
      return;
    }
    const flight = { commit, lines: [line] };
    flights.push(flight);
    commit.whenDone((error) => land(flight, error));
  }

  function land(flight: Flight, error: HeadwaterError | undefined): void {
    if (isClosed) return;
    flights = flights.filter((other) => other !== flight);
    if (error === undefined) {
      release(flight.lines);
    } else {
      for (const line of flight.lines) failed.push(line);
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

  function release(lines: TakenLine[]): void {
    for (const line of lines) bytes -= sizeOf(line);
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

function sizeOf(line: TakenLine): number {
  return LINE_OVERHEAD_BYTES + line.value.length + (line.key?.length ?? 0);
}
