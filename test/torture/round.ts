// What every fault's round has: the load before it, and what it tells of itself.

import type { Random } from '../fuzz/random.ts';
import { pause } from '../parts/until.ts';
import type { Site } from './site.ts';

export interface Round {
  /** What was done, in words. */
  what: string;
  /** From the start of the process, or from the end of the fault, to the next acknowledgement of a sensor. */
  recoveryMs: number;
  /** Records of which the damaged bytes held some. */
  held?: number;
}

/** All write, or at least a sensor, for a random time. */
export async function underLoad(site: Site, random: Random): Promise<void> {
  await site.goesOn(random.below(3) === 0 ? 'all' : 'a sensor');
  await pause(random.below(600));
}
