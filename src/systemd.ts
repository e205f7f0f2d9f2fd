// What a service tells systemd, see sd_notify(3): READY, WATCHDOG, STOPPING. Node has no unix datagrams, so there are two
// ways without native code:
//
//   systemd >= 253   `OpenFile=/run/systemd/notify:notify` in the unit hands over a connected socket; a write is a message
//   systemd <  253   the program systemd-notify sends the message in our place (needs NotifyAccess=all)
//
// Without NOTIFY_SOCKET nobody listens, and every call does nothing.

import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { messageOf } from './errors.ts';
import type { Trace } from './trace.ts';

export interface Notifier {
  /** Within which time systemd wants to hear a watchdog message; undefined when it does not watch. */
  readonly watchdogMs: number | undefined;
  /** The service does its work. `text` is shown by `systemctl status`. */
  ready(text: string): void;
  /** The service was found working just now. */
  watchdog(): void;
  /** The service is about to end. */
  stopping(): void;
}

export interface NotifierNeeds {
  env: Readonly<Record<string, string | undefined>>;
  pid: number;
  trace: Trace;
}

/** The first descriptor that systemd hands over, see sd_listen_fds(3). */
const LISTEN_FDS_START = 3;
const FD_NAME = 'notify';

export function openNotifier({ env, pid, trace }: NotifierNeeds): Notifier {
  const send = env['NOTIFY_SOCKET'] === undefined ? () => undefined : senderOf(env, pid, trace.room('systemd'));
  return {
    watchdogMs: watchdogMsOf(env, pid),
    ready: (text) => send(`READY=1\nSTATUS=${text.replaceAll('\n', ' ')}`),
    watchdog: () => send('WATCHDOG=1'),
    stopping: () => send('STOPPING=1'),
  };
}

function senderOf(env: NotifierNeeds['env'], pid: number, trace: Trace): (message: string) => void {
  const fd = notifyFd(env, pid);
  return (message) => {
    try {
      if (fd === undefined) sendByProgram(message, trace);
      else writeSync(fd, message);
    } catch (error) {
      trace.warn('systemd was not told', { message, reason: messageOf(error) });
    }
  };
}

/** The descriptor named `notify`, if it was meant for this process. */
function notifyFd(env: NotifierNeeds['env'], pid: number): number | undefined {
  if (env['LISTEN_PID'] !== String(pid)) return undefined;
  const index = (env['LISTEN_FDNAMES'] ?? '').split(':').indexOf(FD_NAME);
  return index === -1 || index >= Number(env['LISTEN_FDS']) ? undefined : LISTEN_FDS_START + index;
}

function sendByProgram(message: string, trace: Trace): void {
  const child = spawn('systemd-notify', ['--no-block', ...message.split('\n')], { stdio: 'ignore' });
  child.on('error', (error) => trace.warn('systemd-notify did not start', { reason: messageOf(error) }));
  child.on('exit', (code) => {
    if (code !== 0) trace.warn('systemd-notify failed', { code: code ?? -1 });
  });
  child.unref();
}

function watchdogMsOf(env: NotifierNeeds['env'], pid: number): number | undefined {
  const micros = Number(env['WATCHDOG_USEC']);
  const isForUs = env['WATCHDOG_PID'] === undefined || env['WATCHDOG_PID'] === String(pid);
  return isForUs && micros > 0 ? micros / 1000 : undefined;
}
