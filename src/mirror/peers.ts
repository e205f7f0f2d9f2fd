// The brokers of one upstream cluster and a connection to each that is needed: first to bootstrap addresses, then to what
// metadata names. After a failure the next attempt to the same address waits, longer each time and spread from the first
// time on: whoever asks simply waits with it, so that asking again at once is no busy loop.

import assert from 'node:assert';
import type { Clock } from '../clock.ts';
import { HeadwaterError, isHeadwaterError, messageOf } from '../errors.ts';
import type { Trace } from '../trace.ts';
import { createBackoff, type Backoff } from './backoff.ts';
import type { Access } from './access.ts';
import { openConnection, unreachable, type Connection, type Target } from './connection.ts';
import { plainConnect } from './plain-connect.ts';

export interface PeersNeeds {
  bootstrap: readonly string[];
  clientId: string;
  clock: Clock;
  trace: Trace;
  access?: Access;
  connectTimeoutMs: number;
}

export interface UpstreamState {
  /** True while a connection is open. */
  isUp: boolean;
  /** Wall time of the first failure since a broker last answered, ms. */
  downSinceMs: number | undefined;
  lastError: string | undefined;
  /** True when that was a login that was refused, which a person must mend. */
  isRefused: boolean;
}

export interface Peers {
  /** Any open connection; otherwise one attempt at the next address in turn. Throws NOT_REACHABLE. */
  any(): Promise<Connection>;
  /** A connection to that broker. Throws NOT_REACHABLE, also when metadata has not named it. */
  to(node: number): Promise<Connection>;
  knows(node: number): boolean;
  /** Takes over what metadata says of the brokers; connections to others end. */
  learn(brokers: readonly { nodeId: number; host: string; port: number }[]): void;
  state(): UpstreamState;
  close(): void;
}

interface Peer {
  target: Target;
  connection: Connection | undefined;
  connecting: Promise<Connection> | undefined;
  backoff: Backoff;
  /** No attempt before this, ms of the monotonic clock. */
  notBeforeMs: number;
}

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 10_000;

/** Connects to nothing until asked. Throws CONFIG_INVALID for an address that is none. */
export function openPeers(needs: PeersNeeds): Peers {
  const { clock, trace } = needs;
  const closing = new AbortController();
  const peers = new Map<string, Peer>();
  const bootstrap = needs.bootstrap.map(parseTarget);
  const nodes = new Map<number, Target>();
  let turn = Math.floor(Math.random() * bootstrap.length);
  let downAtMs: number | undefined;
  let lastError: string | undefined;
  let isRefused = false;

  function peerOf(target: Target): Peer {
    const key = nameOf(target);
    let peer = peers.get(key);
    if (peer === undefined) {
      const backoff = createBackoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
      peer = { target, connection: undefined, connecting: undefined, backoff, notBeforeMs: 0 };
      peers.set(key, peer);
    }
    return peer;
  }

  function openTo(peer: Peer): Promise<Connection> {
    if (peer.connection?.isOpen === true) return Promise.resolve(peer.connection);
    peer.connecting ??= connectTo(peer).finally(() => (peer.connecting = undefined));
    return peer.connecting;
  }

  async function connectTo(peer: Peer): Promise<Connection> {
    const waitMs = peer.notBeforeMs - clock.monotonicMs();
    if (waitMs > 0) await clock.sleep(waitMs, closing.signal);
    if (closing.signal.aborted) throw unreachable('the upstream client is closed');
    try {
      const connection = await openConnection({
        target: peer.target,
        clientId: needs.clientId,
        ...(needs.access ?? { connect: plainConnect }),
        clock,
        connectTimeoutMs: needs.connectTimeoutMs,
        onEnd: (error) => onEnd(peer, error),
        // Not as soon as it is open: a broker that wants a login and gets none hangs up at the first question.
        onAnswer: () => {
          peer.backoff.reset();
          onUp(peer);
        },
      });
      if (closing.signal.aborted) connection.end('the client is closed');
      peer.connection = connection;
      return connection;
    } catch (error) {
      delay(peer);
      onDown(error);
      throw error;
    }
  }

  function delay(peer: Peer): void {
    peer.notBeforeMs = clock.monotonicMs() + peer.backoff.nextMs();
  }

  function onEnd(peer: Peer, error: HeadwaterError): void {
    peer.connection = undefined;
    delay(peer);
    onDown(error);
  }

  function onUp(peer: Peer): void {
    if (downAtMs !== undefined) trace.info('upstream is back', { broker: nameOf(peer.target) });
    downAtMs = undefined;
    lastError = undefined;
    isRefused = false;
  }

  function onDown(error: unknown): void {
    if (closing.signal.aborted) return;
    const why = messageOf(error);
    const wasRefused = isRefused;
    isRefused = isHeadwaterError(error, 'NOT_PERMITTED');
    if (isRefused && !wasRefused) trace.limited('upstream refuses the login', { why });
    if (isUp()) return;
    lastError = why;
    if (downAtMs !== undefined) return;
    downAtMs = clock.monotonicMs();
    trace.warn('upstream is down', { why });
  }

  /** By the wall clock as it is at present: it may have been put right since. */
  function downSinceMs(): number | undefined {
    return downAtMs === undefined ? undefined : Math.round(clock.wallMs() - (clock.monotonicMs() - downAtMs));
  }

  function openConnections(): Connection[] {
    return [...peers.values()]
      .map(({ connection }) => connection)
      .filter((each) => each?.isOpen === true) as Connection[];
  }

  function isUp(): boolean {
    return openConnections().length > 0;
  }

  return {
    async any() {
      const [open] = openConnections();
      if (open !== undefined) return open;
      const targets = [...bootstrap, ...nodes.values()];
      const target = targets[turn++ % targets.length];
      assert(target !== undefined, 'a mirror has a bootstrap address');
      return openTo(peerOf(target));
    },
    async to(node) {
      const target = nodes.get(node);
      if (target === undefined) throw unreachable(`broker ${node} is not known`);
      return openTo(peerOf(target));
    },
    knows: (node) => nodes.has(node),
    learn(brokers) {
      nodes.clear();
      for (const { nodeId, host, port } of brokers) nodes.set(nodeId, { host, port });
      const known = new Set([...bootstrap, ...nodes.values()].map(nameOf));
      for (const [key, peer] of peers) {
        if (known.has(key)) continue;
        peers.delete(key);
        peer.connection?.end('the broker has left the cluster');
      }
    },
    state: () => ({ isUp: isUp(), downSinceMs: downSinceMs(), lastError, isRefused }),
    close() {
      closing.abort();
      for (const connection of openConnections()) connection.end('headwater closes');
    },
  };
}

function nameOf({ host, port }: Target): string {
  return `${host}:${port}`;
}

/** `host:port`, the host in brackets where it is an IPv6 address. */
function parseTarget(address: string): Target {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
  if (match === null) throw new HeadwaterError('CONFIG_INVALID', `not an address of a Kafka broker: ${address}`);
  return { host: (match[1] ?? match[2])!, port: Number(match[3]) };
}
