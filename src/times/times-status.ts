// What the room tells of the clock.

import { counter, gauge, type Metric } from '../metrics.ts';

/** See times.ts for what each means. */
export type TimesState = 'synchronised' | 'plausible' | 'kept' | 'unsure';

const STATES: readonly TimesState[] = ['synchronised', 'plausible', 'kept', 'unsure'];

export interface TimesStatus {
  state: TimesState;
  /** Why, in a few words. */
  why: string;
  sinceSeconds: number;
  /** What records are stamped with, and what the system's wall clock says, ms since 1970. */
  timeMs: number;
  systemMs: number;
  bootId: string;
  /** Records that were stamped since the start while nobody knew the time. */
  unsureRecords: number;
  /** Boots that are remembered because of such records, and those of them whose time is not known. */
  boots: number;
  unknownBoots: number;
  /** Jumps of the wall clock since the start by a minute or more, and the last one that is remembered. */
  jumps: number;
  lastJumpSeconds?: number;
}

export function metricsOf({ state, unsureRecords, unknownBoots, jumps, timeMs, systemMs }: TimesStatus): Metric[] {
  const states = STATES.map((each) => ({ labels: { state: each }, value: each === state ? 1 : 0 }));
  return [
    gauge('clock_state', 'How far the wall clock is believed: 1 for the state that it is in.', states),
    gauge('clock_ahead_seconds', 'Time of records less the wall clock of the system.', (timeMs - systemMs) / 1000),
    gauge('clock_unknown_boots', 'Boots with records whose time is not known.', unknownBoots),
    counter('clock_unsure_records_total', 'Records stamped while nobody knew the time.', unsureRecords),
    counter('clock_jumps_total', 'Jumps of the wall clock by a minute or more.', jumps),
  ];
}
