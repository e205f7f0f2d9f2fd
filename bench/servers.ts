// The servers that are measured: headwater in the form that ships, and the two brokers of Debian beside it.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/parts/kafka.ts';
import { missing, type Program, type Stand } from './stand.ts';

const REPOSITORY = join(import.meta.dirname, '..');
const MAIN = join(REPOSITORY, 'dist/main.js');
const UNIT = join(REPOSITORY, 'systemd/headwater.service');

export interface Server extends Program {
  readonly port: number;
}

export interface HeadwaterOptions {
  dir: string;
  /** Its name, which its topics upstream bear; `bench` by default. */
  node?: string;
  /** `commit.burst`; 0ms is what is left when the burst is used up. */
  burst?: string;
  /** `commit.interval`; 100ms by default. */
  interval?: string;
  /** Paths of serial ports with firmware-bridge behind them. */
  serial?: string[];
  /** Of the topic of readings; four by default. */
  partitions?: number;
  /** `retentionBytes` of each of its partitions. */
  retention?: string;
  /** `data.budget`; 16GiB by default. */
  budget?: string;
  /** Listens for Kafka clients. */
  kafka?: boolean;
  /** Bootstrap address of a mirror's upstream. */
  upstream?: string;
  /** More arguments to node. */
  flags?: string[];
  /** More of its environment. */
  env?: Record<string, string>;
}

/** The part of /status that is read here. */
export interface Status {
  log: {
    commits: { count: number; bytes: number };
    diskBytes: number;
    room: { ballastBytes: number; ballastTargetBytes: number };
  };
  mirrors: { state: string; records: number; backlog: { records: number; bytes: number }; problems: string[] }[];
}

export interface Headwater extends Server {
  readonly kafkaPort?: number;
  status(): Promise<Status>;
}

/** `npm run build`, so that what is measured is what stands in src. */
export function buildHeadwater(): void {
  try {
    execFileSync('npm', ['run', 'build'], { cwd: REPOSITORY, stdio: 'pipe' });
  } catch (error) {
    throw new Error(`npm run build failed:\n${String((error as { stdout?: Buffer }).stdout)}`, { cause: error });
  }
}

/** Starts dist/main.js with the flags and the environment of systemd's unit. */
export async function startHeadwater(stand: Stand, options: HeadwaterOptions): Promise<Headwater> {
  const [port, httpPort] = [await freePort(), await freePort()];
  const kafkaPort = options.kafka === true ? await freePort() : undefined;
  const file = join(stand.makeFolder('config'), `headwater-${port}.yaml`);
  writeFileSync(file, configOf(options, { port, httpPort, kafkaPort }));
  const { flags, env } = unitOf();
  const args = [...flags, ...(options.flags ?? []), MAIN, 'serve', '--config', file];
  const isReady = (): Promise<void> => ready(httpPort);
  const program = await stand.start(process.execPath, args, { env: { ...env, ...options.env }, isReady });
  const status = async (): Promise<Status> => JSON.parse(await get(httpPort, '/status')) as Status;
  return { ...program, port, ...(kafkaPort !== undefined && { kafkaPort }), status };
}

/** Resolves when it has written its ballast, which it does once: no part of what records cost. */
export async function whenBallasted(headwater: Headwater): Promise<void> {
  for (;;) {
    const { ballastBytes, ballastTargetBytes } = (await headwater.status()).log.room;
    if (ballastBytes >= ballastTargetBytes) return;
    await sleep(100);
  }
}

/** How headwater is run, for those who read the results. */
export function headwaterCommand(): string {
  const { flags, env } = unitOf();
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return [...settings, 'node', ...flags, 'dist/main.js serve --config F'].join(' ');
}

