// Sealed segments that are open for reading: a few at a time, the one that was used longest ago is closed first, and each
// when it was not used for a while. Opening one costs a millisecond and keeps the index of its tables in memory.

import type { Clock } from '../clock.ts';
import type { SealedSegment } from './sealed-segment.ts';

const OPEN_MAX = 3;
const IDLE_MS = 5_000;

export interface Readers {
  /** Runs `read` on the sealed segment of that id, opened if need be. */
  use<T>(id: number, read: (segment: SealedSegment) => Promise<T>): Promise<T>;
  /** Closes one, after its last reader. */
  close(id: number): Promise<void>;
  closeAll(): Promise<void>;
}

interface Entry {
  segment: Promise<SealedSegment>;
  users: number;
  usedMs: number;
  whenIdle?: () => void;
}

export function openReaders(open: (id: number) => Promise<SealedSegment>, clock: Clock): Readers {
  // In order of use: a Map keeps the order in which its keys were set.
  const entries = new Map<number, Entry>();
  const closings = new Map<number, Promise<void>>();

  function entryOf(id: number): Entry {
    const found = entries.get(id);
    if (found !== undefined) {
      entries.delete(id);
      entries.set(id, found);
      return found;
    }
    const segment = (closings.get(id) ?? Promise.resolve()).then(() => open(id));
    const entry: Entry = { segment, users: 0, usedMs: clock.monotonicMs() };
    segment.catch(() => entries.delete(id));
    entries.set(id, entry);
    return entry;
  }

  function trim(): void {
    const idleSinceMs = clock.monotonicMs() - IDLE_MS;
    for (const [id, { users, usedMs }] of entries) {
      // A failed close leaves a segment that can't be opened again: the next read of it says so.
      if (users === 0 && (entries.size > OPEN_MAX || usedMs < idleSinceMs)) close(id).catch(() => undefined);
    }
  }

  const timer = clock.every(IDLE_MS / 2, trim);

  function close(id: number): Promise<void> {
    const entry = entries.get(id);
    if (entry === undefined) return closings.get(id) ?? Promise.resolve();
    entries.delete(id);
    const closing = whenIdle(entry)
      .then(() => entry.segment)
      .then((segment) => segment.close())
      .finally(() => closings.delete(id));
    closings.set(id, closing);
    return closing;
  }

  return {
    async use(id, read) {
      const entry = entryOf(id);
      entry.users += 1;
      trim();
      try {
        return await read(await entry.segment);
      } finally {
        entry.users -= 1;
        entry.usedMs = clock.monotonicMs();
        if (entry.users === 0) entry.whenIdle?.();
      }
    },
    close,
    async closeAll() {
      timer.cancel();
      await Promise.all([...entries.keys()].map(close));
      await Promise.all(closings.values());
    },
  };
}

function whenIdle(entry: Entry): Promise<void> {
  if (entry.users === 0) return Promise.resolve();
  return new Promise((resolve) => {
    entry.whenIdle = resolve;
  });
}
