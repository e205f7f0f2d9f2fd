// One connection to one broker: requests go out in order and are answered in order. A request that is not answered in
// time ends the connection, because every later answer stands behind it. An ended connection is never used again; what
// was unanswered on it has an unknown outcome.

import type { Socket } from 'node:net';
import type { Clock, Timer } from '../clock.ts';
import { HeadwaterError, messageOf } from '../errors.ts';
import { produce } from '../formats/kafka/00-produce.ts';
import { fetch } from '../formats/kafka/01-fetch.ts';
import { apiVersions } from '../formats/kafka/18-api-versions.ts';
import { KafkaError, nameOfError } from '../formats/kafka/codes.ts';
import { correlationIdOf, decodeResponse, encodeRequest } from '../formats/kafka/envelope.ts';
import { FrameSplitter } from '../formats/kafka/framing.ts';
import type { Api, RequestDraft, ResponseOf, Versions } from '../formats/kafka/schema.ts';

/** Opens a socket and resolves when it can be written to. The seam for TLS; a login follows on the open connection. */
export type Connect = (target: Target, signal: AbortSignal) => Promise<Socket>;

/** One request of a login. Throws as Connection.request does. */
export type Ask = <A extends Api>(api: A, message: RequestDraft<A>) => Promise<ResponseOf<A>>;

/** Logs in, and gives how long that holds, ms; 0 is as long as the connection. Throws NOT_PERMITTED when it is refused. */
export type Login = (ask: Ask, target: Target) => Promise<number>;

export interface Target {
  host: string;
  port: number;
}

export interface Hints {
  /** Before it has answered anything. */
  tls?: string;
  /** Before it has answered anything but ApiVersions. */
  login?: string;
}

export interface ConnectionNeeds {
  target: Target;
  clientId: string;
  connect: Connect;
  clock: Clock;
  connectTimeoutMs: number;
  /** Default: nobody is asked for a login. */
  login?: Login | undefined;
  /** Words for an error of the socket. Default: its own. */
  explain?: ((error: unknown) => string) | undefined;
  /** What to look at when a broker hangs up on a connection without TLS, or without a login. */
  hints?: Hints | undefined;
  /** Called once, at the first answer that is not the login's: the broker has taken this client for what it is. */
  onAnswer?: () => void;
  /** Called once, when the connection has ended, whoever ended it. */
  onEnd: (error: HeadwaterError) => void;
}

export interface Connection {
  readonly isOpen: boolean;
  /** True when the broker answers that API in a version that headwater speaks. */
  supports(api: Api): boolean;
  /**
   * Sends one request in the highest common version. Throws NOT_REACHABLE when the connection ends first or the broker
   * lacks the API, TIMED_OUT when the answer takes longer than `timeoutMs`: then the outcome is unknown.
   */
  request<A extends Api>(api: A, message: RequestDraft<A>, timeoutMs: number): Promise<ResponseOf<A>>;
  end(why: string): void;
}

interface Pending {
  correlationId: number;
  timer: Timer;
  resolve: (frame: Buffer) => void;
  reject: (error: HeadwaterError) => void;
}

/** An answer above this is none: fetches ask for 1 MiB, and a batch that was sent is far smaller. */
const FRAME_BYTES_MAX = 32 * 1024 * 1024;
const KEEP_ALIVE_MS = 30_000;
/** A login is renewed when this share of its time is over, more or less (KIP-368 asks for 85 to 95 %). */
const RENEWAL_SHARE = 0.85;
const RENEWAL_SPREAD = 0.1;
/** A broker that wants a login more often than this can't have it; one a day is enough for the others. */
const RENEWAL_MS_MIN = 1_000;
const RENEWAL_MS_MAX = 24 * 3600 * 1000;

