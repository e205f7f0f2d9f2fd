// The group commit. Whatever arrives joins the commit that is being gathered; one commit is in flight at a time, and the
// next takes all that has waited meanwhile. Only when a commit starts are its batches taken and given their offsets: the
// outcome of the one before is known then, so nothing ever has to be taken back.
//
//   gathering --(none in flight, and a credit or 64 KiB)--> in flight --(synced)--> settled: callbacks, in order
//
// A record of an `immediate` topic starts it at once; records of `relaxed` topics alone start none before their time is up.
//
// The store repeats a failing write until it is there; a commit only ends with an error when the log is closed meanwhile.

import type { Clock, Timer } from '../clock.ts';
import { HeadwaterError } from '../errors.ts';
import type { BatchWrite, Change, Store } from '../store/store.ts';
import { Credits } from './credits.ts';
import type { Durability } from './durability.ts';
import type { Commit } from './log.ts';
import type { Room } from './room.ts';
import { FREE_BYTES, FULL_BYTES, Rest } from './rest.ts';

/** Adds a mark to the commit that starts. */
export type SetMark = (key: string, value: Buffer) => void;

/** Something that waits in a commit. */
export interface CommitItem {
  /** Gives offsets and bytes when the commit starts; undefined when nothing has to be written (a duplicate, an error). */
  take(setMark: SetMark): BatchWrite | undefined;
  /** Called after the sync, before the commit's callbacks. */
  committed(): void;
  /** Called when the log was closed before the commit got through. */
  failed(error: HeadwaterError): void;
}

type Callback = (error?: HeadwaterError) => void;

/** What may wait for a commit before doors are told to stop reading, and what may never be passed. */
const WAITING_BYTES_FULL = 8 * 1024 * 1024;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
const ROOM_LOOK_MS = 1000;
const LULL_MS_MIN = 2;
/**
 * When records wait already at the end of a commit, several publish: the next commit waits so long for more of theirs,
 * though it has its credit. A publisher that is alone waits for its acknowledgement, and never for this.
 */
const COMPANY_MS = 3;

export interface CommitCounters {
  count: number;
  bytes: number;
  batches: number;
  seconds: number;
  lastMs: number;
  worstMs: number;
  /** Monotonic time of the last success. */
  lastAtMs: number;
}

export interface Commits {
  /** The commit that is being gathered, with `item` in it. `bytes` are what the item holds at present. Throws LOG_CLOSED, LOG_FULL. */
  join(item: CommitItem, bytes: number, durability?: Durability): Commit;
  /** The same, and never refused for want of room: for what lets others go. Throws LOG_CLOSED. */
  joinAnyway(item: CommitItem, bytes: number): Commit;
  /** Never refused for want of room, as its record was taken already; whoever sets marks bounds them. Throws LOG_CLOSED. */
  mark(key: string, value: Buffer | null, durability?: Durability): Commit;
  /** Holds commits back until `work` is done: a definition that their records need. */
  holdFor(work: Promise<void>): void;
  isFull(): boolean;
  /** Something went: wakes who waits for room, if there is some. */
  tellRoom(): void;
  whenRoom(signal?: AbortSignal): Promise<void>;
  /** See Log.lull. */
  lull(msMax: number): number;
  waitingBytes(): number;
  credits(): number;
  readonly counters: CommitCounters;
  /** Commits what waits, without waiting for credit, and takes nothing more. */
  close(): Promise<void>;
}

class GroupCommit implements Commit {
  readonly items: CommitItem[] = [];
  readonly marks = new Map<string, Buffer | null>();
  bytes = 0;
  /** When it is to start at the latest, paid for or not: -Infinity is at once. */
  dueMs = Infinity;
  /** All that is in it is relaxed. */
  isRelaxed = true;
  readonly #onGrow: (bytes: number) => void;
  readonly #callbacks: Callback[] = [];
  #outcome: { error: HeadwaterError | undefined } | undefined;

  constructor(onGrow: (bytes: number) => void) {
    this.#onGrow = onGrow;
  }

  get isEmpty(): boolean {
    return this.items.length === 0 && this.marks.size === 0;
  }

  grow(bytes: number): void {
    this.bytes += bytes;
    this.#onGrow(bytes);
  }

