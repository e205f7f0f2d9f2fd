// The running node, as the commands see it: HTTP by node:http on a kept connection. Each error says what to do next.

import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import { formatAddress, loadConfig, type Address } from '../config.ts';
import { HeadwaterError, messageOf, type Code } from '../errors.ts';
import { readSecret, Secret } from '../secret.ts';
import { EXIT } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

export interface Reply {
  headers: IncomingHttpHeaders;
  text: string;
  /** The same as it came. */
  bytes: Buffer;
}

export interface Daemon {
  readonly url: string;
  /** Throws NOT_REACHABLE, and what the node answers as errors. */
  get(path: string, accept?: string): Promise<Reply>;
  getJson<T>(path: string): Promise<T>;
  send(method: 'POST' | 'DELETE', path: string, body?: string | Buffer, type?: string): Promise<Reply>;
  close(): void;
}

export interface Whereabouts {
  url?: string;
  config?: string;
  tokenFile?: string;
}

const REPLY_BYTES_MAX = 64 * 1024 * 1024;
const TIMEOUT_MS = 60_000;

/** Runs `act` with the node to talk to, and closes it; the exit code of a command that is done. */
export async function withDaemon(
  whereabouts: Whereabouts,
  terminal: Terminal,
  act: (daemon: Daemon) => Promise<void>,
): Promise<number> {
  const daemon = openDaemon(whereabouts, terminal);
  try {
    await act(daemon);
    return EXIT.done;
  } finally {
    daemon.close();
  }
}

/**
 * Finds the node by --url, HEADWATER_URL, or the configuration's http.listen, in this order, and its token by --token-file,
 * HEADWATER_TOKEN_FILE, or the same configuration. Connects when first asked.
 */
export function openDaemon(whereabouts: Whereabouts, { env, signal }: Terminal): Daemon {
  return daemonAt(accessTo(whereabouts, env), signal);
}

/** The node at an address that is known, with the headers by which it lets us in. */
export function daemonAt({ url, authorization }: Access, signal: AbortSignal): Daemon {
  const agent = new Agent({ keepAlive: true });

  function call(method: string, path: string, headers: Record<string, string>, body?: string | Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        new URL(path, url),
        { method, agent, headers: { ...headers, ...authorization }, signal, timeout: TIMEOUT_MS },
        (incoming) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          incoming.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes > REPLY_BYTES_MAX) incoming.destroy(new Error('the answer is too long'));
            else chunks.push(chunk);
          });
          incoming.on('error', (cause) => reject(unreachable(url, cause)));
          incoming.on('end', () => {
            const reply = replyOf(incoming.headers, Buffer.concat(chunks));
            const status = incoming.statusCode ?? 0;
            if (status >= 200 && status < 300) resolve(reply);
            else reject(errorOf(status, reply.text, url));
          });
        },
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      outgoing.on('error', (cause) => reject(unreachable(url, cause)));
      outgoing.end(body);
    });
  }

  const get = (path: string, accept = 'application/json'): Promise<Reply> => call('GET', path, { accept });
  return {
    url,
    get,
    getJson: async <T>(path: string) => {
      const { text } = await get(path);
      const value = parsed(text);
      if (value === undefined) throw notHeadwater(url, text);
      return value as T;
    },
    send: (method, path, body, type = 'application/json') => {
      return call(method, path, body === undefined ? {} : { 'content-type': type }, body);
    },
    close: () => agent.destroy(),
  };
}

function replyOf(headers: IncomingHttpHeaders, bytes: Buffer): Reply {
  return {
    headers,
    bytes,
    get text() {
      return bytes.toString('utf8');
    },
  };
}

/** Where a topic is asked for. Throws TOPIC_UNKNOWN for names that would be steps in a path, and that no topic has. */
export function topicPath(topic: string): string {
  if (topic !== '' && topic !== '.' && topic !== '..') return `/topics/${encodeURIComponent(topic)}`;
  throw new HeadwaterError('TOPIC_UNKNOWN', `there is no topic ${JSON.stringify(topic)}${TOPICS_HINT}`);
}

const TOKEN_HINT = 'give the file that has it with --token-file or HEADWATER_TOKEN_FILE';
const TOPICS_HINT = ': see `headwater topics list`, or make one with `headwater topics create`';

export interface Access {
  url: string;
  authorization: { authorization?: string };
}

