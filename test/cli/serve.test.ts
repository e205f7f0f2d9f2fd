// The node as a process: how it starts, what it says, and how it ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { printSummary } from '../../src/cli/summary.ts';
import { run } from './run-cli.ts';

let folder: string;
let children: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-serve-'));
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

interface Process {
  child: ChildProcess;
  text: () => string;
  end: Promise<number | null>;
}

function serve(env: Record<string, string> = {}): Process {
  const doors = {
    HEADWATER_DATA__DIR: join(folder, 'data'),
    HEADWATER_MQTT__LISTEN: '127.0.0.1:0',
    HEADWATER_KAFKA__LISTEN: '127.0.0.1:0',
    HEADWATER_HTTP__LISTEN: '127.0.0.1:0',
  };
  return start(['serve'], { ...doors, ...env });
}

function start(args: string[], env: Record<string, string> = {}): Process {
  const child = spawn(process.execPath, ['src/main.ts', ...args], { env: { ...process.env, ...env } });
  children.push(child);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, text: () => text, end: new Promise((resolve) => child.once('exit', resolve)) };
}

async function ready(process: Process): Promise<string> {
  await expect.poll(process.text, { timeout: 15_000 }).toMatch(/ {2}read {5}.*\n/);
  return process.text();
}

test('it says what listens where and how to try it, and SIGTERM ends it with 0', async () => {
  const node = serve();
  const text = await ready(node);
  const port = /MQTT {5}127\.0\.0\.1:(\d+)\n/.exec(text)?.[1];
  expect(text).toContain(`publish  npx mqtt pub -h 127.0.0.1 -p ${port} -t plant/a/1 -q 1 -m '{"t":21}'`);
  expect(text).toContain(join(folder, 'data'));
  node.child.kill('SIGTERM');
  expect(await node.end).toBe(0);
  expect(node.text()).toContain('stopped');
});

test('a port that is taken is told with the setting to change, exit code 75', async () => {
  const first = serve();
  const port = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(await ready(first))?.[1];
  const second = serve({ HEADWATER_DATA__DIR: join(folder, 'other'), HEADWATER_HTTP__LISTEN: `127.0.0.1:${port}` });
  expect(await second.end).toBe(75);
  expect(second.text()).toContain(`127.0.0.1:${port} is in use by another program`);
  expect(second.text()).toContain('change http.listen (HEADWATER_HTTP__LISTEN)');
});

test('an address that this machine does not have is told with the setting to change, exit code 75', async () => {
  const node = serve({ HEADWATER_MQTT__LISTEN: '192.0.2.1:1883', HEADWATER_MQTT__INSECURE: 'true' });
  expect(await node.end).toBe(75);
  expect(node.text()).toContain(
    'headwater: 192.0.2.1:1883 is no address of this machine at present: change mqtt.listen (HEADWATER_MQTT__LISTEN)\n',
  );
});

test('a data folder that is in use is told with the process that has it, exit code 75', async () => {
  const first = serve();
  await ready(first);
  const second = serve();
  expect(await second.end).toBe(75);
  expect(second.text()).toContain(`process ${first.child.pid}`);
});

test('a node whose doors are all shut goes on until it is stopped', async () => {
  const node = serve({ HEADWATER_MQTT__LISTEN: 'off', HEADWATER_KAFKA__LISTEN: 'off', HEADWATER_HTTP__LISTEN: 'off' });
  await expect.poll(node.text, { timeout: 15_000 }).toMatch(/ {2}data {5}.*\n/);
  // Well beyond the moment in which Node ends a process that waits for nothing.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(node.child.exitCode).toBeNull();
  node.child.kill('SIGTERM');
  expect(await node.end).toBe(0);
});

test('status --watch looks again, also where no node answers', async () => {
  const watching = start(['status', '--watch', '--url', 'http://127.0.0.1:1']);
  await expect.poll(() => watching.text().split('no headwater answers').length, { timeout: 15_000 }).toBeGreaterThan(2);
  watching.child.kill('SIGINT');
  expect(await watching.end).toBe(130);
});

test('a second signal ends it at once, with 130', async () => {
  const node = serve();
  await ready(node);
  node.child.kill('SIGTERM');
  node.child.kill('SIGINT');
  expect(await node.end).toBe(130);
});

test('it goes on when nobody reads its lines any more', async () => {
  const node = serve();
  const port = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(await ready(node))?.[1];
  node.child.stdout?.destroy();
  node.child.stderr?.destroy();
  const url = `http://127.0.0.1:${port}`;
  expect((await run(['topics', 'create', 'a', '--url', url])).code).toBe(0);
  node.child.kill('SIGTERM');
  // The line that says so meets a closed pipe.
  expect(await node.end).toBe(0);
});

describe('the summary', () => {
  const options = { version: '1.0.0', program: 'headwater', isRepository: false };

  test('an installed node names installed programs, and the first rule gives the example', () => {
    const config = loadConfig({ text: 'routes: [{ mqtt: "plant/+line/+machine/#", topic: readings }]' });
    const text = printSummary(config, { mqtt: '0.0.0.0:1883', http: '127.0.0.1:8880' }, options);
    expect(text).toContain('mosquitto_pub -h 127.0.0.1 -p 1883 -t plant/a/a/1 -q 1 -m \'{"t":21}\'');
    expect(text).toContain('headwater consume readings -f jsonl --follow');
    expect(text).not.toContain('this machine only');
  });

  test('doors that are off are said to be, with the setting', () => {
    const text = printSummary(loadConfig(), { kafka: '127.0.0.1:9092' }, options);
    expect(text).toContain('MQTT     off (mqtt.listen)');
    expect(text).toContain('kcat -C -b 127.0.0.1:9092 -t mqtt');
    expect(text).not.toContain('publish');
  });
});