/** Opens a connection, asks the broker for its versions, and logs in. Throws NOT_REACHABLE, TIMED_OUT, NOT_PERMITTED. */
export async function openConnection(needs: ConnectionNeeds): Promise<Connection> {
  const where = `${needs.target.host}:${needs.target.port}`;
  const socket = await openSocket(needs, where);
  const versions = new Map<number, Versions>();
  let isAnswered = false;
  let renewal: Timer | undefined;
  /** Set while a login is renewed: nothing else may be sent meanwhile. */
  let renewing: Promise<void> | undefined;
  const wire = attach(socket, needs, where, () => renewal?.cancel());

  const connection: Connection = {
    get isOpen() {
      return wire.isOpen();
    },
    supports: (api) => commonVersion(versions, api) !== undefined,
    async request(api, message, timeoutMs) {
      while (renewing !== undefined) await renewing;
      const answer = await ask(api, message, timeoutMs);
      if (!isAnswered) needs.onAnswer?.();
      isAnswered = true;
      return answer;
    },
    end: (why) => wire.end(why),
  };

  async function ask<A extends Api>(api: A, message: RequestDraft<A>, timeoutMs: number): Promise<ResponseOf<A>> {
    const version = commonVersion(versions, api);
    if (version === undefined) throw unreachable(`${where} does not support ${api.name}`);
    return decode(api, version, await wire.send(api, version, message, timeoutMs));
  }

  function decode<A extends Api>(api: A, version: number, frame: Buffer): ResponseOf<A> {
    try {
      return decodeResponse(api, version, frame);
    } catch (error) {
      wire.end(`its answer to ${api.name} can't be read: ${messageOf(error)}`);
      throw unreachable(`${where}: ${api.name} can't be read`, error);
    }
  }

  async function logIn(): Promise<void> {
    const { login, target, connectTimeoutMs, clock } = needs;
    if (login === undefined) return;
    const holdsMs = await login((api, message) => ask(api, message, connectTimeoutMs), target);
    if (holdsMs <= 0 || !wire.isOpen()) return;
    const delayMs = holdsMs * (RENEWAL_SHARE + Math.random() * RENEWAL_SPREAD);
    renewal = clock.after(Math.min(Math.max(delayMs, RENEWAL_MS_MIN), RENEWAL_MS_MAX), renew);
  }

  /** Requests that are on their way are answered before it; later ones wait. */
  function renew(): void {
    renewing = logIn()
      .catch((error: unknown) => wire.fail(asRefusal(error)))
      .finally(() => (renewing = undefined));
  }

  try {
    for (const [key, range] of await askVersions(wire, needs.connectTimeoutMs)) versions.set(key, range);
  } catch (error) {
    wire.end('its versions are not known');
    throw unreachable(`${where}: ApiVersions failed: ${messageOf(error)}`, error);
  }
  try {
    await logIn();
  } catch (error) {
    wire.fail(asRefusal(error));
    throw error;
  }
  return connection;
}

async function openSocket(needs: ConnectionNeeds, where: string): Promise<Socket> {
  const abort = new AbortController();
  const timer = needs.clock.after(needs.connectTimeoutMs, () => abort.abort());
  try {
    const socket = await needs.connect(needs.target, abort.signal);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return socket;
  } catch (error) {
    const explain = needs.explain ?? messageOf;
    const why = abort.signal.aborted ? `no connection within ${needs.connectTimeoutMs} ms` : explain(error);
    throw unreachable(`${where}: ${why}`, error);
  } finally {
    timer.cancel();
  }
}

interface Wire {
  isOpen(): boolean;
  send<A extends Api>(api: A, version: number, message: RequestDraft<A>, timeoutMs: number): Promise<Buffer>;
  end(why: string): void;
  fail(error: HeadwaterError): void;
}

