// The composition root: opens the rooms bottom-up and closes them in reverse. A start that fails half-way closes what was
// open. On stop the doors take nothing more first, then what was taken is committed, then everything closes in order.

import { readFileSync } from 'node:fs';
import type { Clock } from './clock.ts';
import { openCommands } from './commands/commands.ts';
import {
  configError,
  formatAddress,
  type Address,
  type Config,
  type ConfigPath,
  type Entries,
  type SerialPort,
} from './config.ts';
import { examineNode } from './doctor/doctor.ts';
import { isHeadwaterError } from './errors.ts';
import { unsureBootOf } from './formats/batch.ts';
import { openGroups } from './groups/groups.ts';
import { hardwareId } from './hardware.ts';
import { openHttp } from './http/http.ts';
import type { DoorStatus, Health, MirrorSummary, PortSummary, Status } from './http/status.ts';
import { openIntake } from './intake/intake.ts';
import { parseRoute, type RouteRule } from './intake/routes.ts';
import { openKafka } from './kafka/kafka.ts';
import { openLog } from './log/log.ts';
import { gauge, type Metric } from './metrics.ts';
import type { MirrorStatus } from './mirror/mirror-status.ts';
import { openMirrors, type MirrorConfig } from './mirror/mirror.ts';
import { openMqtt } from './mqtt/mqtt.ts';
import { isReadableByAll, readSecret, secretsIn, type Secret, type SecretEnvironment } from './secret.ts';
import type { OpenPort } from './serial/port.ts';
import { openSerial, type DeviceStatus } from './serial/serial.ts';
import { decodeProblems } from './serial/decode-settings.ts';
import { portConfigs } from './serial/settings.ts';
import { openStore } from './store/store.ts';
import { createTimes, thisMachine, type Machine } from './times/times.ts';
import type { Trace } from './trace.ts';
import { openTransactions } from './transactions/transactions.ts';
import { openWear } from './wear/wear.ts';

export type { Losses } from './log/log.ts';

export interface Headwater {
  /** `host:port` of each door that is open, with the true port. */
  readonly addresses: { mqtt?: string; kafka?: string; http?: string };
  status(): Status;
  /** Resolves when an append and its sync worked within the last `withinMs` or work now. */
  alive(withinMs: number): Promise<void>;
  /** Takes nothing more, commits what was taken, closes all rooms in order. */
  stop(): Promise<void>;
}

/** How many partitions' troubles the summary of a mirror names. */
const PROBLEMS_MAX = 10;

const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version;

export interface HeadwaterNeeds {
  clock: Clock;
  trace: Trace;
  /** Where secrets by `env` and `credential` are looked up. Default: that of the process. */
  env?: SecretEnvironment;
  /** For tests: a machine other than this one, as far as time is concerned. */
  machine?: Machine;
  /** For tests: what opens a serial port instead of the operating system. */
  openPort?: OpenPort;
}

