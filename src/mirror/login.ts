// Logging in at a broker by SASL, on a connection that is open: SaslHandshake names the mechanism, SaslAuthenticate carries
// its messages. The password is read for each login, so that one that was changed counts from the next attempt on.

import { HeadwaterError, isHeadwaterError, messageOf } from '../errors.ts';
import { isLoopback } from '../config-units.ts';
import { saslHandshake } from '../formats/kafka/17-sasl-handshake.ts';
import { saslAuthenticate } from '../formats/kafka/36-sasl-authenticate.ts';
import { KafkaError, nameOfError } from '../formats/kafka/codes.ts';
import type { ResponseOf } from '../formats/kafka/schema.ts';
import type { Ask, Login, Target } from './connection.ts';
import { proveScram, ScramFault, startScram } from './scram.ts';

export interface SaslConfig {
  mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  username: string;
  /** Reads it. Throws CONFIG_INVALID, which names where it should be. */
  password: () => string;
  /** PLAIN without TLS, although others may listen. Default false. */
  insecure?: boolean;
}

type Answer = ResponseOf<typeof saslAuthenticate>;
type Exchange = (message: string) => Promise<Answer>;

const HASH_OF = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const;

/** `setting` is named in errors: `mirror.dc.sasl`. */
export function createLogin(sasl: SaslConfig, isTls: boolean, setting: string): Login {
  return async (ask, target) => {
    const where = `${target.host}:${target.port}`;
    if (sasl.mechanism === 'PLAIN') checkCover(sasl, isTls, target, where, setting);
    try {
      await shakeHands(ask, sasl, where, setting);
      const exchange: Exchange = async (message) => {
        const answer = await ask(saslAuthenticate, { authBytes: Buffer.from(message, 'utf8') });
        if (answer.errorCode !== KafkaError.NONE) throw refusedBy(where, setting, reasonOf(answer));
        return answer;
      };
      return await (sasl.mechanism === 'PLAIN' ? plain(exchange, sasl) : scram(exchange, sasl, sasl.mechanism));
    } catch (error) {
      // A secret that cannot be read, and a server that is not to be trusted.
      if (error instanceof ScramFault || isHeadwaterError(error, 'CONFIG_INVALID')) {
        throw new HeadwaterError('NOT_PERMITTED', `no login at ${where}: ${messageOf(error)} (${setting})`);
      }
      throw error;
    }
  };
}

/** A broker that metadata names may be elsewhere than those of the configuration, which was checked. */
function checkCover({ insecure }: SaslConfig, isTls: boolean, { host }: Target, where: string, setting: string): void {
  if (isTls || insecure === true || isLoopback(host)) return;
  const what = `no login at ${where}: PLAIN without TLS would show the password to everybody on the way`;
  throw new HeadwaterError('NOT_PERMITTED', `${what}: use TLS or SCRAM, or say ${setting}.insecure: true`);
}

async function shakeHands(ask: Ask, { mechanism }: SaslConfig, where: string, setting: string): Promise<void> {
  const { errorCode, mechanisms } = await ask(saslHandshake, { mechanism });
  if (errorCode === KafkaError.NONE) return;
  if (errorCode === KafkaError.UNSUPPORTED_SASL_MECHANISM) {
    const offered = mechanisms.length === 0 ? 'none' : mechanisms.join(', ');
    throw new HeadwaterError(
      'NOT_PERMITTED',
      `${where} does not offer ${mechanism}, it offers ${offered}: check ${setting}.mechanism`,
    );
  }
  if (errorCode === KafkaError.ILLEGAL_SASL_STATE) {
    const hint = `remove ${setting}, or use its port for SASL`;
    throw new HeadwaterError('NOT_PERMITTED', `${where} takes no login at this port: ${hint}`);
  }
  throw refusedBy(where, setting, nameOfError(errorCode));
}

function refusedBy(where: string, setting: string, reason: string): HeadwaterError {
  return new HeadwaterError('NOT_PERMITTED', `authentication refused by ${where}: check ${setting} (${reason})`);
}

function reasonOf({ errorCode, errorMessage }: Answer): string {
  return errorMessage === null || errorMessage === '' ? nameOfError(errorCode) : errorMessage.slice(0, 300);
}

/** RFC 4616. */
async function plain(exchange: Exchange, { username, password }: SaslConfig): Promise<number> {
  return (await exchange(`\0${username}\0${password()}`)).sessionLifetimeMs;
}

async function scram(
  exchange: Exchange,
  { username, password }: SaslConfig,
  mechanism: keyof typeof HASH_OF,
): Promise<number> {
  const start = startScram(username);
  const first = await exchange(start.message);
  const proof = await proveScram(HASH_OF[mechanism], start, first.authBytes.toString('utf8'), password());
  const final = await exchange(proof.message);
  proof.verify(final.authBytes.toString('utf8'));
  return final.sessionLifetimeMs;
}
