// The wear of the card in two lines of `headwater status`: what the commit setting may cost, and what was measured.

import { formatAge, formatAmount, formatDuration, formatLife } from '../config-units.ts';
import type { Headwater } from '../headwater.ts';

type Wear = ReturnType<Headwater['status']>['wear'];

export function wearLines({ commit, card, total, recent, yearsLeft }: Wear): string[] {
  const { intervalMs, bytesPerDayMax, yearsMin } = commit;
  const life = `${formatAmount(card.enduranceBytes)} in the life of the card (${card.profile}, ${formatAmount(card.bytes)})`;
  const isEarly = yearsLeft === undefined;
  const [own, all] = isEarly
    ? [total.processBytes, total.deviceBytes]
    : [recent.processBytesPerDay, recent.deviceBytesPerDay];
  const pace = isEarly ? '' : ' a day';
  const writers = [`${formatAmount(own)}${pace} by headwater`];
  if (recent.writtenPerStoredByte !== undefined) {
    writers.push(`${recent.writtenPerStoredByte.toFixed(1)} for each byte stored`);
  }
  if (all !== undefined) writers.push(`${formatAmount(all)}${pace} by everybody on ${card.device}`);
  const lasts = isEarly ? 'too early to tell how long it lasts' : `${formatLife(yearsLeft)} left`;
  return [
    `  commits: one each ${formatDuration(intervalMs)}, at most ${formatAmount(bytesPerDayMax)} a day, ${formatLife(yearsMin)} of ${life}\n`,
    `  written: ${writers.join(', ')}; ${lasts}, measured over ${formatAge(recent.seconds * 1000)}\n`,
    ...(card.lifeUsed === undefined ? [] : [`  the card itself says: ${100 * card.lifeUsed} % used at most\n`]),
  ];
}
