// A link that can be cut: a TCP relay on 127.0.0.1 in front of one target, for the tests and the demo. Whoever speaks a
// protocol that advertises addresses must be told to advertise the relay's.

import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Link {
  readonly host: string;
  readonly port: number;
  /** Connections that were accepted so far, and bytes that went up (to the target) and down. */
  readonly counts: { connections: number; upBytes: number; downBytes: number };
  /** Resets every connection and refuses new ones. */
  cut(): void;
  /** Resets every connection; new ones are accepted at once. */
  reset(): void;
  /** Keeps connections open and accepts new ones, but passes nothing: a half-open line. */
  blackhole(): void;
  /** Passes everything again. Bytes that were held by `blackhole` go out first. */
  restore(): void;
  /** From now on the next `upBytes` bytes towards the target pass, then every connection is reset, once. */
  resetAfter(upBytes: number): void;
  close(): Promise<void>;
}

/** Opens a relay to `target` (`host:port`), on `port` or a free one. */
export async function openLink(target: string, port = 0): Promise<Link> {
  const colon = target.lastIndexOf(':');
  const to = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
  const sockets = new Set<Socket>();
  const counts = { connections: 0, upBytes: 0, downBytes: 0 };
  let mode: 'open' | 'cut' | 'blackhole' = 'open';
  let fuseBytes = Infinity;

  const server = createServer((client) => {
    if (mode === 'cut') {
      client.resetAndDestroy();
      return;
    }
    counts.connections += 1;
    const upstream = connect(to);
    join(client, upstream, (chunk) => {
      counts.upBytes += chunk.length;
      fuseBytes -= chunk.length;
    });
    join(upstream, client, (chunk) => (counts.downBytes += chunk.length));
  });

  function join(from: Socket, into: Socket, count: (chunk: Buffer) => void): void {
    sockets.add(from);
    from.setNoDelay(true);
    if (mode === 'blackhole') from.pause();
    from.on('data', (chunk) => {
      count(chunk);
      if (fuseBytes <= 0) {
        fuseBytes = Infinity;
        reset();
        return;
      }
      if (!into.write(chunk)) from.pause();
    });
    into.on('drain', () => {
      if (mode === 'open') from.resume();
    });
    from.on('end', () => into.end());
    from.on('error', () => into.destroy());
    from.on('close', () => {
      sockets.delete(from);
      into.destroy();
    });
  }

  function reset(): void {
    for (const socket of sockets) socket.resetAndDestroy();
    sockets.clear();
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });

  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    counts,
    cut() {
      mode = 'cut';
      reset();
    },
    reset,
    blackhole() {
      mode = 'blackhole';
      for (const socket of sockets) socket.pause();
    },
    restore() {
      mode = 'open';
      for (const socket of sockets) socket.resume();
    },
    resetAfter(upBytes) {
      fuseBytes = upBytes;
    },
    async close() {
      reset();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
