// The command line: help, usage, configuration, and how errors end.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../src/cli/exit-codes.ts';
import { HeadwaterError } from '../../src/errors.ts';
import { run } from './run-cli.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-cli-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const COMMANDS = [
  [],
  ['serve'],
  ['config'],
  ['config', 'check'],
  ['config', 'show'],
  ['status'],
  ['doctor'],
  ['topics'],
  ['topics', 'list'],
  ['topics', 'describe'],
  ['topics', 'create'],
  ['topics', 'delete'],
  ['produce'],
  ['consume'],
  ['groups'],
  ['groups', 'list'],
  ['groups', 'describe'],
  ['groups', 'reset'],
  ['groups', 'delete'],
  ['transactions'],
  ['transactions', 'list'],
  ['transactions', 'describe'],
  ['transactions', 'abort'],
  ['log'],
  ['log', 'verify'],
  ['log', 'dump'],
  ['log', 'export'],
  ['log', 'import'],
  ['serial'],
  ['serial', 'list'],
  ['serial', 'monitor'],
  ['serial', 'send'],
  ['serial', 'decode'],
];

describe('usage', () => {
  test.each(COMMANDS.map((command) => [command]))('help of %j has an example', async (command) => {
    const { code, out } = await run([...command, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Example: headwater ${command.join(' ')}`);
  });

  test('the version is that of the package', async () => {
    expect(await run(['--version'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });

  test.each([
    [['statu'], 'Did you mean status?'],
    [['status', '--wach'], 'Did you mean --watch?'],
    [['topics', 'describe'], "missing required argument 'topic'"],
    [['produce', 't', '-f', 'xml'], 'Allowed choices are text, jsonl'],
    [['consume', 't', '-n', 'many'], 'whole number'],
    [['status', '--url', 'ftp://x'], '--url must be like'],
  ])('%j is a mistake that is explained, exit code 2', async (args, said) => {
    const { code, err, out } = await run(args);
    expect(code).toBe(2);
    expect(err).toContain(said);
    expect(out).toBe('');
  });
});

describe('config', () => {
  test('check tells all mistakes, one a line, and ends with 78', async () => {
    const path = file('bad.yaml', 'mqtt: { lisen: 1 }\ncommit: { interval: 5 }\n');
    const { code, out } = await run(['config', 'check', path]);
    expect(code).toBe(78);
    expect(out.trim().split('\n')).toEqual([
      `${path}:1:9: mqtt.lisen is not a setting, did you mean listen?`,
      expect.stringContaining(`${path}:2:21: commit.interval must be a duration`),
    ]);
  });

  test('check finds mistakes in the environment, too, and tells them as JSON', async () => {
    const env = { HEADWATER_CONFIG: file('good.yaml', 'mqtt: { listen: off }\n'), HEADWATER_MQTT__CLIENTS: '0' };
    const { code, out } = await run(['config', 'check', '-o', 'json'], { env });
    expect(code).toBe(78);
    expect(JSON.parse(out)).toEqual({ ok: false, mistakes: [expect.stringContaining('HEADWATER_MQTT__CLIENTS: ')] });
  });

  test('what only a room knows is told with all else, in the order of the file', async () => {
    const text = [
      'serial: [null, { path: /dev/a, topic: x }, { path: /other/a, topic: x }]',
      'routes:',
      '  - { mqtt: "#/x", topic: x }',
      '  - { mqtt: "a/+line", topic: "{lime}", nodes: true }',
      '  - { mqtt: "#/x" }',
      'log: { level: loud }',
    ];
    const { code, out } = await run(['config', 'check', file('rooms.yaml', text.join('\n'))]);
    expect(code).toBe(78);
    const told = out.trim().split('\n');
    expect(told.map((line) => line.slice(folder.length + 1))).toEqual([
      expect.stringMatching(/^rooms\.yaml:1:9: serial: .* its name a is used by another port/),
      'rooms.yaml:1:10: serial[0] must be a group of settings, not null',
      'rooms.yaml:3:13: routes[0].mqtt: route "#/x": # may only be the last level',
      expect.stringMatching(/^rooms\.yaml:4:31: routes\[1\]\.topic: .* did you mean \{line\}\?$/),
      'rooms.yaml:4:41: routes[1].nodes is not a setting, did you mean node?',
      'rooms.yaml:5:5: routes[2].topic is required',
      expect.stringContaining('log.level must be one of'),
    ]);
  });

  test('check of a good file ends with 0', async () => {
    expect(await run(['config', 'check', file('good.yaml', '')])).toMatchObject({ code: 0 });
  });

  test('show says what is in effect and where it came from', async () => {
    const { out } = await run(['config', 'show', file('some.yaml', 'mqtt: { listen: off }\n')]);
    expect(out).toMatch(/listen: off +# .*some\.yaml:1:17\n/);
    const json = JSON.parse((await run(['config', 'show', '-o', 'json'])).out) as Record<
      string,
      Record<string, unknown>
    >;
    expect(json['commit']).toEqual({ profile: 'sd', interval: '100ms', burst: '5m', relaxed: '5s' });
  });

  test('show --defaults is a file to start from', async () => {
    const { out } = await run(['config', 'show', '--defaults']);
    expect((await run(['config', 'check', file('start.yaml', out)])).code).toBe(0);
  });

  test('serve with a bad file ends with 78 before it opens anything', async () => {
    const dir = join(folder, 'untouched');
    const { code, err } = await run(['serve', '-c', file('bad.yaml', `data: { dir: ${dir} }\nmqt: {}\n`)]);
    expect(code).toBe(78);
    expect(err).toContain('bad.yaml:2:1: mqt is not a setting, did you mean mqtt?');
  });
});

describe('errors', () => {
  test('no node: exit code 3, and what to do', async () => {
    const { code, err } = await run(['status', '--url', '127.0.0.1:1']);
    expect(code).toBe(3);
    expect(err).toContain('headwater serve');
    expect(err).toContain('--url');
  });

  test('the node is looked for where the configuration has it', async () => {
    const config = file('http.yaml', 'http: { listen: "0.0.0.0:2", insecure: true }\n');
    expect((await run(['status', '-c', config])).err).toContain('http://127.0.0.1:2 ');
    const off = file('off.yaml', 'http: { listen: off }\n');
    expect(await run(['status', '-c', off])).toMatchObject({
      code: 2,
      err: expect.stringContaining('http.listen: off') as string,
    });
  });

  test('something else on the port is told apart from a node', async () => {
    let status = 404;
    const server = createServer((_request, response) => response.writeHead(status).end('<p>nothing here'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    for (status of [404, 200]) {
      const { code, err } = await run(['status', '--url', `http://127.0.0.1:${port}`]);
      expect(code).toBe(3);
      expect(err).toContain('is not a working headwater');
      expect(err).toContain('<p>nothing here');
    }
    server.close();
  });

  test('exit codes follow the cause', () => {
    const because = (code: string): Error => new Error('x', { cause: Object.assign(new Error('y'), { code }) });
    expect(exitCodeOf(because('EACCES'))).toBe(77);
    expect(exitCodeOf(because('EADDRINUSE'))).toBe(75);
    expect(exitCodeOf(new HeadwaterError('STORE_UNAVAILABLE', 'x', { cause: because('EROFS') }))).toBe(77);
    expect(exitCodeOf(new HeadwaterError('STORE_LOCKED', 'x'))).toBe(75);
    expect(exitCodeOf(new HeadwaterError('TOPIC_UNKNOWN', 'x'))).toBe(4);
    expect(exitCodeOf(new TypeError('x'))).toBe(1);
  });
});
