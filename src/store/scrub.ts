// Reading what lies still, slowly, so that damage is found while what is around it is still there: every sealed segment in
// turn, oldest first, with every checksum. It reads at SCRUB_BYTES_PER_SECOND, past LevelDB and mapped memory, and begins
// again a week after it began. Where it was is not kept over a restart: it waits for a while and begins anew.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import type { SealedRow } from './catalogue.ts';
import { faultIn } from './inspection.ts';

export interface ScrubStatus {
  /** Segments and bytes looked at since the start, and segments found damaged. */
  segments: number;
  bytes: number;
  damaged: number;
}

export interface ScrubNeeds {
  sealed: () => SealedRow[];
  folderOf: (id: number) => string;
  /** Mends a segment that is damaged; false when it is not. */
  mend: (id: number, fault: string) => Promise<unknown>;
  clock: Clock;
  trace: Trace;
  /** For tests: default 1 MiB. */
  bytesPerSecond?: number;
  /** For tests: default ten minutes after the start. */
  firstMs?: number;
}

export interface Scrub {
  status(): ScrubStatus;
  close(): Promise<void>;
}

const BYTES_PER_SECOND = 1024 * 1024;
const FIRST_MS = 10 * 60_000;
const PASS_MS = 7 * 24 * 3600_000;
/** Pauses shorter than this are saved up: a timer costs more than a block. */
const PAUSE_MS_MIN = 250;
const LOOK_MS = 60_000;

/** Starts it. */
export function openScrub(needs: ScrubNeeds): Scrub {
  const { clock, trace } = needs;
  const rate = needs.bytesPerSecond ?? BYTES_PER_SECOND;
  const closing = new AbortController();
  const { signal } = closing;
  const status: ScrubStatus = { segments: 0, bytes: 0, damaged: 0 };
  let owedMs = 0;

  async function pause(bytes: number): Promise<void> {
    if (signal.aborted) throw new Stopped();
    status.bytes += bytes;
    owedMs += (bytes / rate) * 1000;
    if (owedMs < PAUSE_MS_MIN) return;
    await clock.sleep(owedMs, signal);
    owedMs = 0;
  }

  async function run(): Promise<void> {
    await clock.sleep(needs.firstMs ?? FIRST_MS, signal);
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      await pass();
      while (!signal.aborted && clock.monotonicMs() - startedMs < PASS_MS) await clock.sleep(LOOK_MS, signal);
    }
  }

  async function pass(): Promise<void> {
    for (let last = -1; !signal.aborted;) {
      const next = needs.sealed().find(({ id }) => id > last);
      if (next === undefined) return;
      last = next.id;
      await look(next);
    }
  }

  async function look(row: SealedRow): Promise<void> {
    const { id } = row;
    try {
      const { fault } = await faultIn(needs.folderOf(id), 'whole', pause);
      // Retention may have removed it meanwhile, or cleaning have put another in its place.
      if (!needs.sealed().includes(row)) return;
      status.segments += 1;
      if (fault === undefined) return;
      if ((await needs.mend(id, fault)) !== false) status.damaged += 1;
    } catch (error) {
      if (!(error instanceof Stopped))
        trace.limited('a segment was not looked at', { segment: id, reason: messageOf(error) });
    }
  }

  const running = run();
  return {
    status: () => ({ ...status }),
    async close() {
      closing.abort();
      await running;
    },
  };
}

class Stopped extends Error {}
