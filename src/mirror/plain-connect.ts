// A plain TCP connection to a broker.

import { connect, type Socket } from 'node:net';
import type { Target } from './connection.ts';

export function plainConnect(target: Target, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.host, port: target.port });
    const give = (): void => {
      signal.removeEventListener('abort', stop);
      // `fail` stays, so that an error before the connection listens for it does not end the process.
      resolve(socket);
    };
    const fail = (error: Error): void => {
      signal.removeEventListener('abort', stop);
      reject(error);
    };
    // The error goes to `fail`, as that of a failed connection does.
    const stop = (): void => void socket.destroy(new Error('gave up'));
    socket.once('connect', give);
    socket.once('error', fail);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
