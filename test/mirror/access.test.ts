// How a mirror gets at its brokers, against a broker in memory that speaks TLS and wants a login.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer, type AddressInfo, type Server } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors.ts';
import { createLogin, type SaslConfig } from '../../src/mirror/login.ts';
import { createTlsConnect, mistakesInTls, type TlsConfig } from '../../src/mirror/tls-connect.ts';
import { explainTls } from '../../src/mirror/tls-words.ts';
import { fakeLogin, type FakeLogin } from '../fakes/login.ts';
import { createAuthority, type IssueOptions } from '../parts/certificates.ts';
import { until } from '../parts/until.ts';
import { openPair, upTo, type Pair } from './fake-upstream.ts';

const PASSWORD = 'gurgling, =brook; ü';
const DAY_MS = 24 * 3_600_000;
const authority = createAuthority();
const server = authority.issue({ subject: 'kafka-1', names: ['127.0.0.1', 'kafka-1.dc.example'] });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-access-'));
  write('ca.pem', authority.cert);
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('a login', () => {
  let login: FakeLogin;
  let pair: Pair;
  let password: string;
  beforeEach(() => {
    login = fakeLogin('alice', PASSWORD);
    password = PASSWORD;
  });
  afterEach(() => pair.remove());

  async function given(sasl: Partial<SaslConfig> = {}, options: { isPlain?: boolean } = {}): Promise<void> {
    const tls = options.isPlain === true ? {} : { tls: { ca: join(folder, 'ca.pem') } };
    const who: SaslConfig = { mechanism: 'SCRAM-SHA-512', username: 'alice', password: () => password, ...sasl };
    pair = await openPair({ ...tls, sasl: who }, options.isPlain === true ? { login } : { tls: server, login });
    await pair.append('t', 100);
    await pair.open();
  }

  async function refusal(): Promise<string> {
    await until(
      'a refusal',
      () => pair.status().state === 'refused',
      10_000,
      () => JSON.stringify(pair.status()),
    );
    return pair.status().reason!;
  }

  test.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)(
    'by %s over TLS lets records through',
    async (mechanism) => {
      await given({ mechanism });
      await pair.drained();
      expect(pair.upstream('n.t')).toEqual(upTo(100));
      expect(login.count).toBe(1);
    },
  );

  test('with a wrong password is a state of the mirror, and the next attempt reads the password again', async () => {
    password = 'not-the-brook';
    await given();
    expect(await refusal()).toBe(
      `authentication refused by ${pair.broker.address}: check mirror.dc.sasl (Authentication failed: Invalid username or password)`,
    );
    expect(pair.status().sinceMs).toBeDefined();
    expect(pair.broker.counts.get('SaslHandshake')!).toBeLessThan(5);
    password = PASSWORD;
    await pair.drained();
    expect(pair.upstream('n.t')).toEqual(upTo(100));
    expect(pair.lines.join('\n')).toContain('upstream refuses the login');
    expect(pair.lines.join('\n')).not.toMatch(/not-the-brook|gurgling/);
  });

  test('with a secret that cannot be read says which, and that it was not even tried', async () => {
    let isThere = false;
    const read = (): string => {
      if (isThere) return PASSWORD;
      throw new HeadwaterError('CONFIG_INVALID', 'the secret {file: /run/p} is empty');
    };
    await given({ password: read });
    expect(await refusal()).toContain('the secret {file: /run/p} is empty (mirror.dc.sasl)');
    isThere = true;
    await pair.drained();
  });

  test.each([
    ['nonce', { fault: 'nonce' as const }, 'does not go on from our nonce'],
    ['signature', { fault: 'signature' as const }, 'does not prove that it knows the password'],
    ['iterations', { iterations: 4_000_000 }, 'asks for 4000000 SCRAM iterations'],
    [
      'mechanisms',
      { mechanisms: ['PLAIN'] },
      'does not offer SCRAM-SHA-512, it offers PLAIN: check mirror.dc.sasl.mechanism',
    ],
  ])('at a server whose %s is not in order is broken off', async (_, fault, why) => {
    Object.assign(login, fault);
    await given();
    expect(await refusal()).toContain(why);
    expect(pair.broker.counts.get('Metadata')).toBeUndefined();
  });

  test('by PLAIN without TLS goes to this machine only', async () => {
    await given({ mechanism: 'PLAIN' }, { isPlain: true });
    await pair.drained();
    const log = createLogin(
      { mechanism: 'PLAIN', username: 'alice', password: () => PASSWORD },
      false,
      'mirror.dc.sasl',
    );
    const asked: unknown[] = [];
    const ask = ((...args: unknown[]) => Promise.resolve(asked.push(args))) as never;
    await expect(log(ask, { host: 'kafka-2.dc.example', port: 9092 })).rejects.toThrow(
      'no login at kafka-2.dc.example:9092: PLAIN without TLS would show the password',
    );
    expect(asked).toEqual([]);
  });

  test('that is missing, or TLS that is, is guessed from how the broker hangs up, and not tried in a busy loop', async () => {
    pair = await openPair({}, { login });
    await pair.append('t', 1);
    await pair.open();
    const toldIs = (words: string) => () => pair.status().reason?.includes(words) === true;
    await until('a guess', toldIs('closed the connection (does it want a login? see mirror.dc.sasl)'));
    await until('three attempts', () => pair.broker.counts.get('Metadata')! >= 3);
    expect(pair.status().state).toBe('down');
    expect(pair.lines.filter((line) => line.includes('upstream is'))).toHaveLength(1);
    await pair.remove();

    pair = await openPair({}, { tls: server, login });
    await pair.append('t', 1);
    await pair.open();
    await until('a guess', toldIs('(is this its port for TLS? see mirror.dc.tls)'));
  });

  test('that runs out is renewed before, on the same connection, with the password of that time', async () => {
    login.lifetimeMs = 1_000;
    await given();
    await pair.drained();
    login.password = password = 'another-brook';
    await until('two renewals', () => login.count >= 3, 15_000);
    await pair.append('t', 10);
    await pair.drained();
    expect(pair.broker.counts.get('ApiVersions')).toBe(1);
    expect(pair.upstream('n.t')).toEqual(upTo(110));
    login.password = 'a-third-brook';
    expect(await refusal()).toContain('check mirror.dc.sasl');
  });
});

