// One address at which the door listens, and what its clients are told to come back to. A node may have several: one for
// the machine itself, one for the network behind a port forwarding, each with the address that is right from there.
//
// What a listener with TLS or a login would change is here and in one more place: TLS makes another kind of server, whose
// sockets give what they read as events; a login is a state of the connection, in which dispatch.ts answers ApiVersions,
// SaslHandshake and SaslAuthenticate only.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Endpoint } from './handler.ts';

/** After so long without a byte the peer is asked whether it is still there; the system gives up after some ten tries. */
const KEEP_ALIVE_MS = 60_000;

export interface ListenerSettings {
  /** Port 0 lets the system choose. */
  listen: Endpoint;
  /** What clients are told to connect to; without it, the address that they reached. */
  advertise?: Endpoint;
}

export interface Listener {
  /** The address with its true port. */
  readonly address: Endpoint;
  /** Takes no more connections; those that were taken are their owner's. */
  close(): Promise<void>;
}

/** On return clients can connect. `accept` gets each socket, paused, with what its client is told. Throws what listening throws. */
export async function openListener(
  { listen, advertise }: ListenerSettings,
  accept: (socket: Socket, endpoint: Endpoint) => void,
): Promise<Listener> {
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, pauseOnConnect: true };
  const server = createServer(options, (socket) => {
    accept(socket, advertise ?? { host: plainAddress(socket.localAddress ?? address), port });
  });
  await listening(server, listen);
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** An IPv4 address as a server that listens for both kinds sees it has a prefix that clients do not expect. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

function listening(server: Server, { host, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
