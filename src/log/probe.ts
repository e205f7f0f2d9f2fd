// The watchdog's proof. A commit is one; where the card refuses writes, a read is: nobody would be helped by a process that is
// ended because the disk is full.

import type { Clock } from '../clock.ts';
import type { Store } from '../store/store.ts';
import type { Commits } from './commits.ts';

export interface ProbeNeeds {
  commits: Commits;
  store: Store;
  clock: Clock;
}

const PROBE_MARK = 'probe';
const LOOK_MS = 250;

/** Resolves with the proof. A card that answers neither way leaves it open. */
export async function proveAlive(withinMs: number, { commits, store, clock }: ProbeNeeds): Promise<void> {
  if (clock.monotonicMs() - commits.counters.lastAtMs < withinMs) return;
  if (store.failure() !== undefined) return store.proveReadable();
  const commit = commits.mark(PROBE_MARK, Buffer.from(String(clock.wallMs()))).done();
  // One that the close of the log cuts short while a read is the proof is nobody's to hear of.
  commit.catch(() => undefined);
  const done = new AbortController();
  await Promise.race([commit, refused(done.signal)]).finally(() => done.abort());

  /** That write may be what finds the disk full. */
  async function refused(signal: AbortSignal): Promise<void> {
    while (store.failure() === undefined) {
      await clock.sleep(LOOK_MS, signal);
      if (signal.aborted) return;
    }
    await store.proveReadable();
  }
}
