// Who may ask. Nobody is asked for a password, so a page of the internet must not be able to use the browser of somebody
// on the site as its messenger: requests are answered only for names of this machine (DNS rebinding makes another name
// lead here), and changes are refused that a page of another origin caused.

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { failure, type Answer } from './exchange.ts';

export type Guard = (request: IncomingMessage) => Answer | undefined;

/** `hosts`: names besides `localhost` and plain addresses. The guard returns the refusal, or undefined. */
export function createGuard(hosts: readonly string[]): Guard {
  const names = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())]);
  return (request) => {
    const host = request.headers.host ?? '';
    if (!isOurs(nameIn(host), names)) {
      return failure(421, 'HOST_UNKNOWN', `this node is not asked for as ${JSON.stringify(host)}: see http.hosts`);
    }
    const { origin } = request.headers;
    const isChange = request.method !== 'GET' && request.method !== 'HEAD';
    if (isChange && origin !== undefined && origin !== `http://${host}`) {
      return failure(403, 'ORIGIN_FOREIGN', 'a page of another site may not change anything here');
    }
    return undefined;
  };
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
