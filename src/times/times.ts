// What time it is, and how far that can be trusted. Other rooms are handed `clock`: its wallMs() is the wall clock as long
// as that is believed, else a time that this room counts itself:
//
//   unsure        floor + monotonic time of this boot   `clock.doubt` is set; stamps are corrected when the time is known
//   synchronised  the wall clock                        a time server keeps it
//   plausible     the wall clock                        nothing speaks against it (judge.ts)
//   kept          last known time + monotonic time      the wall clock went astray after it was known
//
// The floor is the latest time that is known to have been: the date of the program, what a synchronised clock said, and
// since then the time that the machine ran. A clock that nobody vouches for never raises it, so that one that was wrong
// by years for an hour does not make the right one implausible.

import { machineUptimeMs, type Clock, type ClockDoubt } from '../clock.ts';
import type { Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import { loadBoots, type Boots, type BootTime, type Marks } from './boots.ts';
import { bootId, gatherEvidence, installedMs, isSetByTimesyncd } from './evidence.ts';
import { JUMP_MS } from './jumps.ts';
import { judge, NO_EVIDENCE, type Evidence, type Trust, type Verdict } from './judge.ts';
import { Passage } from './passage.ts';
import { decodeSeen, encodeSeen, SEEN_KEY, type Seen } from './seen.ts';
import { metricsOf, type TimesState, type TimesStatus } from './times-status.ts';

export type { Marks } from './boots.ts';
export { TRUSTS, type Trust } from './judge.ts';
export type { TimesState, TimesStatus } from './times-status.ts';

/** What this machine tells of itself; tests have their own. */
export interface Machine {
  bootId: string;
  /** Monotonic milliseconds since the boot. */
  upMs(): number;
  /** When the program was put on it, ms since 1970. */
  builtMs: number;
  /** Asks everybody who may know about the clock; never rejects. */
  ask(): Promise<Evidence>;
  /** A cheap look whether it is worth asking. */
  hasNews(): Promise<boolean>;
  /** How often the clocks are compared. Default 10 s. */
  lookMs?: number;
}

export interface Times {
  /** For all who want to know the time. */
  readonly clock: Clock;
  /** Reads what the card says of earlier boots, and begins to doubt where there is reason. Called once, when marks can be set. */
  load(marks: Marks): Promise<void>;
  /** What is to be added to stamps of a boot; undefined: its time is not known. */
  shiftOf(boot: number): number | undefined;
  /** The latest moment that a stamp of a boot can mean; undefined: nobody can tell yet. */
  latestOf(boot: number, stampMs: number): number | undefined;
  /**
   * For how many ms what was stamped by this boot at `stampMs` should be held back, at most `holdMs` from then on: its
   * time may become known. 0 for other boots.
   */
  holdMs(boot: number, stampMs: number, holdMs: number): number;
  /** Resolves when the time is known, or `signal` aborts. */
  whenKnown(signal: AbortSignal): Promise<void>;
  /** What time it is for records that are kept for `ageMs`: never ahead of any clock they may have seen. Undefined: nobody knows. */
  nowFor(ageMs: number): number | undefined;
  status(): TimesStatus;
  metrics(): Metric[];
  /** Sets its last mark. */
  close(): void;
}

export interface TimesNeeds {
  clock: Clock;
  trace: Trace;
  machine: Machine;
  trust: Trust;
}

const LOOK_MS = 10_000;
const ASK_EVERY_LOOKS = 6;
const KEEP_MS = 3_600_000;
const FIRST_KEEP_MS = 60_000;
const CLOSE_KEEP_MS = 60_000;

/** The machine that this process runs on. */
export async function thisMachine(): Promise<Machine> {
  return {
    bootId: await bootId(),
    upMs: machineUptimeMs,
    builtMs: await installedMs(),
    ask: () => gatherEvidence(),
    hasNews: () => isSetByTimesyncd(),
  };
}

/** The wall clock, believed whatever it says: for folders that are only looked at, and for tests. */
export function believedTimes(clock: Clock, trace: Trace): Times {
  const ask = (): Promise<Evidence> => Promise.resolve(NO_EVIDENCE);
  const machine = { bootId: 'any', upMs: () => clock.monotonicMs(), builtMs: 0, ask, hasNews: async () => false };
  const times = createTimes({ clock, trace, machine, trust: 'always' });
  return {
    ...times,
    // What a node has seen of the time is its own; the boots are needed to read.
    load: ({ entries }) =>
      times.load({ set: () => undefined, entries: (prefix) => (prefix === SEEN_KEY ? [] : entries(prefix)) }),
  };
}

export function createTimes(needs: TimesNeeds): Times {
  const { clock: system, machine, trust } = needs;
  const { upMs, lookMs = LOOK_MS } = machine;
  const trace = needs.trace.room('times');
  const firstAnswer = machine.ask();

  let evidence = NO_EVIDENCE;
  let isStale = false;
  let isAsking = false;
  let floor = { ms: machine.builtMs, atUpMs: upMs() };
  let state: TimesState = 'plausible';
  let why = '';
  let sinceMs = system.monotonicMs();
  /** Wall less monotonic time of this boot, as it was last known. */
  let anchor: { aheadMs: number; isSynchronised: boolean } | undefined;
  /** Time is this plus the monotonic one; undefined: the wall clock's. */
  let ownAheadMs: number | undefined;
  let doubt: ClockDoubt | undefined;
  let boots: Boots | undefined;
  let boot: BootTime | undefined;
  let marks: Marks | undefined;
  const passage = new Passage();
  let jumps = 0;
  let keptAtUpMs = upMs();
  let keepAfterMs = FIRST_KEEP_MS;
  let isKeptDue = false;
  let looks = 0;
  /** What the wall clock says until the next look, unless it jumps. */
  let window = { lowMs: -Infinity, highMs: Infinity };
  let unsureRecords = 0;
  let isClosed = false;
  const waiting = new Set<() => void>();
  const timer = system.every(lookMs, onTimer);

  function wallMs(): number {
    if (ownAheadMs !== undefined) return Math.floor(ownAheadMs + upMs());
    const now = system.wallMs();
    if (now >= window.lowMs && now <= window.highMs) return now;
    look();
    return ownAheadMs === undefined ? now : Math.floor(ownAheadMs + upMs());
  }

  function floorMs(): number {
    return floor.ms + Math.max(0, upMs() - floor.atUpMs);
  }

  function onTimer(): void {
    looks += 1;
    look();
    if (state !== 'synchronised' || isStale) void seekNews();
    if (upMs() - keptAtUpMs >= keepAfterMs) keep();
  }

  async function seekNews(): Promise<void> {
    const isWorthIt =
      looks % ASK_EVERY_LOOKS === 0 || isStale || (!evidence.isSynchronised && (await machine.hasNews()));
    if (!isWorthIt || isClosed || isAsking) return;
    isAsking = true;
    evidence = await machine.ask();
    isAsking = isStale = false;
    if (!isClosed) look();
  }

  /** Looks at the wall clock, and decides what to make of it. */
  function look(): void {
    const [nowMs, up] = [system.wallMs(), upMs()];
    window = { lowMs: nowMs - JUMP_MS, highMs: nowMs + lookMs + JUMP_MS };
    if (boots === undefined) return decideWithoutMemory(nowMs);
    const hasJumped = anchor !== undefined && Math.abs(nowMs - up - anchor.aheadMs) >= JUMP_MS;
    if (hasJumped && state === 'synchronised') {
      // Whoever said so said it of another time: asked again before it is believed.
      isStale = true;
      void seekNews();
    }
    const given = isStale ? { ...evidence, isSynchronised: undefined } : evidence;
    decide(judge({ wallMs: nowMs, floorMs: floorMs(), builtMs: machine.builtMs, trust, evidence: given }), nowMs, up);
  }

  /** Before the card was read nothing is stamped that lasts. */
  function decideWithoutMemory(nowMs: number): void {
    ownAheadMs = trust !== 'always' && nowMs < machine.builtMs ? floor.ms - floor.atUpMs : undefined;
  }

  function decide(verdict: Verdict, nowMs: number, up: number): void {
    const aheadMs = nowMs - up;
    if (verdict.state === 'unsure') return anchor === undefined ? beUnsure(verdict) : goOn(anchor.aheadMs, verdict.why);
    const isSynchronised = verdict.state === 'synchronised';
    const hasJumped = anchor !== undefined && Math.abs(aheadMs - anchor.aheadMs) >= JUMP_MS;
    if (hasJumped && anchor!.isSynchronised && !isSynchronised && trust !== 'always') {
      return goOn(anchor!.aheadMs, 'the wall clock has left the time that a time server gave');
    }
    noteJump(aheadMs, up, isSynchronised);
    // A time server knows better than what was plausible.
    const isBetter = isSynchronised && anchor?.isSynchronised === false;
    anchor = { aheadMs, isSynchronised: isSynchronised || (anchor?.isSynchronised === true && !hasJumped) };
    if (isSynchronised) floor = { ms: nowMs, atUpMs: up };
    ownAheadMs = undefined;
    become(verdict.state, verdict.why);
    resolve(aheadMs, isBetter);
    if (isKeptDue) keep();
  }

  function beUnsure(verdict: Verdict): void {
    boot ??= boots!.add(machine.bootId, Math.floor(floorMs() - upMs()));
    const { number, baseMs } = boot;
    ownAheadMs = baseMs;
    doubt ??= {
      boot: number,
      bootId: machine.bootId,
      upMs: (stampMs) => stampMs - baseMs,
      get records() {
        return unsureRecords;
      },
      set records(count) {
        unsureRecords = count;
      },
    };
    become('unsure', verdict.why);
  }

  function goOn(aheadMs: number, reason: string): void {
    ownAheadMs = aheadMs;
    become('kept', reason);
  }

  function become(next: TimesState, reason: string): void {
    why = reason;
    if (state === next) return;
    state = next;
    sinceMs = system.monotonicMs();
    const time = new Date(system.wallMs()).toISOString();
    if (next === 'unsure' || next === 'kept') trace.warn(`the wall clock is not believed`, { time, why });
    else trace.info('the wall clock is believed', { time, state, why });
  }

  /** The time of this boot is known: what it stamped is right from here on. */
  function resolve(aheadMs: number, isBetter: boolean): void {
    boots!.endBefore(aheadMs, boot);
    const shiftMs = boot === undefined ? 0 : Math.round(aheadMs - boot.baseMs);
    const isDue = boot !== undefined && (boot.shiftMs === undefined || (isBetter && boot.shiftMs !== shiftMs));
    if (isDue) {
      boots!.resolve(boot!, shiftMs);
      isKeptDue = true;
      trace.info('the times of this boot are known', { boot: machine.bootId, shiftMs, records: unsureRecords });
    }
    if (doubt !== undefined) doubt.shiftMs = shiftMs;
    doubt = undefined;
    for (const tell of waiting) tell();
    waiting.clear();
  }

  function noteJump(aheadMs: number, up: number, isSynchronised: boolean): void {
    let byMs: number | undefined;
    if (anchor === undefined) byMs = passage.begin(aheadMs, isSynchronised);
    else if (Math.abs(aheadMs - anchor.aheadMs) >= JUMP_MS) {
      byMs = aheadMs - anchor.aheadMs;
      passage.jump(up, byMs);
    }
    if (byMs === undefined) return;
    jumps += 1;
    isKeptDue = true;
    trace.warn('the wall clock has jumped', { bySeconds: Math.round(byMs / 1000) });
  }

  function keep(): void {
    if (marks === undefined || isClosed) return;
    isKeptDue = false;
    keptAtUpMs = upMs();
    keepAfterMs = KEEP_MS;
    marks.set(SEEN_KEY, encodeSeen(seen()));
  }

  function seen(): Seen {
    const up = upMs();
    const known = anchor === undefined ? {} : { timeMs: anchor.aheadMs + up, isSynchronised: anchor.isSynchronised };
    const isKnown = anchor !== undefined;
    return { bootId: machine.bootId, upMs: up, isKnown, floorMs: floorMs(), ...passage.kept(up), ...known };
  }

  function recall(found: Seen | undefined): void {
    boot = boots!.find(machine.bootId);
    if (boot?.shiftMs !== undefined) anchor = { aheadMs: boot.baseMs + boot.shiftMs, isSynchronised: false };
    if (found === undefined) return;
    const isSameBoot = found.bootId === machine.bootId && found.upMs <= upMs();
    passage.recall(found, isSameBoot);
    const ranMs = isSameBoot ? upMs() - found.upMs : upMs();
    floor = { ms: Math.max(machine.builtMs, found.floorMs + ranMs), atUpMs: upMs() };
    if (isSameBoot && found.isKnown && found.timeMs !== undefined) {
      anchor = { aheadMs: found.timeMs - found.upMs, isSynchronised: found.isSynchronised };
    }
  }

  function status(): TimesStatus {
    const all = boots?.all() ?? [];
    return {
      state,
      why,
      sinceSeconds: (system.monotonicMs() - sinceMs) / 1000,
      timeMs: wallMs(),
      systemMs: system.wallMs(),
      bootId: machine.bootId,
      unsureRecords,
      boots: all.length,
      unknownBoots: all.filter(({ shiftMs }) => shiftMs === undefined).length,
      jumps,
      ...(passage.jumps.length > 0 && { lastJumpSeconds: passage.jumps.at(-1)!.byMs / 1000 }),
    };
  }

  const clock: Clock = {
    wallMs,
    get doubt() {
      return doubt;
    },
    systemMs: () => system.wallMs(),
    monotonicMs: () => system.monotonicMs(),
    after: (delayMs, fn) => system.after(delayMs, fn),
    every: (intervalMs, fn) => system.every(intervalMs, fn),
    sleep: (delayMs, signal) => system.sleep(delayMs, signal),
  };
  look();

  return {
    clock,
    async load(found) {
      evidence = await firstAnswer;
      marks = found;
      boots = loadBoots(found);
      recall(decodeSeen(found.entries(SEEN_KEY)));
      look();
    },
    shiftOf: (number) => boots?.shiftOf(number),
    latestOf: (number, stampMs) => boots?.latestOf(number, stampMs),
    holdMs(number, stampMs, holdMs) {
      if (doubt?.boot !== number) return 0;
      return Math.max(0, Math.min(holdMs, stampMs + holdMs - wallMs()));
    },
    whenKnown(signal) {
      if (signal.aborted || doubt === undefined) return Promise.resolve();
      return new Promise((resolve) => {
        const tell = (): void => {
          waiting.delete(tell);
          signal.removeEventListener('abort', tell);
          resolve();
        };
        waiting.add(tell);
        signal.addEventListener('abort', tell, { once: true });
      });
    },
    nowFor(ageMs) {
      look();
      if (state === 'unsure') return undefined;
      return wallMs() - passage.behindMs(upMs(), ageMs);
    },
    status,
    metrics: () => metricsOf(status()),
    close() {
      if (upMs() - keptAtUpMs >= CLOSE_KEEP_MS) keep();
      isClosed = true;
      timer.cancel();
    },
  };
}
