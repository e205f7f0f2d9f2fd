// How a mirror gets at its brokers: by plain TCP or TLS, with or without a login. TLS and SASL are loaded when the first
// connection is made, so that a mirror without them carries nothing of them.

import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Connect, Hints, Login } from './connection.ts';
import type { SaslConfig } from './login.ts';
import { plainConnect } from './plain-connect.ts';
import type { TlsConfig } from './tls-connect.ts';

export interface Access {
  connect: Connect;
  login?: Login;
  /** An error of the socket in words. */
  explain: (error: unknown) => string;
  hints: Hints;
}

export interface AccessConfig {
  /** The mirror's name, for the settings that errors name. */
  name: string;
  tls?: TlsConfig;
  sasl?: SaslConfig;
}

export function createAccess({ name, tls, sasl }: AccessConfig, clock: Clock): Access {
  const access: Access = { connect: plainConnect, explain: messageOf, hints: {} };
  if (tls === undefined) access.hints.tls = `is this its port for TLS? see mirror.${name}.tls`;
  if (sasl === undefined) access.hints.login = `does it want a login? see mirror.${name}.sasl`;
  if (tls !== undefined) {
    let explain = messageOf;
    access.explain = (error) => explain(error);
    access.connect = async (target, signal) => {
      const [{ createTlsConnect }, { explainTls }] = await Promise.all([
        import('./tls-connect.ts'),
        import('./tls-words.ts'),
      ]);
      explain = (error) => explainTls(error, `mirror.${name}.tls`, clock.systemMs?.() ?? clock.wallMs());
      return createTlsConnect(tls)(target, signal);
    };
  }
  if (sasl !== undefined) {
    access.login = async (ask, target) => {
      const { createLogin } = await import('./login.ts');
      return createLogin(sasl, tls !== undefined, `mirror.${name}.sasl`)(ask, target);
    };
  }
  return access;
}
