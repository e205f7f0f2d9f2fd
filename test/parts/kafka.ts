// A real Apache Kafka 4.3.1 for the long tests: one node in KRaft mode on 127.0.0.1, from the jars of kafka-pom.xml.
// The folder and the ports survive `restart`, so a test can kill the broker and look at what it still knows.

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openLink, type Link } from './link.ts';

const run = promisify(execFile);
const REPOSITORY = join(import.meta.dirname, '../..');
const LIB = join(REPOSITORY, '.parts/kafka/lib');
const POM = join(import.meta.dirname, 'kafka-pom.xml');
const START_MS = 90_000;
const SMALL = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';

export interface KafkaOptions {
  /** Port of the listener; a free one by default. */
  port?: number;
  /** Folder of the broker's data; a temporary one by default, which `stop` then removes. */
  dir?: string;
  /** Broker properties on top of, or instead of, the harness's own. */
  config?: Record<string, string>;
  /** Heap in MiB, 96 by default. */
  heapMb?: number;
  /** Other flags of the JVM than those that make it small and soon started. */
  flags?: string[];
  /** This node's place in a cluster of several, see kafka-cluster.ts. */
  member?: { nodeId: number; controllerPort: number; voters: string; clusterId: string };
}

export interface Kafka {
  readonly bootstrap: string;
  readonly port: number;
  readonly dir: string;
  /** Of the process that runs at present. */
  readonly pid: number;
  /** A relay that can be cut, in front of a second listener whose advertised address is the relay's. */
  readonly link: Link;
  /** The bootstrap address by way of the link. */
  readonly linkBootstrap: string;
  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT: a broker that holds its connections and answers nothing. */
  freeze(): void;
  thaw(): void;
  /** Starts the broker again on the same folder and port; resolves when it serves. */
  restart(config?: Record<string, string>): Promise<void>;
  /** Ends the broker; a temporary folder goes too. Safe to call after `kill`. */
  stop(): Promise<void>;
  /**
   * Runs one of the Java tools, `kcat`'s independent second opinion, and returns its standard output. `className` is
   * full, or short for org.apache.kafka.tools. `--bootstrap-server` is added. Throws with what it printed.
   */
  tool(className: string, args: string[], input?: string | Buffer): Promise<string>;
}

/** Class path of Apache Kafka's jars; fetches them from Maven Central the first time. Throws with what is missing. */
export async function kafkaLib(): Promise<string> {
  if (!existsSync(LIB) || !readdirSync(LIB).some((name) => name.startsWith('kafka-streams-'))) await fetchLib();
  return join(LIB, '*');
}

