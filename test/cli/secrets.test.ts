// A node that has a secret of every kind in use, and is asked for everything it can print, while all goes well and while
// nothing does: none of the secrets is ever in it.

import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Status } from '../../src/http/status.ts';
import { startBroker, type FakeBroker } from '../fakes/broker.ts';
import { fakeLogin } from '../fakes/login.ts';
import { ask } from '../http/open-http.ts';
import { RawClient } from '../mqtt/raw-client.ts';
import { createAuthority } from '../parts/certificates.ts';
import { until } from '../parts/until.ts';
import { run } from './run-cli.ts';

const KAFKA = 'gurgling-kafka-4711';
const RIGHT = 'gurgling-right-4711';
const MQTT = 'gurgling-mqtt-4711';
const TOKEN = 'gurgling-token-4711';
/** What the client of MQTT and of HTTP tries in vain is nobody's business either. */
const TRIED = 'gurgling-tried-4711';
const authority = createAuthority();
const own = authority.issue({ subject: 'pump-7' });
const KEY_LINE = own.key.split('\n')[1]!;

let folder: string;
let broker: FakeBroker;
let child: ChildProcess | undefined;
let printed: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-secrets-'));
  broker = await startBroker({ tls: authority.issue({ subject: 'kafka-1' }), login: fakeLogin('pump-7', RIGHT) });
  mkdirSync(join(folder, 'credentials'));
  printed = '';
});
afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await broker.close();
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

function configOf(): string {
  const yaml = `
node: { name: pump-7 }
data: { dir: "${join(folder, 'data')}" }
kafka: { listen: off }
mqtt: { listen: "127.0.0.1:0", users: [{ name: sensor, password: { file: "${write('mqtt', MQTT)}" } }] }
http: { listen: "127.0.0.1:0", token: { env: TEST_TOKEN } }
log: { level: debug }
mirror:
  - name: dc
    bootstrap: ["${broker.address}"]
    tls: { ca: "${write('ca.pem', authority.cert)}", cert: "${write('own.pem', own.cert)}", key: { credential: key } }
    sasl: { mechanism: SCRAM-SHA-512, username: pump-7, password: { credential: kafka } }
`;
  write('credentials/key', own.key);
  write('credentials/kafka', `${KAFKA}\n`);
  return write('headwater.yaml', yaml);
}

function environment(): Record<string, string> {
  return {
    TEST_TOKEN: TOKEN,
    CREDENTIALS_DIRECTORY: join(folder, 'credentials'),
    NODE_OPTIONS: `--report-on-signal --report-directory=${folder}`,
  };
}

function serve(config: string, env = environment()): Promise<number | null> {
  child = spawn(process.execPath, ['src/main.ts', 'serve', '--config', config], { env: { ...process.env, ...env } });
  child.stdout!.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  return new Promise((resolve) => child!.once('close', resolve));
}

async function returnCodeOf(port: number, password: string): Promise<number | undefined> {
  const client = await RawClient.dial(port);
  client.sendConnect({ username: 'sensor', password: Buffer.from(password) });
  const answer = await client.next('connack');
  // One record that waits for the mirror.
  if (password === MQTT) {
    client.publish('plant/a/1', '{"t":21}');
    await client.next('puback');
  }
  client.hangUp();
  return answer.cmd === 'connack' ? answer.returnCode : undefined;
}

function expectNoSecret(text: string): void {
  for (const secret of [KAFKA, RIGHT, MQTT, TOKEN, TRIED, KEY_LINE, Buffer.from(TOKEN).toString('base64')]) {
    expect(text.includes(secret), `${secret} in ${text.slice(0, 20_000)}`).toBe(false);
  }
}

