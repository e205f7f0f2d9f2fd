// `headwater serve`: the node itself, from the configuration to the last commit. Everything is said by lines on standard
// output; a start that fails says what to change.

import { loadConfig, type Address, type Config } from '../config.ts';
import { formatAddress } from '../config-units.ts';
import type { Clock } from '../clock.ts';
import { HeadwaterError } from '../errors.ts';
import { openHeadwater, roomMistakes, type Headwater, type HeadwaterNeeds } from '../headwater.ts';
import { openNotifier } from '../systemd.ts';
import { createTrace, type Trace } from '../trace.ts';
import { inputOf } from './config.ts';
import { EXIT, systemErrorOf } from './exit-codes.ts';
import { printSummary } from './summary.ts';
import type { Terminal } from './terminal.ts';
import { watch } from './watchdog.ts';

export interface ServeOptions {
  config?: string;
}

/** What a stop may take; systemd is told to wait longer, so that this is what ends it. */
const STOP_MS_MAX = 10_000;

/** Serves until the terminal's signal aborts. */
export async function serve(options: ServeOptions, terminal: Terminal): Promise<number> {
  const { clock, env, signal } = terminal;
  const config = loadConfig({ ...inputOf(options.config, terminal), rooms: roomMistakes });
  const trace = createTrace({ level: config.log.level, clock, write: (line) => void terminal.out.write(`${line}\n`) });
  const notifier = openNotifier({ env, pid: process.pid, trace });
  const headwater = await open(config, { clock, trace, env });
  const { version } = headwater.status();
  const isRepository = import.meta.url.endsWith('.ts');
  const program = isRepository ? 'npx node src/main.ts' : 'headwater';
  terminal.out.write(printSummary(config, headwater.addresses, { version, program, isRepository }));
  warnOfOpenDoors(config, trace);
  notifier.ready(`node ${config.node.name}, data in ${config.data.dir}`);
  const stopWatching = watch((withinMs) => headwater.alive(withinMs), { notifier, clock, trace });
  await aborted(signal);
  stopWatching();
  notifier.stopping();
  return stop(headwater, clock, trace);
}

async function open(config: Config, needs: HeadwaterNeeds): Promise<Headwater> {
  try {
    return await openHeadwater(config, needs);
  } catch (error) {
    throw explained(error, config);
  }
}

/** Adds the setting to change where listening failed: Node's error names only the port. */
function explained(error: unknown, config: Config): unknown {
  const found = systemErrorOf(error);
  if (found?.port === undefined) return error;
  for (const door of ['mqtt', 'kafka', 'http'] as const) {
    const { listen } = config[door];
    if (listen?.port !== found.port) continue;
    return new Error(`${whatFailed(found.code, listen)} change ${door}.listen (${config.locate([door, 'listen'])})`, {
      cause: error,
    });
  }
  return error;
}

function whatFailed(code: string, listen: Address): string {
  const address = formatAddress(listen);
  if (code === 'EADDRINUSE') return `${address} is in use by another program: stop it, or`;
  if (code === 'EACCES') return `${address} may not be opened by this user, as ports below 1024:`;
  return code === 'EADDRNOTAVAIL'
    ? `${address} is no address of this machine at present:`
    : `${address} cannot be opened (${code}):`;
}

function warnOfOpenDoors(config: Config, trace: Trace): void {
  for (const door of ['mqtt', 'kafka', 'http'] as const) {
    if (config[door].insecure && config[door].listen !== undefined && !asksClients(config, door)) {
      trace.warn('a door is open to everybody who reaches it', { door, setting: `${door}.insecure` });
    }
  }
}

function asksClients({ mqtt, http }: Config, door: 'mqtt' | 'kafka' | 'http'): boolean {
  return door === 'mqtt' ? mqtt.users.length > 0 : door === 'http' && http.token !== undefined;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function stop(headwater: Headwater, clock: Clock, trace: Trace): Promise<number> {
  const startedMs = clock.monotonicMs();
  trace.info('stopping: what was taken is committed first');
  let timer;
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = clock.after(STOP_MS_MAX, () => reject(tooLate()));
  });
  try {
    await Promise.race([headwater.stop(), tooLong]);
  } finally {
    (timer as { cancel(): void } | undefined)?.cancel();
  }
  trace.info('stopped', { ms: Math.round(clock.monotonicMs() - startedMs) });
  return EXIT.done;
}

function tooLate(): HeadwaterError {
  return new HeadwaterError(
    'TIMED_OUT',
    `stopping took more than ${STOP_MS_MAX / 1000} s; what was not acknowledged may be lost`,
  );
}
