// Who may ask. With a token, everything but /health/live is for those who know it. With or without one, a page of the
// internet must not be able to use the browser of somebody on the site as its messenger: requests are answered only for
// names of this machine (DNS rebinding makes another name lead here), and changes are refused that a page of another
// origin caused.

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { SecretCheck } from '../secret-check.ts';
import { failure, type Answer } from './exchange.ts';

export type Guard = (request: IncomingMessage) => Answer | undefined;

export interface GuardNeeds {
  /** Names besides `localhost` and plain addresses. */
  hosts: readonly string[];
  /** Undefined: nobody is asked for a token. */
  isToken: SecretCheck | undefined;
  /** Somebody came with a token that is none. */
  onWrongToken: (from: string) => void;
}

// Browsers know how to ask for a password, and for no token.
const CHALLENGE = 'Basic realm="headwater: any user name, and the token as password", charset="UTF-8"';

/** The guard returns the refusal, or undefined. */
export function createGuard({ hosts, isToken, onWrongToken }: GuardNeeds): Guard {
  const names = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())]);
  return (request) => {
    const host = request.headers.host ?? '';
    if (!isOurs(nameIn(host), names)) {
      return failure(421, 'HOST_UNKNOWN', `this node is not asked for as ${JSON.stringify(host)}: see http.hosts`);
    }
    const isOpen = isToken === undefined || /^\/health\/live(?:\?|$)/.test(request.url ?? '');
    if (!isOpen && !isToken(tokenIn(request) ?? '')) {
      if (request.headers.authorization !== undefined) onWrongToken(request.socket.remoteAddress ?? 'unknown');
      const headers = { 'www-authenticate': CHALLENGE };
      return failure(401, 'TOKEN_REQUIRED', 'this node asks for its token: Authorization: Bearer TOKEN', headers);
    }
    const { origin } = request.headers;
    const isChange = request.method !== 'GET' && request.method !== 'HEAD';
    if (isChange && origin !== undefined && origin !== `http://${host}`) {
      return failure(403, 'ORIGIN_FOREIGN', 'a page of another site may not change anything here');
    }
    return undefined;
  };
}

/** The token of a bearer, or the password that a browser asked for. */
function tokenIn({ headers }: IncomingMessage): string | undefined {
  const match = /^(Bearer|Basic) +(.+?) *$/i.exec(headers.authorization ?? '');
  const [, scheme, text = ''] = match ?? [];
  if (scheme?.toLowerCase() !== 'basic') return match === null ? undefined : text;
  const pair = Buffer.from(text, 'base64').toString('utf8');
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : undefined;
}

function isOurs(name: string, names: ReadonlySet<string>): boolean {
  // A plain address cannot be rebound: the browser went where it says.
  return names.has(name) || isIP(name) !== 0;
}

/** The host without its port, lower case. */
function nameIn(host: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::\d+)?$/.exec(host);
  return (match?.[1] ?? match?.[2] ?? '').toLowerCase();
}