/** Opens all rooms. Rejects with CONFIG_INVALID, STORE_LOCKED, STORE_UNAVAILABLE, or what listening throws (EADDRINUSE). */
export async function openHeadwater(config: Config, needs: HeadwaterNeeds): Promise<Headwater> {
  const { clock: system, trace, env = process.env } = needs;
  const read = (secret: Secret) => (): string => readSecret(secret, env);
  checkRooms(config);
  await checkCredentials(config, env, trace);
  const machine = needs.machine ?? (await thisMachine());
  const times = createTimes({ clock: system, trace, machine, trust: config.clock.trust });
  const { clock } = times;
  const startedMs = clock.monotonicMs();
  await using rooms = new AsyncDisposableStack();
  rooms.defer(() => times.close());

  const store = await openStore({ folder: config.data.dir, clock, trace });
  rooms.defer(() => store.close());
  let counted = (): { bytes: number; records: number } => ({ bytes: 0, records: 0 });
  // Below the log: a card that refuses writes holds up no stop once the log has given it up.
  const wear = await openWear({
    tables: store.tables,
    clock,
    trace,
    folder: config.data.dir,
    appended: () => counted(),
    commitIntervalMs: config.commit.intervalMs,
    card: { profile: config.commit.profile, ...config.card },
  });
  rooms.defer(() => wear.close());
  const log = await openLog({
    store,
    clock,
    times,
    trace,
    commitIntervalMs: config.commit.intervalMs,
    commitBurstMs: config.commit.burstMs,
    commitRelaxedMs: config.commit.relaxedMs,
    topics: config.topics,
    partitionsByDefault: config.kafka.settings['num.partitions'],
    budgetBytes: config.data.budgetBytes,
  });
  rooms.defer(() => log.close());
  counted = () => log.status().appended;
  const intake = openIntake({ log, routes: config.routes, nodeName: config.node.name, clock, trace });
  rooms.defer(() => intake.close());
  const commands = openCommands({ log, intake, clock, trace });
  rooms.defer(() => commands.close());
  const hardware = hardwareId();
  const mirrors = await openMirrors({
    mirrors: config.mirror.map((mirror) => mirrorConfig(mirror, read)),
    log,
    nodeName: config.node.name,
    ...(hardware === undefined ? {} : { hardwareId: hardware }),
    hold: {
      leftMs: (header) => {
        const boot = unsureBootOf(header);
        return boot === undefined ? 0 : times.holdMs(boot, header.maxTimestampMs, config.clock.holdMs);
      },
      whenKnown: (signal) => times.whenKnown(signal),
    },
    clock,
    trace,
  });
  rooms.defer(() => mirrors.close());
  const groups = openGroups({ log, clock, trace, settings: config.kafka.groups });
  rooms.defer(() => groups.close());
  const transactions = openTransactions({
    log,
    offsets: { settle: groups.settle, producers: groups.stagedBy },
    clock,
    trace,
    settings: config.kafka.transactions,
  });
  rooms.defer(() => transactions.close());
  const kafka = await openIf(config.kafka.listen, (listen) =>
    openKafka({
      listen,
      ...(config.kafka.advertise === undefined ? {} : { advertise: config.kafka.advertise }),
      listeners: config.kafka.listeners.map(({ listen: at, advertise }) => ({
        listen: at,
        ...(advertise === undefined ? {} : { advertise }),
      })),
      log,
      groups,
      transactions,
      clock,
      trace,
      settings: config.kafka.settings,
      limits: { connectionsMax: config.kafka.clientsMax },
    }),
  );
  rooms.defer(async () => kafka?.close());
  const marks = {
    set: (key: string, value: Buffer | null) => log.mark(key, value),
    entries: (prefix: string) => log.marks(prefix),
  };
  if (config.mqtt.listen === undefined && config.mqtt.publish.length > 0) {
    const topics = config.mqtt.publish.map(({ topic }) => topic).join(', ');
    trace.warn('records are not published: mqtt.publish has rules, and mqtt.listen is off', { topics });
  }
  const mqtt = await openIf(config.mqtt.listen, (listen) =>
    openMqtt({
      listen,
      intake,
      marks,
      tables: store.tables,
      clock,
      trace,
      limits: { packetBytesMax: config.mqtt.packetBytesMax, clientsMax: config.mqtt.clientsMax },
      users: config.mqtt.users.map(({ name, password }) => ({ name, password: read(password) })),
      publish: { log, rules: config.mqtt.publish },
    }),
  );
  rooms.defer(async () => mqtt?.close());
  const serial = await openSerial({
    ports: config.serial,
    intake,
    follow: commands.follow,
    marks,
    clock,
    trace,
    ...(needs.openPort !== undefined && { openPort: needs.openPort }),
  });
  rooms.defer(() => serial.close());

  const addresses: Headwater['addresses'] = {};
  if (kafka !== undefined) addresses.kafka = formatAddress({ ...config.kafka.listen!, port: kafka.port });
  if (mqtt !== undefined) addresses.mqtt = formatAddress({ ...config.mqtt.listen!, port: mqtt.port });

  const http = await openIf(config.http.listen, (listen) =>
    openHttp({
      listen,
      hosts: config.http.hosts,
      ...(config.http.token === undefined ? {} : { token: read(config.http.token) }),
      log,
      groups,
      transactions,
      serial,
      status,
      metrics,
      checks: () => examineNode({ config, status, env, isRunning: true }),
      live,
      ready,
      clock,
      trace,
    }),
  );
  rooms.defer(async () => http?.close());
  if (http !== undefined) addresses.http = formatAddress(http.address);

  function ready(): Health {
    const { state, reason } = log.status();
    const reasons: string[] = [];
    if (state === 'full') reasons.push(`no record is taken: ${reason!}`);
    else if (state === 'read-only') reasons.push(`read-only: ${reason!}`);
    else if (state !== 'ok') reasons.push(`the card refuses writes: ${reason ?? 'unknown'}`);
    else if (log.isFull()) reasons.push('more records wait for their commit than may wait');
    return { ok: reasons.length === 0, reasons };
  }

  function live(): Health {
    // A process that answers is alive: a card that refuses writes is not mended by another start.
    return { ok: true, reasons: [] };
  }

  function metrics(): Metric[] {
    const isReady = gauge('ready', '1 while records are taken in, as /health/ready says.', ready().ok ? 1 : 0);
    const opened = [times, log, wear, intake, commands, mirrors, groups, transactions, kafka, mqtt, serial].filter(
      (room) => room !== undefined,
    );
    return [isReady, ...opened.flatMap((room) => room.metrics())];
  }

  function status(): Status {
    return {
      node: config.node.name,
      version: VERSION,
      pid: process.pid,
      uptimeSeconds: Math.round((clock.monotonicMs() - startedMs) / 1000),
      health: ready(),
      listening: addresses,
      doors: doors(),
      serial: serial.status().map(portSummary),
      clock: times.status(),
      log: log.status(),
      wear: wear.status(),
      mirrors: mirrors.status().map(mirrorSummary),
      rooms: {
        intake: intake.status(),
        commands: commands.status(),
        mqtt: mqtt?.status(),
        serial: serial.status(),
        groups: groups.status(),
        transactions: transactions.status(),
        kafka: kafka?.status(),
        mirror: mirrors.status(),
        http: http?.status(),
      },
    };
  }

  function doors(): DoorStatus[] {
    const found: DoorStatus[] = [];
    if (mqtt !== undefined) {
      const { clients, received } = mqtt.status();
      found.push({ name: 'mqtt', state: 'open', clients, ...received });
    }
    if (kafka !== undefined) {
      const { connections, produced } = kafka.status();
      found.push({ name: 'kafka', state: 'open', clients: connections, ...produced });
    }
    if (http !== undefined) found.push({ name: 'http', state: 'open', ...http.status().appended });
    for (const port of serial.status()) {
      found.push({ name: `serial ${port.name}`, state: port.state, records: port.records, bytes: port.bytes });
    }
    return found;
  }

  const opened = rooms.move();
  return {
    addresses,
    status,
    alive: (withinMs) => log.probe(withinMs),
    async stop() {
      await Promise.all([mqtt?.stopIntake(), serial.stopIntake()]);
      await opened.disposeAsync();
    },
  };
}

