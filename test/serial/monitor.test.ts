import { expect, test } from 'vitest';
import { createMonitor, EVENT_BYTES_MAX, type EventsPage, type Monitor } from '../../src/serial/monitor.ts';
import { fakeClock } from '../fakes/clock.ts';

const never = new AbortController().signal;

function add(monitor: Monitor, data: string | Buffer): void {
  if (monitor.isOn()) monitor.add({ atMs: 5, kind: 'received', data: Buffer.from(data) });
}

function texts({ events }: EventsPage): string[] {
  return events.map(({ data }) => String(data));
}

test('nothing is kept until somebody looks, nor half a minute after', async () => {
  const clock = fakeClock();
  const monitor = createMonitor(clock);
  add(monitor, 'before');
  expect(monitor.isOn()).toBe(false);
  expect(await monitor.read(undefined, 0, never)).toEqual({ events: [], missed: 0, next: 0 });
  add(monitor, 'one');
  expect(texts(await monitor.read(0, 0, never))).toEqual(['one']);
  clock.advance(30_000);
  expect(monitor.isOn()).toBe(false);
  expect(await monitor.read(0, 0, never)).toEqual({ events: [], missed: 1, next: 1 });
});

test('who asks for more waits for it, and is told what comes shortly after as well', async () => {
  const clock = fakeClock();
  const monitor = createMonitor(clock);
  const { next } = await monitor.read(undefined, 0, never);
  const waiting = monitor.read(next, 10_000, never);
  clock.advance(1000);
  add(monitor, 'one');
  await new Promise(setImmediate);
  clock.advance(20);
  add(monitor, 'two');
  clock.advance(30);
  expect(texts(await waiting)).toEqual(['one', 'two']);
  const inVain = monitor.read(2, 10_000, never);
  clock.advance(10_000);
  expect(await inVain).toEqual({ events: [], missed: 0, next: 2 });
});

test('a watcher that is slow misses the oldest and is told how many; memory is bounded', async () => {
  const monitor = createMonitor(fakeClock());
  const { next } = await monitor.read(undefined, 0, never);
  for (let count = 0; count < 100_000; count += 1) add(monitor, `event ${count}`);
  const page = await monitor.read(next, 0, never);
  expect(page.missed + page.events.length).toBe(100_000);
  expect(page.events.length).toBeLessThan(5000);
  expect(texts(page).at(-1)).toBe('event 99999');
  expect(texts(page)[0]).toBe(`event ${page.missed}`);
});

test('long data is cut, and its length is told', async () => {
  const monitor = createMonitor(fakeClock());
  await monitor.read(undefined, 0, never);
  add(monitor, Buffer.alloc(100_000));
  const [event] = (await monitor.read(0, 0, never)).events;
  expect([event?.bytes, event?.data?.length]).toEqual([100_000, EVENT_BYTES_MAX]);
});

test('closing and aborting end the waiting, and leave no timer', async () => {
  const clock = fakeClock();
  const monitor = createMonitor(clock);
  const abort = new AbortController();
  const waiting = monitor.read(undefined, 10_000, abort.signal);
  abort.abort();
  expect((await waiting).events).toEqual([]);
  monitor.close();
  expect(clock.timers()).toBe(0);
});
