// A machine without a battery: it is switched on and off, its wall clock is set by whoever likes, and its card (the
// marks) stays. Its two clocks move only when the test moves them.

import { NO_EVIDENCE, type Evidence } from '../../src/times/judge.ts';
import { createTimes, type Times, type Trust } from '../../src/times/times.ts';
import { createTrace } from '../../src/trace.ts';
import { fakeClock } from './clock.ts';

export interface FakeMachine {
  /** The room of the process that runs. */
  readonly times: Times;
  readonly card: Map<string, Buffer>;
  /** How many marks were set in all. */
  writes(): number;
  /** Time passes, and the wall clock goes on. */
  pass(ms: number): Promise<void>;
  /** Sets the wall clock. */
  setWall(ms: number): void;
  setEvidence(evidence: Partial<Evidence>): void;
  /** The process ends without a word, and another one starts in the same boot. */
  restart(): Promise<void>;
  /** The power goes; at the next start the wall clock says `wallMs`, by default what it said at the first. */
  reboot(wallMs?: number): Promise<void>;
  wallMs(): number;
}

export interface FakeMachineNeeds {
  wallMs: number;
  builtMs?: number;
  trust?: Trust;
  evidence?: Partial<Evidence>;
  /** A log is opened with each `times`, and its marks are the card. */
  isLoadedByLog?: boolean;
}

export async function fakeMachine(needs: FakeMachineNeeds): Promise<FakeMachine> {
  const card = new Map<string, Buffer>();
  const trace = createTrace({ level: 'error', write: () => undefined });
  let clock = fakeClock(needs.wallMs);
  let setMs = 0;
  let boot = 1;
  let bootAtMs = 0;
  let evidence: Evidence = { ...NO_EVIDENCE, ...needs.evidence };
  let writes = 0;
  let times: Times;

  async function start(): Promise<void> {
    const monotonic = clock;
    times = createTimes({
      clock: { ...monotonic, wallMs: () => monotonic.wallMs() + setMs },
      trace,
      machine: {
        bootId: `boot-${boot}`,
        upMs: () => monotonic.monotonicMs() - bootAtMs,
        builtMs: needs.builtMs ?? Date.UTC(2026, 0, 1),
        ask: async () => evidence,
        hasNews: async () => evidence.isSynchronised === true,
      },
      trust: needs.trust ?? 'auto',
    });
    if (needs.isLoadedByLog === true) return;
    await times.load({
      entries: (prefix) => [...card].filter(([key]) => key.startsWith(prefix)),
      set(key, value) {
        writes += 1;
        if (value === null) card.delete(key);
        else card.set(key, value);
      },
    });
  }

  await start();
  return {
    get times() {
      return times;
    },
    card,
    writes: () => writes,
    async pass(ms) {
      clock.advance(ms);
      // What it asks of the machine is answered in later turns.
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    },
    setWall(ms) {
      setMs += ms - (clock.wallMs() + setMs);
    },
    setEvidence(given) {
      evidence = { ...evidence, ...given };
    },
    async restart() {
      const at = clock.monotonicMs();
      const wallMs = clock.wallMs();
      clock = fakeClock(wallMs - at);
      clock.advance(at);
      await start();
    },
    async reboot(wallMs = needs.wallMs) {
      clock = fakeClock(wallMs);
      setMs = 0;
      boot += 1;
      bootAtMs = 0;
      evidence = { ...NO_EVIDENCE, ...needs.evidence };
      await start();
    },
    wallMs: () => clock.wallMs() + setMs,
  };
}
