// A headwater in a process of its own, as a device runs it: started from a configuration file, killed with kill -9.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../src/http/status.ts';

export interface Node {
  readonly mqttPort: number;
  readonly kafka: string;
  /** What it says of itself; undefined while it does not answer. */
  status(): Promise<Status | undefined>;
  start(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');
const START_MS_MAX = 20_000;

/** Made, not started. Its data, log file and configuration lie in `folder` under `name`. */
export async function createNode(name: string, folder: string, settings: Record<string, unknown> = {}): Promise<Node> {
  const [mqttPort, kafkaPort, httpPort] = await freePorts(3);
  const config = {
    node: { name },
    data: { dir: join(folder, name), budget: '1GiB' },
    mqtt: { listen: `127.0.0.1:${mqttPort}` },
    kafka: { listen: `127.0.0.1:${kafkaPort}` },
    http: { listen: `127.0.0.1:${httpPort}` },
    ...settings,
  };
  const file = join(folder, `${name}.yaml`);
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config, null, 2));
  const output = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
  let child: ChildProcess | undefined;
  // A demo that is interrupted leaves nothing behind.
  process.once('exit', () => child?.kill('SIGKILL'));

  function status(): Promise<Status | undefined> {
    return new Promise((resolve) => {
      const asked = request({ host: '127.0.0.1', port: httpPort, path: '/status', timeout: 1000 }, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve(response.statusCode === 200 ? (JSON.parse(text) as Status) : undefined));
      });
      asked.on('error', () => resolve(undefined));
      asked.on('timeout', () => asked.destroy());
      asked.end();
    });
  }

  async function start(): Promise<void> {
    child = spawn(process.execPath, ['--max-semi-space-size=1', MAIN, 'serve', '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout!.pipe(output, { end: false });
    child.stderr!.pipe(output, { end: false });
    for (const startMs = Date.now(); (await status()) === undefined; await sleep(50)) {
      if (child.exitCode !== null) throw new Error(`headwater ${name} ended: see ${folder}/${name}.log`);
      if (Date.now() - startMs > START_MS_MAX) throw new Error(`headwater ${name} does not answer on port ${httpPort}`);
    }
  }

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null) return;
    const exited = once(ending, 'exit');
    ending.kill(signal);
    await exited;
  }

  return {
    mqttPort: mqttPort!,
    kafka: `127.0.0.1:${kafkaPort}`,
    status,
    start,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

/** Ports that nobody listens on at this moment, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}
