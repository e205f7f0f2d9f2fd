// Looking on at a port: what it receives and sends, the records that come of it, and what befalls it. Events are kept
// only while somebody looks, in a ring with a bound: a watcher that is slow misses the oldest and is told how many. The
// port never waits for a watcher.

import type { Clock, Timer } from '../clock.ts';

/** What happened: bytes came or were sent, a frame of a protocol was among them, a record was made of some (with topic and key), or the state changed. */
export interface PortEvent {
  /** Wall clock. */
  atMs: number;
  kind: 'received' | 'sent' | 'frame' | 'record' | 'state';
  data?: Buffer;
  topic?: string;
  key?: Buffer | null;
  /** Of a frame: which way it goes, and what it says. */
  way?: 'received' | 'sent';
  words?: string;
  state?: string;
  reason?: string;
}

export interface EventsPage {
  /** In order; data is cut at EVENT_BYTES_MAX, and `bytes` is what it was. */
  events: (PortEvent & { bytes: number })[];
  /** Events that were missed before these. */
  missed: number;
  /** Where to go on. */
  next: number;
}

export interface Monitor {
  /** False: nobody looks, and add() need not be called. */
  isOn(): boolean;
  add(event: PortEvent): void;
  /**
   * Events from number `from` on (undefined: from here on), as soon as there are any, or none after `waitMs`, or at
   * once when `signal` aborts. Events are kept for half a minute after each call.
   */
  read(from: number | undefined, waitMs: number, signal: AbortSignal): Promise<EventsPage>;
  close(): void;
}

export const EVENT_BYTES_MAX = 4096;
const RING_BYTES_MAX = 256 * 1024;
/** What an event costs beyond its data. */
const EVENT_OVERHEAD_BYTES = 64;
const LEASE_MS = 30_000;
/** One answer carries what comes within this time, so that a busy port is not asked for each chunk. */
const GATHER_MS = 50;

export function createMonitor(clock: Clock): Monitor {
  let events: EventsPage['events'] = [];
  let bytes = 0;
  /** Number of the first event that is kept. */
  let first = 0;
  let lease: Timer | undefined;
  let wakes = new Set<() => void>();

  function add(event: PortEvent): void {
    const { data } = event;
    const shown = data === undefined ? {} : { data: data.subarray(0, EVENT_BYTES_MAX) };
    const kept = { ...event, ...shown, bytes: data?.length ?? 0 };
    events.push(kept);
    bytes += costOf(kept);
    while (bytes > RING_BYTES_MAX) drop(Math.ceil(events.length / 8));
    for (const wake of wakes) wake();
    wakes = new Set();
  }

  /** Some at a time: shortening a list costs as much as it is long. */
  function drop(count: number): void {
    for (const event of events.splice(0, count)) bytes -= costOf(event);
    first += count;
  }

  function renew(): void {
    lease?.cancel();
    lease = clock.after(LEASE_MS, off);
  }

  function off(): void {
    lease?.cancel();
    lease = undefined;
    drop(events.length);
  }

  async function read(from: number | undefined, waitMs: number, signal: AbortSignal): Promise<EventsPage> {
    renew();
    const end = first + events.length;
    const start = Math.min(from ?? end, end);
    if (start === end && waitMs > 0) await whenAdded(waitMs, signal);
    renew();
    const shown = events.slice(Math.max(0, start - first));
    return { events: shown, missed: Math.max(0, first - start), next: first + events.length };
  }

  async function whenAdded(waitMs: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const wake = (): void => over.abort();
    wakes.add(wake);
    await clock.sleep(waitMs, AbortSignal.any([over.signal, signal]));
    wakes.delete(wake);
    if (over.signal.aborted) await clock.sleep(GATHER_MS, signal);
  }

  return { isOn: () => lease !== undefined, add, read, close: off };
}

function costOf(event: { data?: Buffer; words?: string }): number {
  return EVENT_OVERHEAD_BYTES + (event.data?.length ?? 0) + (event.words?.length ?? 0);
}