  whenDone(callback: Callback): void {
    if (this.#outcome === undefined) this.#callbacks.push(callback);
    else callback(this.#outcome.error);
  }

  done(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.whenDone((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  settle(error?: HeadwaterError): void {
    this.#outcome = { error };
    for (const callback of this.#callbacks) callback(error);
  }
}

export interface CommitsNeeds {
  store: Store;
  /** Whether there is room for records, looked at after each commit. Default: always. */
  room?: Pick<Room, 'refusal' | 'look'>;
  clock: Clock;
  intervalMs: number;
  burstMs: number;
  /** How long what is relaxed waits. Default: not at all. */
  relaxedMs?: number;
  /** Whether there is a topic whose records are to be committed at once: doors shall not leave them unread. */
  isHurried?: () => boolean;
  /** After each commit. */
  onCommit?: () => void;
}

export function createCommits(needs: CommitsNeeds): Commits {
  const { store, room, clock, intervalMs, burstMs, relaxedMs = 0, isHurried = () => false, onCommit } = needs;
  const credits = new Credits(intervalMs, burstMs, clock.monotonicMs());
  const rest = new Rest();
  const counters: CommitCounters = {
    count: 0,
    bytes: 0,
    batches: 0,
    seconds: 0,
    lastMs: 0,
    worstMs: 0,
    lastAtMs: -Infinity,
  };
  const roomWaiters = new Set<() => void>();
  let waitingBytes = 0;
  let gathering = new GroupCommit(grew);
  let inFlight: Promise<void> | undefined;
  let holds: Promise<void> = Promise.resolve();
  let isArmed = false;
  let timer: Timer | undefined;
  // While a timer runs: so many bytes are a reason to look before it fires.
  let wakeBytes = FREE_BYTES;
  let companyUntilMs = -Infinity;
  let look: Timer | undefined;
  let isClosing = false;

  function grew(bytes: number): void {
    waitingBytes += bytes;
    if (timer !== undefined && gathering.bytes >= wakeBytes) arm();
  }

  /** Starts as soon as all that this turn of the event loop brings is in: each socket that is readable has its say. */
  function arm(): void {
    if (isArmed || inFlight !== undefined) return;
    isArmed = true;
    setImmediate(() => {
      isArmed = false;
      startIfPaid();
    });
  }

  function startIfPaid(): void {
    if (inFlight !== undefined || gathering.isEmpty) return;
    timer?.cancel();
    timer = undefined;
    const waitMs = pay(clock.monotonicMs(), gathering);
    if (waitMs === 0) {
      inFlight = run();
      return;
    }
    wakeBytes = gathering.bytes < FREE_BYTES ? FREE_BYTES : FULL_BYTES;
    timer = clock.after(waitMs, () => {
      timer = undefined;
      startIfPaid();
    });
  }

  /** 0 when `commit` may start, which is paid for then; else the milliseconds until it is worth asking again. */
  function pay(now: number, { bytes, dueMs, isRelaxed }: GroupCommit): number {
    if (isClosing) return 0;
    if (now >= dueMs) {
      // Without a credit as well: nobody else waits longer for what this one's topic was given.
      credits.take(now);
      return 0;
    }
    if (bytes < FREE_BYTES) {
      const waitMs = isRelaxed ? Infinity : Math.max(companyUntilMs - now, credits.waitMs(now));
      if (waitMs <= 0) credits.take(now);
      return Math.max(0, Math.ceil(Math.min(waitMs, dueMs - now)));
    }
    const answersMs = rest.answersMs(now, bytes);
    if (answersMs > 0) return answersMs;
    const waitMs = credits.available(now) >= 1 ? 0 : Math.min(rest.waitMs(now, bytes), Math.ceil(credits.waitMs(now)));
    if (waitMs === 0) credits.restart();
    return waitMs;
  }

  /** It ends before the credit is there: what has come until then is read when the commit starts. */
  function lull(msMax: number): number {
    if (isHurried()) return 0;
    const now = clock.monotonicMs();
    const ms = Math.floor(Math.min(msMax, credits.waitMs(now) - 1, rest.lullMs(now, gathering.bytes)));
    if (ms < LULL_MS_MIN) return 0;
    rest.expect(now + ms);
    return ms;
  }

  /** Work that was added while an earlier one was waited for counts as well: its records wait in this commit. */
  async function whenDefined(): Promise<void> {
    for (let awaited; awaited !== holds;) {
      awaited = holds;
      await awaited;
    }
  }

  async function run(): Promise<void> {
    await whenDefined();
    const commit = gathering;
    rest.started(clock.monotonicMs(), commit.bytes);
    gathering = new GroupCommit(grew);
    const error = await write(commit);
    waitingBytes -= commit.bytes;
    room?.look();
    onCommit?.();
    for (const item of commit.items) {
      if (error === undefined) item.committed();
      else item.failed(error);
    }
    inFlight = undefined;
    const now = clock.monotonicMs();
    rest.ended(now, counters.lastMs);
    companyUntilMs = gathering.isEmpty ? -Infinity : now + COMPANY_MS;
    commit.settle(error);
    tellRoom();
    startIfPaid();
  }

  async function write(commit: GroupCommit): Promise<HeadwaterError | undefined> {
    const batches: BatchWrite[] = [];
    for (const item of commit.items) {
      const batch = item.take((key, value) => commit.marks.set(key, value));
      if (batch !== undefined) batches.push(batch);
    }
    // Duplicates and refused batches leave nothing to write.
    if (batches.length === 0 && commit.marks.size === 0) return undefined;
    const startMs = clock.monotonicMs();
    try {
      await store.write(batches, [...commit.marks] as Change[]);
    } catch (cause) {
      return new HeadwaterError('LOG_CLOSED', 'the log was closed while the card refused writes', { cause });
    }
    count(batches, clock.monotonicMs() - startMs);
    return undefined;
  }

  function count(batches: BatchWrite[], tookMs: number): void {
    counters.count += 1;
    counters.batches += batches.length;
    for (const { value } of batches) counters.bytes += value.length;
    counters.seconds += tookMs / 1000;
    counters.lastMs = tookMs;
    counters.worstMs = Math.max(counters.worstMs, tookMs);
    counters.lastAtMs = clock.monotonicMs();
  }

  function isFull(): boolean {
    return waitingBytes > WAITING_BYTES_FULL || store.failure() !== undefined || room?.refusal() !== undefined;
  }

  function tellRoom(): void {
    if (isFull()) return;
    for (const tell of roomWaiters) tell();
    roomWaiters.clear();
    look?.cancel();
    look = undefined;
  }

  function join(item: CommitItem, bytes: number, durability: Durability = 'synced'): Commit {
    if (waitingBytes > WAITING_BYTES_MAX) {
      throw new HeadwaterError(
        'LOG_FULL',
        `${waitingBytes} bytes wait for their commit: try again when the card has caught up`,
      );
    }
    return joinAnyway(item, bytes, durability);
  }

  function joinAnyway(item: CommitItem, bytes: number, durability: Durability = 'synced'): Commit {
    const commit = joined(bytes, durability);
    commit.items.push(item);
    return commit;
  }

  function joined(bytes: number, durability: Durability): GroupCommit {
    if (isClosing) throw new HeadwaterError('LOG_CLOSED', 'the log is closing');
    if (durability === 'immediate') gathering.dueMs = -Infinity;
    if (durability === 'relaxed') gathering.dueMs = Math.min(gathering.dueMs, clock.monotonicMs() + relaxedMs);
    else gathering.isRelaxed = false;
    gathering.grow(bytes);
    arm();
    return gathering;
  }

  return {
    join,
    joinAnyway,
    mark(key, value, durability = 'synced') {
      const commit = joined(key.length + (value?.length ?? 0), durability);
      commit.marks.set(key, value);
      return commit;
    },
    holdFor(work) {
      // A failed definition is its caller's to report; commits go on.
      holds = Promise.all([holds, work.catch(() => undefined)]).then(() => undefined);
    },
    isFull,
    tellRoom,
    whenRoom(signal) {
      if (!isFull() || signal?.aborted === true) return Promise.resolve();
      return new Promise((resolve) => {
        const tell = (): void => {
          signal?.removeEventListener('abort', tell);
          roomWaiters.delete(tell);
          resolve();
        };
        roomWaiters.add(tell);
        // The tables may fail and recover without any commit that could tell: while doors wait there may be none.
        look ??= clock.every(ROOM_LOOK_MS, tellRoom);
        signal?.addEventListener('abort', tell, { once: true });
      });
    },
    lull,
    waitingBytes: () => waitingBytes,
    credits: () => credits.available(clock.monotonicMs()),
    counters,
    async close() {
      isClosing = true;
      startIfPaid();
      while (inFlight !== undefined) await inFlight;
      look?.cancel();
      for (const tell of roomWaiters) tell();
      roomWaiters.clear();
    },
  };
}