/** Opens a door, unless its `listen` is off. */
async function openIf<T>(listen: Address | undefined, open: (listen: Address) => Promise<T>): Promise<T | undefined> {
  return listen === undefined ? undefined : open(listen);
}

/** What only the rooms can tell of a configuration: all mistakes at once, each with its place. */
export function roomMistakes({ routes, serial }: Entries): { path: ConfigPath; message: string }[] {
  const problems: { path: ConfigPath; message: string }[] = [];
  for (const [index, rule] of routes) {
    const message = mistakeIn(() => parseRoute(rule));
    if (message !== undefined) problems.push({ path: ['routes', index, wrongField(rule)], message });
  }
  const sound: SerialPort[] = [];
  for (const [index, port] of serial) {
    const inRule = decodeProblems(port).map(({ path, message }) => ({ path: ['serial', index, ...path], message }));
    problems.push(...inRule);
    if (inRule.length > 0) continue;
    const message = mistakeIn(() => portConfigs([port]));
    if (message === undefined) sound.push(port);
    else problems.push({ path: ['serial', index, 'path'], message });
  }
  const message = mistakeIn(() => portConfigs(sound));
  if (message !== undefined) problems.push({ path: ['serial'], message });
  return problems;
}

/** Every secret, and every file of TLS, is read once, so that what is missing is told at the start and not in the night. */
async function checkCredentials(config: Config, env: SecretEnvironment, trace: Trace): Promise<void> {
  const problems: { path: ConfigPath; message: string }[] = [];
  for (const { path, secret } of secretsIn(config)) {
    const message = mistakeIn(() => readSecret(secret, env));
    if (message !== undefined) problems.push({ path, message });
    else if (isReadableByAll(secret, env)) {
      trace.warn('a secret can be read by every user of this machine', {
        secret: secret.toString(),
        mend: 'chmod o-r',
      });
    }
  }
  for (const [index, mirror] of config.mirror.entries()) {
    const { tls } = mirrorConfig(mirror, (secret) => () => readSecret(secret, env));
    if (tls === undefined) continue;
    const { mistakesInTls } = await import('./mirror/tls-connect.ts');
    for (const { field, message } of mistakesInTls(tls)) {
      const path = ['mirror', index, 'tls', field];
      const isTold = problems.some((each) => each.path.join('.') === path.join('.'));
      if (!isTold) problems.push({ path, message });
    }
  }
  if (problems.length > 0) throw configError(config, problems);
}

