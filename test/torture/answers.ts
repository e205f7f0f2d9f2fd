// Whether somebody listens at an address.

import { once } from 'node:events';
import { connect } from 'node:net';

/** True when `host:port` takes a connection at this moment. */
export async function answers(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
