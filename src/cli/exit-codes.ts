// Exit codes: 0 done, 1 failed, 2 usage, 3 no node answers, 4 not found, 10 unhealthy, 75 try again later (as
// sysexits.h), 77 not permitted, 78 configuration, 130 interrupted.

import { isHeadwaterError, type Code } from '../errors.ts';

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  notReachable: 3,
  notFound: 4,
  unhealthy: 10,
  tryLater: 75,
  notPermitted: 77,
  badConfig: 78,
  interrupted: 130,
} as const;

const EXIT_OF: Record<Code, number> = {
  FORMAT_TRUNCATED: EXIT.failed,
  FORMAT_CORRUPT: EXIT.failed,
  STORE_LOCKED: EXIT.tryLater,
  STORE_CORRUPT: EXIT.failed,
  STORE_UNAVAILABLE: EXIT.tryLater,
  LOG_FULL: EXIT.tryLater,
  LOG_CLOSED: EXIT.tryLater,
  TOPIC_UNKNOWN: EXIT.notFound,
  TOPIC_EXISTS: EXIT.failed,
  TOPIC_INVALID: EXIT.usage,
  OFFSET_OUT_OF_RANGE: EXIT.notFound,
  GROUP_UNKNOWN: EXIT.notFound,
  TRANSACTION_UNKNOWN: EXIT.notFound,
  GROUP_BUSY: EXIT.tryLater,
  RECORD_TOO_LARGE: EXIT.failed,
  RECORD_INVALID: EXIT.failed,
  TIMESTAMP_INVALID: EXIT.failed,
  SEQUENCE_OUT_OF_ORDER: EXIT.failed,
  PRODUCER_FENCED: EXIT.failed,
  TRANSACTION_STATE: EXIT.failed,
  PORT_MISSING: EXIT.notFound,
  PORT_REFUSED: EXIT.tryLater,
  CONFIG_INVALID: EXIT.badConfig,
  USAGE: EXIT.usage,
  NOT_PERMITTED: EXIT.notPermitted,
  NOT_REACHABLE: EXIT.notReachable,
  UPSTREAM_REFUSED: EXIT.failed,
  TIMED_OUT: EXIT.tryLater,
};

export function exitCodeOf(error: unknown): number {
  const code = systemErrorOf(error)?.code;
  // Whatever it was good for: somebody has to give a permission.
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return EXIT.notPermitted;
  if (isHeadwaterError(error)) return EXIT_OF[error.code];
  // Another program can end, and an address can come when its cable is plugged in.
  return code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL' ? EXIT.tryLater : EXIT.failed;
}

export interface SystemError {
  code: string;
  address?: string;
  port?: number;
}

/** The first error of the operating system in the chain of causes. */
export function systemErrorOf(error: unknown): SystemError | undefined {
  let at: unknown = error;
  for (let depth = 0; depth < 10 && at instanceof Error; depth += 1) {
    const { code } = at as Partial<SystemError>;
    if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return at as unknown as SystemError;
    at = at.cause;
  }
  return undefined;
}
