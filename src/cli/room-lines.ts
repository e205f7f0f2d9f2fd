// What `headwater status` says of room: how much is left for records, how long it lasts, and what had to go.

import { formatAge, formatAmount } from '../config-units.ts';
import type { Headwater } from '../headwater.ts';

type LogStatus = ReturnType<Headwater['status']>['log'];

export function roomLines({ room, state, dropped }: LogStatus): string[] {
  const { leftBytes, recordBytesMax, keptBytes, owedBytes, fullSeconds, drainSeconds } = room;
  const left = `${formatAmount(leftBytes)} left of ${formatAmount(recordBytesMax)}`;
  const kept = `${formatAmount(keptBytes)} may not go, ${formatAmount(owedBytes)} of them wait for a mirror`;
  const full = fullSeconds === undefined ? '' : `; full in ${formatAge(fullSeconds * 1000)}`;
  const drained = drainSeconds === undefined ? '' : `; sent in ${formatAge(drainSeconds * 1000)}`;
  const lines = [`  room for records: ${state === 'ok' ? left : `none, ${state}`}; ${kept}${full}${drained}\n`];
  if (dropped.records > 0) {
    lines.push(
      `  ! ${dropped.records} of the oldest records were dropped for want of room: \`headwater gaps\` lists them\n`,
    );
  }
  return lines;
}
