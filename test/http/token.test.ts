import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../cli/run-cli.ts';
import { openDoor, type OpenDoor } from './open-http.ts';

const TOKEN = 'tok-8c1f';

let door: OpenDoor;
let folder: string;
beforeEach(async () => {
  door = await openDoor({ token: () => TOKEN });
  folder = await mkdtemp(join(tmpdir(), 'headwater-token-'));
});
afterEach(async () => {
  await door.room.close();
  await rm(folder, { recursive: true });
});

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

test.each(['/', '/cards', '/status', '/metrics', '/topics', '/health/ready', '/none', '/health/live/..%2f..%2fstatus'])(
  '%s is for those who have the token, as a bearer or by a browser',
  async (path) => {
    const refused = await door.ask(path);
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toMatch(/^Basic realm=/);
    const asBearer = await door.ask(path, { headers: { authorization: `Bearer ${TOKEN}` } });
    const asBrowser = await door.ask(path, { headers: { authorization: basic('anybody', TOKEN) } });
    expect(asBearer.status).not.toBe(401);
    expect(asBrowser.status).toBe(asBearer.status);
  },
);

test('whether the process lives is told to everybody', async () => {
  expect((await door.ask('/health/live')).status).toBe(200);
  expect((await door.ask('/health/live?x')).status).toBe(200);
});

test.each([
  'Bearer',
  'Bearer tok-8c1',
  `Basic ${TOKEN}`,
  basic(TOKEN, ''),
  basic('', 'wrong'),
  `Digest ${TOKEN}`,
  TOKEN,
])('with %j nobody gets in, and the log has who it was and not what was said', async (authorization) => {
  expect((await door.ask('/status', { headers: { authorization } })).status).toBe(401);
  expect(door.lines.join('\n')).toMatch(/refused: wrong token.*from=127\.0\.0\.1/);
  expect(door.lines.join('\n')).not.toContain('tok-');
});

test('a change needs the token, too, and with it a foreign page is still refused', async () => {
  const body = { method: 'POST', body: '{"name":"t"}', headers: { 'content-type': 'application/json' } };
  expect((await door.ask('/topics', body)).status).toBe(401);
  const headers = { ...body.headers, authorization: basic('x', TOKEN), origin: 'http://evil.example' };
  expect((await door.ask('/topics', { ...body, headers })).status).toBe(403);
});

test('the command line takes the token from a file, and says so when it needs one', async () => {
  const url = `http://127.0.0.1:${door.room.address.port}`;
  const file = join(folder, 'token');
  await writeFile(file, `${TOKEN}\n`);
  const without = await run(['topics', 'list', '--url', url]);
  expect(without.code).toBe(77);
  expect(without.err).toContain('give the file that has it with --token-file or HEADWATER_TOKEN_FILE');
  expect((await run(['topics', 'list', '--url', url, '--token-file', file])).code).toBe(0);
  expect((await run(['topics', 'list', '--url', url], { env: { HEADWATER_TOKEN_FILE: file } })).code).toBe(0);
  const missing = await run(['topics', 'list', '--url', url, '--token-file', `${file}.none`]);
  expect(missing.code).toBe(2);
  expect(missing.err).toContain('is not there');
});

test("the token of the configuration goes to that configuration's own node, and to no other", async () => {
  const { port } = door.room.address;
  await writeFile(join(folder, 'token'), TOKEN);
  const config = join(folder, 'headwater.yaml');
  await writeFile(config, `http: { listen: "127.0.0.1:${port}", token: { file: "${join(folder, 'token')}" } }\n`);
  expect((await run(['topics', 'list', '--config', config])).code).toBe(0);
  const other = await run(['topics', 'list', '--config', config, '--url', `http://127.0.0.1:${port}`]);
  expect(other.code).toBe(77);
});
