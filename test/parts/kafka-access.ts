// Broker properties that make the second listener of kafka.ts, the one behind the link, ask for TLS and a login. The first
// one stays open, for the test's own tools.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, type Authority } from './certificates.ts';
import type { Kafka } from './kafka.ts';

export interface Access {
  readonly authority: Authority;
  readonly folder: string;
  /** Path of the authority's certificate. */
  readonly ca: string;
  /** TLS, and a login by SCRAM or PLAIN. `lifetimeMs`: how long a login holds. */
  saslSsl(lifetimeMs?: number): Record<string, string>;
  /** TLS, where clients show a certificate of the same authority. */
  mutualTls(): Record<string, string>;
  /** Writes a file that only this user may read, and gives its path. */
  write(name: string, text: string): Promise<string>;
  remove(): Promise<void>;
}

const PLAIN_LOGIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
const SCRAM_LOGIN = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';

/** `plainUsers`: name and password of those who may log in by PLAIN. */
export async function createAccess(plainUsers: Record<string, string> = {}): Promise<Access> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-access-'));
  const authority = createAuthority();
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const ca = await write('ca.pem', authority.cert);
  const { cert, key } = authority.issue({ subject: 'kafka-1', names: ['127.0.0.1', 'kafka-1.dc.example'] });
  const keystore = await write('kafka.pem', key + cert + authority.cert);
  const users = Object.entries(plainUsers).map(([name, password]) => `user_${name}="${password}"`);

  const tls = (clients: 'none' | 'required', protocol: 'SSL' | 'SASL_SSL'): Record<string, string> => ({
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,LINK:${protocol},PLAINTEXT:PLAINTEXT`,
    'listener.name.link.ssl.keystore.type': 'PEM',
    'listener.name.link.ssl.keystore.location': keystore,
    'listener.name.link.ssl.truststore.type': 'PEM',
    'listener.name.link.ssl.truststore.location': ca,
    'listener.name.link.ssl.client.auth': clients,
  });

  return {
    authority,
    folder,
    ca,
    write,
    saslSsl: (lifetimeMs) => ({
      ...tls('none', 'SASL_SSL'),
      'listener.name.link.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.link.plain.sasl.jaas.config': `${PLAIN_LOGIN} ${users.join(' ')};`,
      'listener.name.link.scram-sha-256.sasl.jaas.config': SCRAM_LOGIN,
      'listener.name.link.scram-sha-512.sasl.jaas.config': SCRAM_LOGIN,
      ...(lifetimeMs === undefined ? {} : { 'connections.max.reauth.ms': String(lifetimeMs) }),
    }),
    mutualTls: () => tls('required', 'SSL'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Gives a user a password for one kind of SCRAM, a new one in place of an old one. */
export async function setScramPassword(
  kafka: Kafka,
  user: string,
  password: string,
  mechanism = 'SCRAM-SHA-512',
): Promise<void> {
  const change = ['--alter', '--add-config', `${mechanism}=[iterations=8192,password=${password}]`];
  await kafka.tool('kafka.admin.ConfigCommand', [...change, '--entity-type', 'users', '--entity-name', user]);
}
