// When the offsets of a group that nobody uses go. Time is counted while headwater runs, and no clock that can jump is
// asked: a card that lay in a drawer for a year, or whose clock was wrong by ten, comes back with all its offsets. To
// spare the card, what is known of it is written once an hour; a crash only makes offsets live longer.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import type { GroupKind } from './offset-marks.ts';
import type { Offsets } from './offsets.ts';

export interface Expiry {
  /** The group has members. */
  used(groupId: string, type: string, kind: GroupKind): void;
  /** Its last member went. */
  left(groupId: string): void;
  /** Offsets were committed without members. */
  touched(groupId: string): void;
  close(): void;
}

export interface ExpiryNeeds {
  offsets: Offsets;
  clock: Clock;
  trace: Trace;
  retentionMs: number;
}

const LOOK_MS_MAX = 3600_000;
const LOOK_MS_MIN = 1000;

export function keepExpiring({ offsets, clock, trace, retentionMs }: ExpiryNeeds): Expiry {
  const lookMs = Math.max(LOOK_MS_MIN, Math.min(LOOK_MS_MAX, retentionMs / 24));
  const timer = clock.every(lookMs, look);

  function look(): void {
    const now = offsets.uptimeMs();
    if (offsets.size > 0) offsets.writeUptime();
    for (const group of offsets.all()) {
      if (group.idleSinceMs === undefined) continue;
      if (now - group.idleSinceMs >= retentionMs) expire(group.id, now - group.idleSinceMs);
      else if (group.keptIdleSinceMs !== group.idleSinceMs) offsets.writeGroup(group);
    }
  }

  function expire(groupId: string, idleMs: number): void {
    trace.info('offsets of a group that nobody uses are removed', { group: groupId, idleHours: idleMs / 3600_000 });
    offsets.remove(groupId).catch((error: unknown) => {
      trace.warn('offsets were not removed', { group: groupId, reason: messageOf(error) });
    });
  }

  /** What the card says of an idle time that is over must not expire the group after a crash. */
  function correct(groupId: string, idleSinceMs: number | undefined, type?: string, kind?: GroupKind): void {
    const group = offsets.get(groupId);
    if (group === undefined) return;
    const isOtherType = type !== undefined && type !== '' && type !== group.type;
    const isOtherKind = kind !== undefined && kind !== group.kind;
    if (isOtherType) group.type = type;
    if (isOtherKind) group.kind = kind;
    group.idleSinceMs = idleSinceMs;
    const kept = group.keptIdleSinceMs;
    const isStale = kept !== undefined && kept !== null && (idleSinceMs ?? offsets.uptimeMs()) - kept > lookMs;
    if (isStale || isOtherType || isOtherKind) offsets.writeGroup(group);
  }

  return {
    used: (groupId, type, kind) => correct(groupId, undefined, type, kind),
    left(groupId) {
      const group = offsets.get(groupId);
      if (group !== undefined) group.idleSinceMs = offsets.uptimeMs();
    },
    touched: (groupId) => correct(groupId, offsets.uptimeMs()),
    close: () => timer.cancel(),
  };
}
