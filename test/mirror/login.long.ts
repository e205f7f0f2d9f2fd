// A real Apache Kafka that asks for TLS and a login: every mechanism, passwords that are wrong, changed, and about to
// run out, certificates that do not fit, and records that arrive once over a TLS link that is cut.

import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { MirrorConfig } from '../../src/mirror/mirror.ts';
import { readSecret, Secret } from '../../src/secret.ts';
import { createAuthority } from '../parts/certificates.ts';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { createAccess, setScramPassword, type Access } from '../parts/kafka-access.ts';
import { expectOnce, openEdge, until, type Edge } from './real-upstream.ts';

const LIFETIME_MS = 8_000;

let access: Access;
let kafka: Kafka;
let passwordFile: string;
let edge: Edge;

beforeAll(async () => {
  access = await createAccess({ paul: 'plain-secret' });
  kafka = await startKafka({ config: access.saslSsl(LIFETIME_MS) });
  await setScramPassword(kafka, 'alice', 'gurgling');
  await setScramPassword(kafka, 'bob', 'gurgling', 'SCRAM-SHA-256');
});
afterAll(async () => {
  await kafka.stop();
  await access.remove();
});
afterEach(async () => {
  kafka.link.restore();
  await edge.close();
});

/** A mirror that logs in as alice, with the password that the file has at the time. */
async function given(config: Partial<MirrorConfig>, password = 'gurgling'): Promise<void> {
  passwordFile = await access.write('password', `${password}\n`);
  edge = await openEdge({
    bootstrap: [kafka.linkBootstrap],
    tls: { ca: access.ca },
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'alice', password: readPassword },
    ...config,
  });
}

function readPassword(): string {
  return readSecret(new Secret('file', passwordFile), {});
}

async function refused(): Promise<string> {
  await until(
    () => edge.status().state === 'refused',
    30_000,
    () => JSON.stringify(edge.status()),
  );
  return edge.status().reason!;
}

test.each(['SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN'] as const)(
  'records go out over TLS after a login by %s',
  async (mechanism) => {
    const user =
      mechanism === 'PLAIN'
        ? { username: 'paul', password: () => 'plain-secret' }
        : { username: mechanism === 'SCRAM-SHA-256' ? 'bob' : 'alice', password: readPassword };
    await given({ sasl: { mechanism, ...user } });
    await edge.folder.log.createTopic(mechanism);
    await edge.append(mechanism, 2_000);
    await edge.drained();
    await expectOnce(kafka.bootstrap, `pump-7.${mechanism}`, 2_000);
  },
);

test('a wrong password is a state that names the setting, and is not tried in a busy loop', async () => {
  await given({}, 'wrong');
  await edge.folder.log.createTopic('wrong');
  await edge.append('wrong', 100);
  const reason = await refused();
  expect(reason).toContain(`authentication refused by ${kafka.linkBootstrap}: check mirror.dc.sasl (`);
  const before = kafka.link.counts.connections;
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  // The delays double from a quarter of a second to ten.
  expect(kafka.link.counts.connections - before).toBeLessThan(8);

  writeFileSync(passwordFile, 'gurgling\n');
  await edge.drained();
  await expectOnce(kafka.bootstrap, 'pump-7.wrong', 100);
  expect(edge.lines.join('\n')).not.toMatch(/wrong\n|gurgling/);
});