/** Frames out, frames in, in order. */
function attach(socket: Socket, needs: ConnectionNeeds, where: string, onEnd: () => void): Wire {
  const pending: Pending[] = [];
  const frames = new FrameSplitter(FRAME_BYTES_MAX);
  let correlationId = 0;
  let isOpen = true;
  let answers = 0;

  function fail(error: HeadwaterError): void {
    if (!isOpen) return;
    isOpen = false;
    socket.destroy();
    for (const { timer, reject } of pending.splice(0)) {
      timer.cancel();
      reject(error);
    }
    onEnd();
    needs.onEnd(error);
  }

  function hint(): string {
    const text = answers === 0 ? needs.hints?.tls : answers === 1 ? needs.hints?.login : undefined;
    return text === undefined ? '' : ` (${text})`;
  }

  function onFrame(frame: Buffer): void {
    const first = pending.shift();
    if (first === undefined || correlationIdOf(frame) !== first.correlationId) {
      if (first !== undefined) pending.unshift(first);
      fail(unreachable(`${where} answered what was not asked`));
      return;
    }
    first.timer.cancel();
    answers += 1;
    first.resolve(frame);
  }

  socket.on('data', (chunk: Buffer) => {
    try {
      for (const frame of frames.push(chunk)) onFrame(frame);
    } catch (error) {
      fail(unreachable(`${where} sent what is no answer: ${messageOf(error)}${hint()}`, error));
    }
  });
  const explain = needs.explain ?? messageOf;
  socket.on('error', (error) => fail(unreachable(`${where}: ${explain(error)}`, error)));
  socket.on('close', () => fail(unreachable(`${where} closed the connection${hint()}`)));

  if (socket.destroyed) fail(unreachable(`${where} closed the connection at once`));

  return {
    isOpen: () => isOpen,
    end: (why) => fail(unreachable(`${where}: connection ended, ${why}`)),
    fail,
    send(api, version, message, timeoutMs) {
      if (!isOpen) return Promise.reject(unreachable(`${where}: the connection has ended`));
      const id = (correlationId = (correlationId + 1) & 0x7fffffff);
      const pieces = encodeRequest(api, version, { correlationId: id, clientId: needs.clientId }, message);
      return new Promise((resolve, reject) => {
        const timer = needs.clock.after(timeoutMs, () => {
          fail(new HeadwaterError('TIMED_OUT', `${where}: no answer to ${api.name} within ${timeoutMs} ms`));
        });
        pending.push({ correlationId: id, timer, resolve, reject });
        socket.cork();
        for (const piece of pieces) socket.write(piece);
        socket.uncork();
      });
    },
  };
}

/** Version 3 first; a broker that does not know it says so in version 0, whatever was asked (KIP-511). */
async function askVersions(wire: Wire, timeoutMs: number): Promise<[key: number, range: Versions][]> {
  const asked = { clientSoftwareName: 'headwater', clientSoftwareVersion: '1' };
  let version = 3;
  let frame = await wire.send(apiVersions, version, asked, timeoutMs);
  if (frame.length >= 6 && frame.readInt16BE(4) === KafkaError.UNSUPPORTED_VERSION) {
    version = 0;
    frame = await wire.send(apiVersions, version, {}, timeoutMs);
  }
  const answer = decodeResponse(apiVersions, version, frame);
  if (answer.errorCode !== 0) throw unreachable(nameOfError(answer.errorCode));
  return answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, { min: minVersion, max: maxVersion }]);
}

/** The last versions that name topics: a mirror goes by names, and compares ids itself, see `recreated`. */
const VERSION_MAX: ReadonlyMap<number, number> = new Map([
  [produce.key, 12],
  [fetch.key, 12],
]);

function commonVersion(versions: Map<number, Versions>, api: Api): number | undefined {
  const theirs = versions.get(api.key);
  if (theirs === undefined) return undefined;
  const version = Math.min(theirs.max, VERSION_MAX.get(api.key) ?? api.versions.max);
  return version >= theirs.min && version >= api.versions.min ? version : undefined;
}

function asRefusal(error: unknown): HeadwaterError {
  return error instanceof HeadwaterError ? error : unreachable(messageOf(error), error);
}

export function unreachable(message: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('NOT_REACHABLE', message, cause === undefined ? undefined : { cause });
}
