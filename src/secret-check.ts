// Compares what a client says with a secret of the configuration, in a time that tells nothing of either. The secret is
// read again when a client comes and the last look is older than a second, so that a file that is replaced counts without
// a new start, and clients that try at random cause no more than that. Only a digest under a key of this process is kept.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from './clock.ts';
import { messageOf } from './errors.ts';
import type { Trace } from './trace.ts';

/** True when that is the secret. */
export type SecretCheck = (given: Buffer | string) => boolean;

const FRESH_MS = 1000;
const key = randomBytes(32);

function digestOf(text: Buffer | string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** `read` throws CONFIG_INVALID when there is none. Then the last one that was read goes on to count. */
export function createSecretCheck(read: () => string, { clock, trace }: { clock: Clock; trace: Trace }): SecretCheck {
  let expected = digestOf(read());
  let readMs = clock.monotonicMs();

  function refresh(): void {
    const nowMs = clock.monotonicMs();
    if (nowMs - readMs < FRESH_MS) return;
    readMs = nowMs;
    try {
      expected = digestOf(read());
    } catch (error) {
      trace.limited('a secret cannot be read again, the last one counts', { reason: messageOf(error) });
    }
  }

  return (given) => {
    refresh();
    return timingSafeEqual(digestOf(given), expected);
  };
}

export interface User {
  name: string;
  /** Reads it. Throws CONFIG_INVALID. */
  password: () => string;
}

/** Takes as long for a name that is none as for a wrong password. */
export function createUserCheck(
  users: readonly User[],
  needs: { clock: Clock; trace: Trace },
): (name: string | undefined, password: Buffer | undefined) => boolean {
  const checks = new Map(users.map(({ name, password }) => [name, createSecretCheck(password, needs)]));
  const nobody = createSecretCheck(() => randomBytes(32).toString('hex'), needs);
  return (name = '', password = Buffer.alloc(0)) => (checks.get(name) ?? nobody)(password);
}
