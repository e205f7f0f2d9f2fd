// Which way to systemd is taken, by the environment alone. The messages themselves need a socket: see the long suite.
import { expect, test } from 'vitest';
import { openNotifier } from '../src/systemd.ts';
import { createTrace } from '../src/trace.ts';

const trace = createTrace({ write: () => undefined });

function watchdogMs(env: Record<string, string>): number | undefined {
  return openNotifier({ env, pid: 42, trace }).watchdogMs;
}

test('without systemd every call does nothing', () => {
  const notifier = openNotifier({ env: {}, pid: 42, trace });
  notifier.ready('x');
  notifier.watchdog();
  notifier.stopping();
  expect(notifier.watchdogMs).toBeUndefined();
});

test('the watchdog is for this process only', () => {
  expect(watchdogMs({ WATCHDOG_USEC: '30000000' })).toBe(30_000);
  expect(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '42' })).toBe(30_000);
  expect(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' })).toBeUndefined();
  expect(watchdogMs({ WATCHDOG_USEC: '0' })).toBeUndefined();
  expect(watchdogMs({ WATCHDOG_USEC: 'x' })).toBeUndefined();
});

test('a descriptor that cannot be written is told in the log and stops nothing', () => {
  const lines: string[] = [];
  const env = {
    NOTIFY_SOCKET: '/nowhere',
    LISTEN_PID: '42',
    LISTEN_FDS: '1000',
    LISTEN_FDNAMES: `${'x:'.repeat(900)}notify`,
  };
  const notifier = openNotifier({ env, pid: 42, trace: createTrace({ write: (line) => void lines.push(line) }) });
  notifier.watchdog();
  expect(lines.join()).toContain('systemd was not told');
});