describe('TLS', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const each of servers.splice(0)) each.close();
  });

  async function listen(made: Server): Promise<number> {
    servers.push(made);
    await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
    return (made.address() as AddressInfo).port;
  }

  async function tlsServer(options: Partial<IssueOptions> = {}, more: TlsOptions = {}): Promise<number> {
    const issued = authority.issue({ subject: 'kafka-1', names: ['127.0.0.1'], ...options });
    const made = createServer({ ...issued, ...more }, (socket) => socket.on('error', () => undefined).write('hello'));
    return listen(made.on('tlsClientError', () => undefined));
  }

  /** What a technician reads when a connection to that port fails, at once or at its first byte; undefined if it works. */
  async function whyNot(port: number, config: TlsConfig = {}): Promise<string | undefined> {
    const tls = { ca: join(folder, 'ca.pem'), ...config };
    try {
      const socket = await createTlsConnect(tls)({ host: '127.0.0.1', port }, new AbortController().signal);
      await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
      socket.destroy();
      return undefined;
    } catch (error) {
      return explainTls(error, 'mirror.dc.tls', Date.parse('1970-01-01T00:03:00Z'));
    }
  }

  test('a certificate of the authority, for this address and of these days, is good', async () => {
    expect(await whyNot(await tlsServer())).toBeUndefined();
  });

  test('with a wrong clock the certificate seems not valid yet, or not any more', async () => {
    const early = await tlsServer({
      notBefore: new Date(Date.now() + DAY_MS),
      notAfter: new Date(Date.now() + 2 * DAY_MS),
    });
    const late = await tlsServer({
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter: new Date(Date.now() - DAY_MS),
    });
    expect(await whyNot(early)).toBe(
      "its certificate is not valid yet: this node's clock says 1970-01-01T00:03Z, is that right?",
    );
    expect(await whyNot(late)).toBe(
      "its certificate has expired, if the clock is right: this node's clock says 1970-01-01T00:03Z",
    );
  });

  test('an authority that is not known is told with the setting that makes it known', async () => {
    const other = write('other.pem', createAuthority('somebody else').cert);
    expect(await whyNot(await tlsServer(), { ca: other })).toContain(
      'authority that this node does not know: give that',
    );
    expect(await whyNot(await tlsServer(), { ca: other })).toContain('mirror.dc.tls.ca');
  });

  test('an authority of the same name and another key is none', async () => {
    expect(await whyNot(await tlsServer(), { ca: write('twin.pem', createAuthority().cert) })).toContain(
      'mirror.dc.tls.ca',
    );
  });

  test('a certificate for another name is told with both names', async () => {
    const port = await tlsServer({ names: ['kafka-1.dc.example', '10.0.0.1'] });
    expect(await whyNot(port)).toBe(
      'its certificate is for kafka-1.dc.example, 10.0.0.1, not for 127.0.0.1: correct bootstrap, or set mirror.dc.tls.serverName',
    );
    expect(await whyNot(port, { serverName: 'kafka-1.dc.example' })).toBeUndefined();
    expect(await whyNot(port, { serverName: '10.0.0.1' })).toBeUndefined();
    expect(await whyNot(port, { serverName: 'kafka-2.dc.example' })).toContain('not for kafka-2.dc.example');
  });

  test('a broker that wants a certificate gets it, and one that gets none is told apart', async () => {
    const wants = { requestCert: true, rejectUnauthorized: true, ca: authority.cert };
    const port = await tlsServer({}, wants);
    const own = authority.issue({ subject: 'pump-7', names: ['pump-7'] });
    const cert = write('own.pem', own.cert);
    expect(await whyNot(port)).toBe(
      "it refuses this node's certificate: check mirror.dc.tls.cert and mirror.dc.tls.key",
    );
    expect(await whyNot(port, { cert, key: () => own.key })).toBeUndefined();
  });

  test('a port that does not speak TLS is told as such', async () => {
    const port = await listen(
      createPlainServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    );
    expect(await whyNot(port)).toBe('it does not speak TLS: is this its port for TLS?');
    const shy = await listen(createPlainServer((socket) => void socket.destroy()));
    expect(await whyNot(shy)).toBe('it closed the connection before TLS was agreed: is this its port for TLS?');
  });

  test('TLS 1.1 is too old', async () => {
    const port = await tlsServer({}, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' });
    expect(await whyNot(port)).toContain('TLS 1.2 is the least');
  });

  test('an authority that is put in place while it runs counts at the next attempt', async () => {
    const ca = write('late.pem', createAuthority().cert);
    const port = await tlsServer();
    expect(await whyNot(port, { ca })).toContain('does not know');
    write('late.pem', authority.cert);
    expect(await whyNot(port, { ca })).toBeUndefined();
  });

  test('files that are none are told by their setting, all at once', () => {
    const junk = write('junk.pem', 'junk');
    const own = authority.issue({ subject: 'pump-7' });
    const cert = write('own.pem', own.cert);
    const mistakes = mistakesInTls({ ca: join(folder, 'none.pem'), cert: junk, key: () => 'junk' });
    expect(mistakes.map(({ field }) => field)).toEqual(['ca', 'cert', 'key']);
    expect(mistakes[0]!.message).toContain('there is no file');
    expect(mistakes[1]!.message).toContain('no certificate in PEM');
    expect(mistakesInTls({ cert, key: () => server.key })).toEqual([
      { field: 'key', message: 'does not belong to the certificate of cert' },
    ]);
    expect(mistakesInTls({ ca: join(folder, 'ca.pem'), cert, key: () => own.key })).toEqual([]);
  });
});