function configOf(
  options: HeadwaterOptions,
  { port, httpPort, kafkaPort }: { port: number; httpPort: number; kafkaPort: number | undefined },
): string {
  const { dir, node, burst, interval, retention, partitions, budget, serial, upstream } = options;
  const lines = [
    `node: { name: ${node ?? 'bench'} }`,
    `data: { dir: ${dir}, budget: ${budget ?? '16GiB'} }`,
    `commit: { interval: ${interval ?? '100ms'}, burst: ${burst ?? '5m'} }`,
    `mqtt: { listen: 127.0.0.1:${port} }`,
    `kafka: { listen: ${kafkaPort === undefined ? 'off' : `127.0.0.1:${kafkaPort}`} }`,
    `http: { listen: 127.0.0.1:${httpPort} }`,
    'routes: [{ mqtt: plant/+line/+machine, topic: readings, key: "{line}/{machine}" }]',
    `topics: { readings: { partitions: ${partitions ?? 4}, retentionBytes: ${retention ?? 'none'} } }`,
  ];
  for (const [index, path] of (serial ?? []).entries()) {
    if (index === 0) lines.push('serial:');
    lines.push(`  - { path: ${path}, topic: plant, framing: bridge }`);
  }
  if (upstream !== undefined) lines.push(`mirror: [{ name: dc, bootstrap: ["${upstream}"] }]`);
  return `${lines.join('\n')}\n`;
}

function unitOf(): { flags: string[]; env: Record<string, string> } {
  const unit = readFileSync(UNIT, 'utf8');
  const words = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
  const env: Record<string, string> = {};
  for (const [, name, value] of unit.matchAll(/^Environment=(\w+)=(.*)$/gm)) {
    if (name !== 'HEADWATER_CONFIG') env[name!] = value!;
  }
  return { flags: words.slice(1).filter((word) => word.startsWith('--')), env };
}

async function ready(httpPort: number): Promise<void> {
  await get(httpPort, '/health/ready');
}

function get(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(`${path}: ${text}`))));
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** Debian's mosquitto with no bound on what is in flight. It stores nothing, or what sessions wait for, in `folder` each second. */
export async function startMosquitto(stand: Stand, folder?: string): Promise<Server> {
  const port = await freePort();
  const file = join(stand.makeFolder('config'), 'mosquitto.conf');
  const kept =
    folder === undefined
      ? ['persistence false']
      : ['persistence true', `persistence_location ${folder}/`, 'autosave_interval 1'];
  const lines = ['allow_anonymous true', 'max_inflight_messages 0', 'max_queued_messages 0', ...kept];
  // The user that it would change to may not read the stand's folder.
  writeFileSync(file, `listener ${port} 127.0.0.1\n${lines.join('\n')}\nuser root\nlog_type error\n`);
  const options = { isReady: () => answers(port), package: 'mosquitto' };
  return { ...(await stand.start(whereIs('mosquitto') ?? 'mosquitto', ['-c', file], options)), port };
}

/** nats-server with JetStream in files, synced when it pleases (every two minutes); undefined where not installed. */
export async function startNats(stand: Stand): Promise<Server | undefined> {
  const command = whereIs('nats-server');
  if (command === undefined) return undefined;
  const [port, natsPort] = [await freePort(), await freePort()];
  const file = join(stand.makeFolder('config'), 'nats.conf');
  writeFileSync(
    file,
    `server_name: bench\nlisten: "127.0.0.1:${natsPort}"\njetstream { store_dir: "${stand.makeFolder('nats')}" }\n` +
      `mqtt { listen: "127.0.0.1:${port}", max_ack_pending: 65535 }\n`,
  );
  const options = { isReady: () => answers(port), package: 'nats-server' };
  return { ...(await stand.start(command, ['-c', file], options)), port };
}

/** What a program says of its version, first line. */
export function versionOf(command: string, args: string[]): string {
  try {
    return execFileSync(whereIs(command) ?? command, args, { encoding: 'utf8' })
      .trim()
      .split('\n')[0]!;
  } catch (error) {
    // mosquitto -h ends with 3 and has said it all the same.
    const said = ((error as { stdout?: string }).stdout ?? '').trim();
    if (said === '') throw missing(command, command, error);
    return said.split('\n')[0]!;
  }
}

/** Debian keeps servers where a user's PATH does not lead. */
function whereIs(command: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, command)).find((file) => existsSync(file));
}

function answers(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
