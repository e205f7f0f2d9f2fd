// The clock in `headwater status`: one line, and a second one when something about it needs to be known.

import { formatAge } from '../config-units.ts';
import type { Headwater } from '../headwater.ts';

type ClockStatus = ReturnType<Headwater['status']>['clock'];

export function clockLines(clock: ClockStatus): string[] {
  const { state, why, sinceSeconds, timeMs, systemMs, unsureRecords, unknownBoots, jumps, lastJumpSeconds = 0 } = clock;
  const isBelieved = state === 'synchronised' || state === 'plausible';
  const lines = [`  clock: ${state} for ${formatAge(sinceSeconds * 1000)}, ${textOf(systemMs)}: ${why}\n`];
  if (!isBelieved) lines.push(`  ! the wall clock is not believed: records bear ${textOf(timeMs)}\n`);
  if (unsureRecords > 0) {
    const fate = state === 'unsure' ? 'are to be put right' : 'were put right';
    lines.push(`  ${unsureRecords} records were stamped before the time was known, and ${fate}\n`);
  }
  const ended = state === 'unsure' ? unknownBoots - 1 : unknownBoots;
  if (ended > 0) lines.push(`  ${ended} boots ended before their time was known: their records stay unsure\n`);
  if (jumps > 0) {
    const way = lastJumpSeconds < 0 ? 'back' : 'ahead';
    lines.push(`  ! it has jumped ${jumps} times, last by ${formatAge(Math.abs(lastJumpSeconds) * 1000)} ${way}\n`);
  }
  return lines;
}

function textOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
