// What goes of a topic's records by the topic's own rules (Kafka's cleanup.policy).
//
//   delete          records go by age and by bytes (retention.ts)
//   compact         of each key the latest record stays; an empty value (a tombstone) says that the key is gone, and goes
//                   itself `deleteRetentionMs` after it was first cleaned
//   compact,delete  both
//
// And whether age and bytes wait for a mirror: `mirrored` keeps all that one has not sent, `none` does not. Compaction waits in
// any case: upstream records are counted, and those that may be there already must not change here.

import { HeadwaterError } from '../errors.ts';

export const CLEANUPS = ['delete', 'compact', 'compact,delete'] as const;
export type Cleanup = (typeof CLEANUPS)[number];

export const PINS = ['mirrored', 'none'] as const;
export type Pin = (typeof PINS)[number];

export interface CleanupSettings {
  cleanup: Cleanup;
  /** Records older than this go, ms; -1 keeps them for ever. Default seven days. */
  retentionMs: number;
  /** Oldest batches go while a partition holds more than this; -1 is no limit. Default -1. */
  retentionBytes: number;
  /** How long a tombstone stays after it was first cleaned, ms. Default a day. */
  deleteRetentionMs: number;
  /** Compaction leaves younger records as they are, ms. Default 0. */
  compactionLagMinMs: number;
  /** A superseded record is gone so long after it came, whatever the dirty ratio says, ms; -1 is no limit. Default -1. */
  compactionLagMaxMs: number;
  /** Compaction waits until such a part of the bytes was not cleaned yet, 0 to 1. Default 0.5. */
  dirtyRatioMin: number;
  pin: Pin;
}

const DAY_MS = 24 * 3600 * 1000;

export const DEFAULT_CLEANUP: CleanupSettings = {
  cleanup: 'delete',
  retentionMs: 7 * DAY_MS,
  retentionBytes: -1,
  deleteRetentionMs: DAY_MS,
  compactionLagMinMs: 0,
  compactionLagMaxMs: -1,
  dirtyRatioMin: 0.5,
  pin: 'mirrored',
};

export function isCompacted({ cleanup }: Pick<CleanupSettings, 'cleanup'>): boolean {
  return cleanup !== 'delete';
}

/** True where age and bytes count. */
export function isDeleted({ cleanup }: Pick<CleanupSettings, 'cleanup'>): boolean {
  return cleanup !== 'compact';
}

/** Throws TOPIC_INVALID. */
export function checkCleanup(settings: CleanupSettings): void {
  const { retentionMs, retentionBytes, deleteRetentionMs, compactionLagMinMs, compactionLagMaxMs } = settings;
  checkWhole({ retentionMs, retentionBytes, compactionLagMaxMs }, -1);
  checkWhole({ deleteRetentionMs, compactionLagMinMs }, 0);
  checkOneOf('cleanup', settings.cleanup, CLEANUPS);
  checkOneOf('pin', settings.pin, PINS);
  if (!(settings.dirtyRatioMin >= 0 && settings.dirtyRatioMin <= 1)) {
    throw new HeadwaterError('TOPIC_INVALID', `dirtyRatioMin ${settings.dirtyRatioMin}: use 0 to 1`);
  }
  if (compactionLagMaxMs >= 0 && compactionLagMaxMs < compactionLagMinMs) {
    const text = `compactionLagMaxMs ${compactionLagMaxMs}: use no less than compactionLagMinMs, ${compactionLagMinMs}`;
    throw new HeadwaterError('TOPIC_INVALID', text);
  }
}

function checkWhole(values: Record<string, number>, least: number): void {
  for (const [what, value] of Object.entries(values)) {
    if (Number.isSafeInteger(value) && value >= least) continue;
    throw new HeadwaterError('TOPIC_INVALID', `${what} ${value}: use ${least} or more`);
  }
}

/** Throws TOPIC_INVALID. */
export function checkOneOf(what: string, value: string, words: readonly string[]): void {
  if (words.includes(value)) return;
  throw new HeadwaterError('TOPIC_INVALID', `${what} ${value}: use ${words.join(' or ')}`);
}