async function fetchLib(): Promise<void> {
  await mkdir(join(LIB, '..'), { recursive: true });
  // Fetched beside and renamed, so that a fetch that was cut short is never taken for a whole one.
  const partial = `${LIB}.${process.pid}`;
  try {
    await run('mvn', ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${partial}`]);
  } catch (error) {
    throw new Error('Apache Kafka could not be fetched: install openjdk-17-jre-headless and maven', { cause: error });
  }
  await rm(LIB, { recursive: true, force: true });
  await rename(partial, LIB);
}

/** Starts one broker. Resolves when it serves; throws with the end of its output when it does not. */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const lib = await kafkaLib();
  const isTemporary = options.dir === undefined;
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'headwater-kafka-')));
  const port = options.port ?? (await freePort());
  const bootstrap = `127.0.0.1:${port}`;
  const file = join(dir, 'server.properties');
  const isFormatted = existsSync(file);
  const { member } = options;
  const controllerPort = member?.controllerPort ?? (isFormatted ? await controllerPortOf(file) : await freePort());
  const farPort = await freePort();
  const link = await openLink(`127.0.0.1:${farPort}`);
  const ports = { port, controllerPort, farPort, linkPort: link.port };
  const writeProperties = (config: Record<string, string>): Promise<void> =>
    writeFile(file, properties(dir, ports, { ...memberProperties(member), ...config }));

  await mkdir(dir, { recursive: true });
  await writeProperties(options.config ?? {});
  if (!isFormatted) await format(lib, file, member?.clusterId ?? (await newClusterId()));
  const flags = [`-Xmx${options.heapMb ?? 96}m`, ...(options.flags ?? SMALL)];
  let child = await launch(lib, file, flags);

  return {
    bootstrap,
    port,
    dir,
    get pid() {
      return child.pid!;
    },
    link,
    linkBootstrap: `127.0.0.1:${link.port}`,
    kill: () => end(child, 'SIGKILL'),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async restart(config) {
      await end(child, 'SIGKILL');
      if (config !== undefined) await writeProperties({ ...options.config, ...config });
      child = await launch(lib, file, flags);
    },
    async stop() {
      await end(child, 'SIGKILL');
      await link.close();
      if (isTemporary) await rm(dir, { recursive: true, force: true });
    },
    tool: (className, args, input) => runTool(lib, bootstrap, className, args, input),
  };
}

interface Ports {
  port: number;
  controllerPort: number;
  farPort: number;
  linkPort: number;
}

function properties(dir: string, ports: Ports, config: Record<string, string>): string {
  const { port, controllerPort, farPort, linkPort } = ports;
  const all = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},LINK://127.0.0.1:${farPort},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},LINK://127.0.0.1:${linkPort}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,LINK:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': join(dir, 'data'),
    'default.replication.factor': '1',
    'min.insync.replicas': '1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '3',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '3',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'broker.session.timeout.ms': '6000',
    // The default of 128 MiB is taken at start and does not fit the small heap.
    'log.cleaner.dedupe.buffer.size': '2097152',
    ...config,
  };
  return Object.entries(all)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

async function controllerPortOf(file: string): Promise<number> {
  const match = /^controller\.quorum\.voters=.*:(\d+)$/m.exec(await readFile(file, 'utf8'));
  return Number(match?.[1]);
}

function memberProperties(member: KafkaOptions['member']): Record<string, string> {
  if (member === undefined) return {};
  return { 'node.id': String(member.nodeId), 'controller.quorum.voters': member.voters };
}

/** An id for a new cluster, as StorageTool takes it. */
export async function newClusterId(): Promise<string> {
  const java = ['-Xmx64m', QUIET, '-cp', await kafkaLib(), 'kafka.tools.StorageTool', 'random-uuid'];
  let id = '-';
  // StorageTool takes an id that begins with a dash for an option.
  while (id.startsWith('-')) id = (await run('java', java)).stdout.trim();
  return id;
}

async function format(lib: string, file: string, clusterId: string): Promise<void> {
  await run('java', ['-Xmx64m', QUIET, '-cp', lib, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', file]);
}

function launch(lib: string, file: string, flags: string[]): Promise<ChildProcess> {
  const child = spawn('java', [...flags, '-cp', lib, 'kafka.Kafka', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  live.add(child);
  child.once('exit', () => live.delete(child));
  return new Promise((resolve, reject) => {
    let tail = '';
    const fail = (why: string): void => {
      child.kill('SIGKILL');
      reject(new Error(`Apache Kafka ${why}:\n${tail}`));
    };
    const timer = setTimeout(() => fail(`did not start within ${START_MS} ms`), START_MS);
    child.once('error', (error) => fail(`can't be run (install openjdk-17-jre-headless): ${error.message}`));
    child.once('exit', (code) => {
      clearTimeout(timer);
      fail(`ended with ${code} at its start`);
    });
    const onOutput = (chunk: Buffer): void => {
      tail = (tail + chunk.toString()).slice(-4_000);
      if (!tail.includes('Kafka Server started')) return;
      clearTimeout(timer);
      child.removeAllListeners('exit');
      child.once('exit', () => live.delete(child));
      for (const stream of [child.stdout, child.stderr]) stream.removeAllListeners('data').resume();
      resolve(child);
    };
    child.stdout.on('data', onOutput);
    child.stderr.on('data', onOutput);
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

async function runTool(
  lib: string,
  bootstrap: string,
  className: string,
  args: string[],
  input: string | Buffer | undefined,
): Promise<string> {
  const full =
    className.startsWith('org.') || className.startsWith('kafka.') ? className : `org.apache.kafka.tools.${className}`;
  const java = ['-Xmx96m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', QUIET, '-cp', lib, full];
  const child = spawn('java', [...java, '--bootstrap-server', bootstrap, ...args]);
  live.add(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.end(input ?? '');
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  live.delete(child);
  if (code !== 0) throw new Error(`${className} ${args.join(' ')} ended with ${code}:\n${out}${err}`);
  return out;
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// A test that is ended in the middle must not leave a broker behind.
const live = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of live) child.kill('SIGKILL');
});
