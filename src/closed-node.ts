// A node without doors, on the folder of one that does not run: what the commands talk to when nobody else answers, by the
// same HTTP, on a port of this machine that only they know the token of. Nothing expires meanwhile: a card that was carried
// to town keeps what it has. For reading it opens a shadow of the folder, and the folder itself is not touched.

import { randomBytes } from 'node:crypto';
import { formatAddress, type Config } from './config.ts';
import type { Clock } from './clock.ts';
import { examineNode } from './doctor/doctor.ts';
import { HeadwaterError } from './errors.ts';
import { openHttp } from './http/http.ts';
import type { Health, Status } from './http/status.ts';
import { openLog } from './log/log.ts';
import { checkClosed, makeShadow } from './store/shadow.ts';
import { openStore } from './store/store.ts';
import { believedTimes } from './times/times.ts';
import type { Trace } from './trace.ts';
import { openWear } from './wear/wear.ts';

export interface ClosedNode {
  readonly url: string;
  readonly token: string;
  /** Closes the folder; what was written is on the card. */
  close(): Promise<void>;
}

export interface ClosedNodeNeeds {
  /** `data.dir` is the folder. Doors, routes and mirrors do not count. */
  config: Config;
  version: string;
  clock: Clock;
  trace: Trace;
  /** True to change the folder itself. */
  isWritten: boolean;
}

/** The longest that a timer can be set to: retention and the cleaner do not run. */
const NEVER_MS = 2 ** 31 - 1;

/** A tool that waits has one commit after the other: none of them has to wait for credit. */
const AT_ONCE = { commitIntervalMs: 0, commitBurstMs: 0 };

/** Throws USAGE, STORE_LOCKED, STORE_UNAVAILABLE. */
export async function openClosedNode(needs: ClosedNodeNeeds): Promise<ClosedNode> {
  const { config, clock, trace } = needs;
  await using rooms = new AsyncDisposableStack();
  const folder = await folderFor(needs, rooms);
  const startedMs = clock.monotonicMs();
  const store = await openStore({ folder, clock, trace, ballastBytes: 0 });
  rooms.defer(() => store.close());
  const wear = await openWear({
    tables: store.tables,
    clock,
    trace,
    folder: config.data.dir,
    appended: () => ({ bytes: 0, records: 0 }),
    commitIntervalMs: config.commit.intervalMs,
    isRunning: false,
    card: { profile: config.commit.profile, ...config.card },
  });
  rooms.defer(() => wear.close());
  const times = believedTimes(clock, trace);
  const log = await openLog({
    store,
    clock,
    times,
    trace,
    topics: new Map(),
    // Nothing goes of a folder that is only looked at.
    budgetBytes: needs.isWritten ? config.data.budgetBytes : Number.MAX_SAFE_INTEGER,
    ...AT_ONCE,
    retentionIntervalMs: NEVER_MS,
    cleaningIntervalMs: NEVER_MS,
    tellsGaps: false,
  });
  rooms.defer(() => log.close());
  const token = randomBytes(24).toString('base64url');
  const http = await openHttp({
    listen: { host: '127.0.0.1', port: 0 },
    hosts: [],
    token: () => token,
    log,
    serial: { events: noPort, send: noPort },
    status,
    checks: () => examineNode({ config, status, env: {}, isRunning: false }),
    metrics: () => [...log.metrics(), ...wear.metrics()],
    live: health,
    ready: health,
    clock,
    trace,
  });
  rooms.defer(() => http.close());

  function health(): Health {
    return { ok: true, reasons: [] };
  }

  function status(): Status {
    return {
      node: config.node.name,
      version: needs.version,
      pid: process.pid,
      uptimeSeconds: Math.round((clock.monotonicMs() - startedMs) / 1000),
      health: health(),
      listening: {},
      doors: [],
      serial: [],
      clock: times.status(),
      log: log.status(),
      wear: wear.status(),
      mirrors: [],
      rooms: {},
    };
  }

  const opened = rooms.move();
  return { url: `http://${formatAddress(http.address)}`, token, close: () => opened.disposeAsync() };
}

async function folderFor({ config, isWritten }: ClosedNodeNeeds, rooms: AsyncDisposableStack): Promise<string> {
  const { dir } = config.data;
  if (isWritten) {
    await checkClosed(dir);
    return dir;
  }
  const shadow = await makeShadow(dir);
  rooms.defer(() => shadow.remove());
  return shadow.folder;
}

function noPort(): never {
  throw new HeadwaterError('PORT_MISSING', 'a node that does not run has no ports');
}
