// Secrets by reference: what may stand in the configuration, what is read when, and that nothing ever repeats one.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explainConfig, loadConfig, type ConfigInput } from '../src/config.ts';
import { printEffective } from '../src/config-print.ts';
import { messageOf } from '../src/errors.ts';
import { createSecretCheck, createUserCheck } from '../src/secret-check.ts';
import { isReadableByAll, readSecret, Secret, SECRET_BYTES_MAX, secretsIn } from '../src/secret.ts';
import { createTrace } from '../src/trace.ts';
import { fakeClock } from './fakes/clock.ts';

const LITERAL = 'hunter2-in-the-clear';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-secret-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(text: string | Buffer, name = 'secret'): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

function mistakesOf(input: ConfigInput): string[] {
  try {
    loadConfig(input);
  } catch (error) {
    return messageOf(error).split('\n');
  }
  return [];
}

describe('in the configuration', () => {
  const mirror = (password: string): string =>
    `mirror:\n  - name: dc\n    bootstrap: [k:9093]\n    sasl: { mechanism: SCRAM-SHA-512, username: u, password: ${password} }\n`;

  test.each([
    ['{ file: /etc/headwater/password }', new Secret('file', '/etc/headwater/password')],
    ['{ env: KAFKA_PASSWORD }', new Secret('env', 'KAFKA_PASSWORD')],
    ['{ credential: kafka-password }', new Secret('credential', 'kafka-password')],
  ])('%s is a reference', (text, secret) => {
    expect(secretsIn(loadConfig({ text: mirror(text) }))).toEqual([
      { path: ['mirror', 0, 'sasl', 'password'], secret },
    ]);
  });

  test('a secret itself is refused with its place and what to write, and is not repeated', () => {
    expect(mistakesOf({ text: mirror(LITERAL) })).toEqual([
      'headwater.yaml:4:62: mirror[0].sasl.password must not stand here itself: write where it is, {file: PATH}, ' +
        '{credential: NAME} (LoadCredential= of systemd), or {env: NAME}',
    ]);
  });

  const alias = `*${LITERAL}`;
  test.each([
    ['in quotes', mirror(`"${LITERAL}"`)],
    ['as an alias', mirror(alias)],
    ['as a tag', mirror(`!${LITERAL} x`)],
    ['as a list', mirror(`[${LITERAL}]`)],
    ['as a name', mirror(`{ ${LITERAL}: x }`)],
    ['under another name', mirror(`{ value: ${LITERAL} }`)],
    ['beside a reference', mirror(`{ file: /x, value: ${LITERAL} }`)],
    ['as a variable', mirror(`{ env: "${LITERAL}" }`)],
    ['as a credential', mirror(`{ credential: "../${LITERAL}" }`)],
    ['as a list of files', mirror(`{ file: [${LITERAL}] }`)],
    ['in the place of the login', `mirror: [{ name: dc, bootstrap: ["k:1"], sasl: ${LITERAL} }]`],
    ['in a list in the place of the login', `mirror: [{ name: dc, bootstrap: ["k:1"], sasl: [${LITERAL}] }]`],
    ['in a mirror that is no list', `mirror: { sasl: { password: ${LITERAL} } }`],
    ['in the place of the users', `mqtt: { users: ${LITERAL} }`],
    ['as a user', `mqtt: { users: [${LITERAL}] }`],
    ['in users that are no list', `mqtt: { users: { a: ${LITERAL} } }`],
    ['as a token', `http: { token: ${LITERAL} }`],
    ['in the place of the door', `http: [${LITERAL}]`],
  ])('%s, it is a mistake that does not repeat it', (_, text) => {
    const mistakes = mistakesOf({ text });
    expect(mistakes).not.toEqual([]);
    expect(mistakes.join('\n')).not.toContain(LITERAL);
  });

  test.each([
    { HEADWATER_HTTP__TOKEN: LITERAL },
    { HEADWATER_HTTP__TOKEN: alias },
    { HEADWATER_HTTP__TOKEN: `{${LITERAL}` },
    { HEADWATER_HTTP__TOKEN__VALUE: LITERAL },
    { HEADWATER_MQTT__USERS: `[{ name: a, password: ${LITERAL} }` },
    { HEADWATER_MQTT__USERS: alias },
    { HEADWATER_MQTT__USERS: LITERAL },
  ])('a variable with a secret itself is a mistake that does not repeat it: %j', (env) => {
    const mistakes = mistakesOf({ env });
    expect(mistakes).not.toEqual([]);
    expect(mistakes.join('\n')).not.toContain(LITERAL);
  });

  test('a variable that is laid over a literal does not repeat that either', () => {
    const env = { HEADWATER_HTTP__TOKEN__FILE: '/run/token' };
    const mistakes = mistakesOf({ text: `http: { token: ${LITERAL} }`, env });
    expect(mistakes).toHaveLength(2);
    expect(mistakes.join('\n')).not.toContain(LITERAL);
  });

  test('a reference can come from the environment, whole or by its kind', () => {
    const whole = loadConfig({ env: { HEADWATER_HTTP__TOKEN: '{ file: /run/token }' } });
    const byKind = loadConfig({ env: { HEADWATER_HTTP__TOKEN__FILE: '/run/token' } });
    expect(whole.http.token).toEqual(new Secret('file', '/run/token'));
    expect(byKind.http.token).toEqual(whole.http.token);
  });

  test('what is in effect shows the reference', () => {
    const loaded = explainConfig({ text: 'http: { token: { file: /run/token } }' });
    expect(printEffective(loaded)).toMatch(/ {2}token:\n {4}file: \/run\/token +# headwater.yaml:1:24\n/);
  });

  test('PLAIN without TLS is refused off loopback, unless it is said', () => {
    const plain = (rest: string, host = 'kafka.example'): string =>
      `mirror: [{ name: dc, bootstrap: ["${host}:9092"], sasl: { mechanism: PLAIN, username: u, password: { env: P }${rest} } }]`;
    expect(mistakesOf({ text: plain('') })[0]).toContain(
      'mirror[0].sasl.mechanism must not be PLAIN without TLS, which shows the password',
    );
    expect(mistakesOf({ text: plain(', insecure: true') })).toEqual([]);
    expect(mistakesOf({ text: plain('', '127.0.0.1') })).toEqual([]);
    expect(mistakesOf({ text: plain('').replace('sasl:', 'tls: {}, sasl:') })).toEqual([]);
  });

  test.each([
    ['mirror: [{ name: dc, bootstrap: ["k:1"], tls: }]', 'mirror[0].tls must be a group of settings, not null'],
    ['mirror: [{ name: dc, bootstrap: ["k:1"], sasl: }]', 'mirror[0].sasl must be a group of settings, not null'],
    ['mqtt: { insecure: true, users: }', 'mqtt.users must be a list, not null'],
    ['http: { insecure: true, token: }', 'http.token must not stand here itself'],
  ])('%s is not taken for less protection', (text, words) => {
    const mistakes = mistakesOf({ text });
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toContain(words);
  });

  test('a certificate without a key is a mistake', () => {
    expect(mistakesOf({ text: 'mirror: [{ name: dc, bootstrap: ["k:1"], tls: { cert: /c.pem } }]' })).toEqual([
      'headwater.yaml:1:47: mirror[0].tls has no key: cert and key go together',
    ]);
  });

  test('a door is opened to other machines with users, with a token, or with insecure', () => {
    const open = (door: string, rest: string): string[] =>
      mistakesOf({ text: `${door}: { listen: "0.0.0.0:1"${rest} }` });
    expect(open('mqtt', '')[0]).toContain('set mqtt.users, or set mqtt.insecure: true');
    expect(open('mqtt', ', users: []')).toHaveLength(1);
    expect(open('mqtt', ', users: [{ name: a, password: { env: A } }]')).toEqual([]);
    expect(open('http', '')[0]).toContain('set http.token, or set http.insecure: true');
    expect(open('http', ', token: { env: A }')).toEqual([]);
    expect(open('kafka', '')[0]).toContain('keep 127.0.0.1, or set kafka.insecure: true');
    expect(
      mistakesOf({ text: 'mqtt: { users: [{ name: a, password: { env: A } }, { name: a, password: { env: B } }] }' }),
    ).toEqual(['headwater.yaml:1:60: mqtt.users[1].name is the same as that of mqtt.users[0]']);
  });
});

describe('reading', () => {
  test('a newline at the end is cut, and only one', () => {
    expect(readSecret(new Secret('file', write('one\n')), {})).toBe('one');
    expect(readSecret(new Secret('file', write('one\r\n')), {})).toBe('one');
    expect(readSecret(new Secret('file', write(' one \n\n')), {})).toBe(' one \n');
    expect(readSecret(new Secret('env', 'P'), { P: 'two' })).toBe('two');
  });

  test('a credential lies in the folder that systemd names', () => {
    write('three\n', 'kafka');
    expect(readSecret(new Secret('credential', 'kafka'), { CREDENTIALS_DIRECTORY: folder })).toBe('three');
    expect(() => readSecret(new Secret('credential', 'kafka'), {})).toThrow(
      'the secret {credential: kafka} needs systemd, which sets CREDENTIALS_DIRECTORY for a service with ' +
        'LoadCredential=kafka:PATH in its unit; without systemd use {file: PATH}',
    );
  });

  test.each([
    ['that is not there', () => join(folder, 'none'), 'is not there: there is no file'],
    ['that is empty', () => write('\n'), 'is empty'],
    ['with a NUL', () => write('a\0b'), 'holds a NUL'],
    ['that is no text', () => write(Buffer.from([0xff, 0xfe])), 'is no UTF-8 text'],
    ['that is too long', () => write('x'.repeat(SECRET_BYTES_MAX + 1)), 'has more than 65536 bytes'],
    ['that is a folder', () => folder, 'is no file'],
    ['that is endless', () => '/dev/zero', 'is no file'],
  ])('a file %s is told with its reference', (_, pathOf, why) => {
    const secret = new Secret('file', pathOf());
    expect(() => readSecret(secret, {})).toThrow(`the secret {file: ${secret.name}} ${why}`);
    expect(() => readSecret(secret, {})).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  test('a pipe that nobody writes to does not hold the node', () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(() => readSecret(new Secret('file', pipe), {})).toThrow('is no file');
  });

  test('a file that everybody may read is noticed', () => {
    const secret = new Secret('file', write('x'));
    expect(isReadableByAll(secret, {})).toBe(false);
    chmodSync(secret.name, 0o644);
    expect(isReadableByAll(secret, {})).toBe(true);
  });
});

describe('comparing', () => {
  const lines: string[] = [];
  const trace = createTrace({ write: (line) => void lines.push(line) });

  test('a secret that changes counts within a second, and one that is gone goes on to count', () => {
    const clock = fakeClock();
    let read = (): string => 'old';
    const check = createSecretCheck(() => read(), { clock, trace });
    expect([check('old'), check('new'), check(Buffer.from('old'))]).toEqual([true, false, true]);
    read = () => 'new';
    clock.advance(1000);
    expect([check('old'), check('new')]).toEqual([false, true]);
    read = () => {
      throw new Error('gone');
    };
    clock.advance(1000);
    expect(check('new')).toBe(true);
    expect(lines.join('\n')).toContain('the last one counts');
  });

  test('a user needs both the name and its password', () => {
    const users = [
      { name: 'a', password: () => 'one' },
      { name: 'b', password: () => 'two' },
    ];
    const check = createUserCheck(users, { clock: fakeClock(), trace });
    expect(check('a', Buffer.from('one'))).toBe(true);
    expect(check('b', Buffer.from('one'))).toBe(false);
    expect(check('c', Buffer.from('one'))).toBe(false);
    expect(check('a', undefined)).toBe(false);
    expect(check(undefined, undefined)).toBe(false);
  });
});