function accessTo({ url, config, tokenFile }: Whereabouts, env: Terminal['env']): Access {
  const given = url ?? env['HEADWATER_URL'];
  const file = tokenFile ?? env['HEADWATER_TOKEN_FILE'];
  const token = file === undefined ? undefined : tokenOf(new Secret('file', file), env);
  // A token of the configuration is its own node's, and goes to no other.
  if (given !== undefined) return { url: checkedUrl(given), authorization: bearer(token) };
  const path = config ?? env['HEADWATER_CONFIG'];
  const { http } = loadConfig({ env, ...(path === undefined ? {} : { file: path }) });
  return { url: urlOf(http.listen), authorization: bearer(token ?? ownToken(http.token, env)) };
}

export function bearer(token: string | undefined): Access['authorization'] {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

function tokenOf(secret: Secret, env: Terminal['env']): string {
  try {
    return readSecret(secret, env);
  } catch (cause) {
    throw new HeadwaterError('USAGE', `no token: ${messageOf(cause)}`, { cause });
  }
}

/** Undefined where this user may not read it, or is no service of systemd: the node says what it asks for. */
function ownToken(secret: Secret | undefined, env: Terminal['env']): string | undefined {
  try {
    return secret === undefined ? undefined : readSecret(secret, env);
  } catch {
    return undefined;
  }
}

function checkedUrl(given: string): string {
  const full = given.includes('://') ? given : `http://${given}`;
  if (URL.parse(full)?.protocol === 'http:') return full;
  throw new HeadwaterError('USAGE', `--url must be like http://127.0.0.1:8880, not ${JSON.stringify(given)}`);
}

function urlOf(listen: Address | undefined): string {
  if (listen === undefined) {
    throw new HeadwaterError('USAGE', 'the configuration says http.listen: off, and the command line needs that door');
  }
  return `http://${formatAddress({ host: reachable(listen.host), port: listen.port })}`;
}

/** An address to listen on everywhere is none to connect to. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function unreachable(url: string, cause: unknown): HeadwaterError {
  const reason = messageOf(cause) === '' ? 'connection refused' : messageOf(cause);
  const next = 'start one with `headwater serve`, or name another with --url or HEADWATER_URL';
  return new HeadwaterError('NOT_REACHABLE', `no headwater answers at ${url} (${reason}): ${next}`, { cause });
}

const CODE_OF = new Map<number, Code>([
  [400, 'USAGE'],
  [401, 'NOT_PERMITTED'],
  [403, 'USAGE'],
  [404, 'TOPIC_UNKNOWN'],
  [409, 'TOPIC_EXISTS'],
  [413, 'RECORD_TOO_LARGE'],
  [416, 'OFFSET_OUT_OF_RANGE'],
  [421, 'NOT_REACHABLE'],
  [503, 'STORE_UNAVAILABLE'],
]);

/** Codes that say more than the status that they come with. */
const SAID = [
  'PORT_REFUSED',
  'PORT_MISSING',
  'STORE_CORRUPT',
  'LOG_FULL',
  'GROUP_UNKNOWN',
  'GROUP_BUSY',
  'TRANSACTION_UNKNOWN',
] as const;

function isSaid(error: string): error is (typeof SAID)[number] {
  return (SAID as readonly string[]).includes(error);
}

function errorOf(status: number, text: string, url: string): HeadwaterError {
  const { error, message } = (parsed(text) ?? {}) as { error?: string; message?: string };
  const code = error !== undefined && isSaid(error) ? error : CODE_OF.get(status);
  if (error === undefined || code === undefined) return notHeadwater(url, `${status} ${text}`);
  // A partition that is not there has the same code, and is not made with `topics create`.
  const isTopic = error === 'TOPIC_UNKNOWN' && message?.startsWith('there is no topic') === true;
  if (status === 401) return new HeadwaterError(code, `${url} wants another token, or one at all: ${TOKEN_HINT}`);
  return new HeadwaterError(code, `${message}${isTopic ? TOPICS_HINT : ''}`);
}

function notHeadwater(url: string, text: string): HeadwaterError {
  const said = text.slice(0, 200).trim();
  return new HeadwaterError('NOT_REACHABLE', `what answers at ${url} is not a working headwater (${said})`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Something else than headwater answers there: the caller says so.
    return undefined;
  }
}
