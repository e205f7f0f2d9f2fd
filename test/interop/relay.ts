// Stands between clients and a door and keeps what passes, so that the bytes of real clients can be looked at without the
// right to capture. The door must advertise the relay's port, or clients go around it.

import { createConnection, createServer, type AddressInfo } from 'node:net';

export interface Packet {
  direction: 'I' | 'O';
  bytes: Buffer;
}

export interface Relay {
  port: number;
  /** Port of what it stands in front of; set before the first client comes. */
  target: number;
  /** What passed, one list a connection. */
  connections: Packet[][];
  close(): void;
}

export async function openRelay(): Promise<Relay> {
  const connections: Packet[][] = [];
  const server = createServer((client) => {
    const packets: Packet[] = [];
    connections.push(packets);
    const door = createConnection({ host: '127.0.0.1', port: relay.target });
    const pass = (from: typeof client, to: typeof client, direction: Packet['direction']): void => {
      from.on('data', (bytes: Buffer) => {
        packets.push({ direction, bytes });
        to.write(bytes);
      });
      from.on('close', () => to.destroy());
      from.on('error', () => to.destroy());
    };
    pass(client, door, 'I');
    pass(door, client, 'O');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const relay: Relay = { port, target: 0, connections, close: () => void server.close() };
  return relay;
}
