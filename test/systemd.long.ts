// What systemd hears, over a real unix datagram socket, both ways; and what systemd thinks of the unit. Needs python3 and
// systemd (systemd-notify, systemd-analyze).
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const RECEIVE = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    print(s.recv(4096).decode(), flush=True)
`;

/** Does what systemd 253 does for OpenFile=: descriptor 3 is a connected socket, and the environment says so. */
const HAND_OVER = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
if s.fileno() != 3: os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='notify')
os.execvp(sys.argv[2], sys.argv[2:])
`;

let folder: string;
let socketPath: string;
let heard: string;
let started: ChildProcess[];

beforeEach(async () => {
  expect(spawnSync('python3', ['-V']).error, 'python3 is missing: install it').toBeUndefined();
  folder = mkdtempSync(join(tmpdir(), 'headwater-systemd-'));
  socketPath = join(folder, 'notify');
  heard = '';
  started = [];
  const receiver = start('python3', ['-c', RECEIVE, socketPath], {});
  receiver.stdout?.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  await expect.poll(() => heard, { timeout: 10_000 }).toContain('bound');
});

afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function start(command: string, args: string[], env: Record<string, string>): ChildProcess {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(child);
  return child;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', resolve));
}

function environment(): Record<string, string> {
  return {
    NOTIFY_SOCKET: socketPath,
    WATCHDOG_USEC: '400000',
    HEADWATER_DATA__DIR: join(folder, 'data'),
    HEADWATER_MQTT__LISTEN: '127.0.0.1:0',
    HEADWATER_KAFKA__LISTEN: 'off',
    HEADWATER_HTTP__LISTEN: '127.0.0.1:0',
  };
}

async function hearOneLife(child: ChildProcess): Promise<void> {
  await expect.poll(() => heard, { timeout: 20_000 }).toMatch(/READY=1\nSTATUS=node .*\n/);
  await expect.poll(() => heard.match(/WATCHDOG=1/g)?.length ?? 0, { timeout: 20_000 }).toBeGreaterThan(3);
  const end = ended(child);
  child.kill('SIGTERM');
  await expect.poll(() => heard, { timeout: 20_000 }).toContain('STOPPING=1');
  expect(await end).toBe(0);
}

describe('a node that serves', () => {
  const SERVE = [process.execPath, 'src/main.ts', 'serve'] as const;

  test('tells READY, WATCHDOG and STOPPING by the socket that was handed over', async () => {
    await hearOneLife(start('python3', ['-c', HAND_OVER, socketPath, ...SERVE], environment()));
  });

  test('tells them by systemd-notify where none was handed over', async () => {
    expect(
      spawnSync('systemd-notify', ['--version']).error,
      'systemd-notify is missing: install systemd',
    ).toBeUndefined();
    await hearOneLife(start(SERVE[0], SERVE.slice(1), environment()));
  });
});

describe('the unit', () => {
  function analyze(...args: string[]): { status: number | null; text: string } {
    const unit = readFileSync('systemd/headwater.service', 'utf8');
    const path = join(folder, 'headwater.service');
    writeFileSync(path, unit.replace('/opt/headwater/node_modules/.bin/node', process.execPath));
    const { status, stdout, stderr, error } = spawnSync('systemd-analyze', [...args, path], { encoding: 'utf8' });
    expect(error, 'systemd-analyze is missing: install systemd').toBeUndefined();
    return { status, text: `${stdout}${stderr}` };
  }

  test('systemd finds no mistake in it, but that 252 does not know OpenFile', () => {
    const { status, text } = analyze('verify');
    expect(status).toBe(0);
    expect(text.split('\n').filter((line) => line !== '' && !line.includes("Unknown key 'OpenFile'"))).toEqual([]);
  });

  test('its exposure stays at 2.0 or below', () => {
    const { status, text } = analyze('security', '--offline=true', '--threshold=20');
    expect(text).toContain('Overall exposure level');
    expect(status).toBe(0);
  });
});