test('nothing that a node prints or answers has a secret in it, not even its report of a crash', async () => {
  const config = configOf();
  chmodSync(join(folder, 'mqtt'), 0o644);
  const ended = serve(config);
  await until(
    'the refusal',
    () => printed.includes('authentication refused by'),
    20_000,
    () => printed,
  );
  const mqttPort = Number(/MQTT {5}127\.0\.0\.1:(\d+)\n/.exec(printed)?.[1]);
  const httpPort = Number(/http:\/\/127\.0\.0\.1:(\d+)\//.exec(printed)?.[1]);

  expect(await returnCodeOf(mqttPort, TRIED)).toBe(4);
  expect(await returnCodeOf(mqttPort, MQTT)).toBe(0);
  expect((await ask(httpPort, '/status', { headers: { authorization: `Bearer ${TRIED}` } })).status).toBe(401);
  for (const path of ['/', '/cards', '/status', '/metrics', '/topics', '/none']) {
    const { text, headers, status } = await ask(httpPort, path, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(status === 200 || path === '/none').toBe(true);
    expectNoSecret(text + JSON.stringify(headers));
  }
  const { json } = await ask(httpPort, '/status', { headers: { authorization: `Bearer ${TOKEN}` } });
  expect((json as Status).mirrors).toMatchObject([
    { name: 'dc', state: 'refused', problems: [expect.stringContaining('check mirror.dc.sasl')] },
  ]);
  child!.kill('SIGUSR2');
  const report = (): string | undefined => readdirSync(folder).find((name) => name.startsWith('report.'));
  await until(
    'a report',
    () => report() !== undefined && readFileSync(join(folder, report()!), 'utf8').endsWith('}\n'),
  );
  expectNoSecret(readFileSync(join(folder, report()!), 'utf8'));
  // The right password, put in place while it runs: what waited goes out.
  write('credentials/kafka', RIGHT);
  await until(
    'a record upstream',
    () => broker.records('pump-7.mqtt').length === 1,
    30_000,
    () => printed,
  );
  child!.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(printed).toContain('-u "sensor" -P PASSWORD -t plant/a/1');
  expectNoSecret(printed);
  expect(printed).toContain('a secret can be read by every user of this machine');
  expect(printed).toContain('check mirror.dc.sasl');
});

test('what shows the configuration shows where secrets are', async () => {
  const config = configOf();
  const env = environment();
  for (const args of [['check'], ['check', '-o', 'json'], ['show'], ['show', '-o', 'json']]) {
    const { code, out, err } = await run(['config', args[0]!, config, ...args.slice(1)], { env });
    expect(code).toBe(0);
    expectNoSecret(out + err);
    if (args[0] === 'show') expect(out).toContain('kafka');
  }
});

test('secrets that are not there keep a node from starting: all of them at once, each with its place, exit code 78', async () => {
  const config = configOf();
  rmSync(join(folder, 'mqtt'));
  write('credentials/kafka', '\n');
  write('credentials/key', own.key.replace('PRIVATE', 'PRIVATEER'));
  expect(await serve(config, { ...environment(), TEST_TOKEN: '' })).toBe(78);
  const told = printed.split('\n').filter((line) => line.startsWith('headwater: '));
  expect(told).toHaveLength(4);
  expect(told[0]).toMatch(/headwater.yaml:5:\d+: mqtt.users\[0\].password: the secret \{file: .*mqtt\} is not there/);
  expect(told[1]).toMatch(/headwater.yaml:6:\d+: http.token: the secret \{env: TEST_TOKEN\} is empty/);
  expect(printed).toMatch(
    /headwater.yaml:12:\d+: mirror\[0\].sasl.password: the secret \{credential: kafka\} is empty/,
  );
  expect(printed).toMatch(/headwater.yaml:11:\d+: mirror\[0\].tls.key: holds no private key in PEM/);
  expectNoSecret(printed);
  expect(readdirSync(folder)).not.toContain('data');
});

test('a credential outside of systemd says what it needs', async () => {
  expect(await serve(configOf(), { ...environment(), CREDENTIALS_DIRECTORY: '' })).toBe(78);
  expect(printed).toContain('the secret {credential: kafka} needs systemd, which sets CREDENTIALS_DIRECTORY');
});