/** The mirror's own form of its settings: what reads a secret stands in the place of the reference. */
function mirrorConfig(
  { tls, sasl, ...mirror }: Config['mirror'][number],
  read: (secret: Secret) => () => string,
): MirrorConfig {
  const made: MirrorConfig = { ...mirror };
  if (tls !== undefined) {
    const { key, ...files } = tls;
    made.tls = key === undefined ? files : { ...files, key: read(key) };
  }
  if (sasl !== undefined) made.sasl = { ...sasl, password: read(sasl.password) };
  return made;
}

function checkRooms(config: Config): void {
  const problems = roomMistakes({ routes: [...config.routes.entries()], serial: [...config.serial.entries()] });
  if (problems.length > 0) throw configError(config, problems);
}

function mistakeIn(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (!isHeadwaterError(error, 'CONFIG_INVALID')) throw error;
    return error.message;
  }
}

/** The field of a route that is wrong: the first one with which what stands before it no longer parses. */
function wrongField(rule: RouteRule): keyof RouteRule {
  let sound: RouteRule = { mqtt: '#', topic: 'any' };
  for (const field of ['mqtt', 'topic', 'key', 'partition'] as const) {
    if (rule[field] === undefined) continue;
    sound = { ...sound, [field]: rule[field] };
    if (mistakeIn(() => parseRoute(sound)) !== undefined) return field;
  }
  return 'headers';
}

function portSummary(port: DeviceStatus): PortSummary {
  const { name, path, framing, state, records, bytes, received, overlong, invalid, openings, problems } = port;
  const heard = port.heardMs === undefined ? {} : { heardSeconds: port.heardMs / 1000 };
  const counts = { records, bytes, received, overlong, invalid, openings };
  const devices = port.devices?.map(({ heardMs, ...device }) => {
    return { ...device, ...(heardMs !== undefined && { heardSeconds: heardMs / 1000 }) };
  });
  const more = { ...heard, ...(devices !== undefined && { devices }) };
  return { name, path, framing, state, sinceSeconds: port.sinceMs / 1000, ...counts, ...more, problems };
}

function mirrorSummary(mirror: MirrorStatus): MirrorSummary {
  const { name, state, backlog, sent, lost } = mirror;
  // A mirror whose partitions are refused gives the reason of one of them, which is among theirs.
  const isPartitions = state === 'refused' && mirror.sinceMs === undefined;
  const problems = mirror.reason === undefined || isPartitions ? [] : [mirror.reason];
  for (const { topic, partition, reason } of mirror.partitions) {
    if (reason !== undefined && problems.length < PROBLEMS_MAX) problems.push(`${topic}/${partition}: ${reason}`);
  }
  const removed = lost.gapRecords + backlog.removedRecords;
  if (removed > 0) problems.push(`${removed} records were removed here before they were sent`);
  if (lost.upstreamRecords > 0)
    problems.push(`the upstream has lost ${lost.upstreamRecords} records that it had acknowledged`);
  const { records, bytes, ageMs } = backlog;
  return {
    name,
    state,
    records: sent.records,
    bytes: sent.bytes,
    backlog: { records, bytes, ageSeconds: ageMs / 1000 },
    problems,
  };
}