test('a login that runs out is renewed on the same connection', async () => {
  await given({});
  await edge.folder.log.createTopic('renewed');
  await edge.append('renewed', 10);
  await edge.drained();
  const { connections } = kafka.link.counts;

  // Kafka ends a connection that sends anything after its login has run out.
  const endMs = Date.now() + 2.2 * LIFETIME_MS;
  while (Date.now() < endMs) {
    await edge.append('renewed', 10);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await edge.drained();

  expect(kafka.link.counts.connections).toBe(connections);
  expect(edge.status().errors).toBe(0);
  await expectOnce(kafka.bootstrap, 'pump-7.renewed', edge.status().partitions[0]!.position);
});

test('a password that is changed while it runs: a refusal when the login runs out, until the file has it', async () => {
  await given({});
  await edge.folder.log.createTopic('rotated');
  await edge.append('rotated', 100);
  await edge.drained();
  await setScramPassword(kafka, 'alice', 'brook');
  expect(await refused()).toContain('check mirror.dc.sasl');
  await edge.append('rotated', 100);

  writeFileSync(passwordFile, 'brook\n');
  await edge.drained();

  await expectOnce(kafka.bootstrap, 'pump-7.rotated', 200);
  await setScramPassword(kafka, 'alice', 'gurgling');
});

test('records arrive once over a TLS link that is cut again and again', async () => {
  await given({});
  await edge.folder.log.createTopic('cut', { partitions: 2 });
  for (let turn = 0; turn < 40; turn += 1) {
    for (const partition of [0, 1]) await edge.append('cut', 250, { partition, each: 10 });
    if (turn % 4 === 1) kafka.link.resetAfter(3_000 + 997 * turn);
    if (turn % 4 === 3) kafka.link.reset();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await edge.drained(120_000);
  for (const partition of [0, 1]) await expectOnce(kafka.bootstrap, 'pump-7.cut', 10_000, partition);
  expect(edge.status().reconciliations).toBeGreaterThan(0);
});

test.each([
  [
    'an authority that is not known',
    async () => ({ ca: await access.write('other.pem', createAuthority().cert) }),
    'mirror.dc.tls.ca',
  ],
  [
    'another name',
    () => Promise.resolve({ ca: access.ca, serverName: 'kafka-2.dc.example' }),
    'mirror.dc.tls.serverName',
  ],
] as const)('a certificate from %s is not trusted, in words', async (_, tls, words) => {
  await given({ tls: await tls() });
  await edge.folder.log.createTopic('untrusted');
  await edge.append('untrusted', 1);
  await until(
    () => edge.status().state === 'down',
    30_000,
    () => JSON.stringify(edge.status()),
  );
  expect(edge.status().reason).toContain(words);
  expect(edge.status().sent.records).toBe(0);
});

test('the name in the certificate may be another than the host, where the setting says so', async () => {
  await given({ tls: { ca: access.ca, serverName: 'kafka-1.dc.example' } });
  await edge.folder.log.createTopic('named');
  await edge.append('named', 10);
  await edge.drained();
});

test('a mechanism that the broker does not offer, and a port without TLS, are told as such', async () => {
  await kafka.restart({ ...access.saslSsl(), 'listener.name.link.sasl.enabled.mechanisms': 'SCRAM-SHA-256' });
  await given({});
  await edge.folder.log.createTopic('none');
  await edge.append('none', 1);
  expect(await refused()).toContain('does not offer SCRAM-SHA-512, it offers SCRAM-SHA-256');
  await edge.close();

  await given({ bootstrap: [kafka.bootstrap] });
  await until(
    () => edge.status().reason?.includes('is this its port for TLS?') === true,
    30_000,
    () => JSON.stringify(edge.status()),
  );
  await edge.close();

  await given({ bootstrap: [kafka.bootstrap], tls: undefined as never });
  await until(
    () => edge.status().reason?.includes('remove mirror.dc.sasl') === true,
    30_000,
    () => JSON.stringify(edge.status()),
  );
});

test('a broker that wants a certificate gets it, and refuses in words who has none', async () => {
  await kafka.restart(access.mutualTls());
  const own = access.authority.issue({ subject: 'pump-7', names: ['pump-7'] });
  const cert = await access.write('pump-7.pem', own.cert);
  await given({ sasl: undefined as never });
  await until(
    () => edge.status().reason?.includes('mirror.dc.tls.cert') === true,
    30_000,
    () => JSON.stringify(edge.status()),
  );
  await edge.close();

  await given({ sasl: undefined as never, tls: { ca: access.ca, cert, key: () => own.key } });
  await edge.folder.log.createTopic('mutual');
  await edge.append('mutual', 1_000);
  await edge.drained();
  await expectOnce(kafka.bootstrap, 'pump-7.mutual', 1_000);
});
