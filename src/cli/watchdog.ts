// systemd's watchdog, fed by proof: a timer alone would also ping for a process whose card has hung.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Notifier } from '../systemd.ts';
import type { Trace } from '../trace.ts';

export interface WatchNeeds {
  notifier: Notifier;
  clock: Clock;
  trace: Trace;
}

/**
 * Tells systemd that the service works, at twice the pace that it asks for, and each time only after an append and its
 * sync worked within the last half of that time. A card that hangs is therefore seen, and the process is started again.
 * Returns the way to stop it.
 */
export function watch(alive: (withinMs: number) => Promise<void>, needs: WatchNeeds): () => void {
  const { notifier, clock, trace } = needs;
  const { watchdogMs } = notifier;
  if (watchdogMs === undefined) return () => undefined;
  let isAsking = false;
  const timer = clock.every(watchdogMs / 2, () => void ask(watchdogMs / 2));

  async function ask(withinMs: number): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    try {
      await alive(withinMs);
      notifier.watchdog();
    } catch (error) {
      trace.warn('the watchdog is not told that all is well', { reason: messageOf(error) });
    } finally {
      isAsking = false;
    }
  }

  return () => timer.cancel();
}
