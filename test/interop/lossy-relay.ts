// Stands between a producer and the door and loses some answers to Produce, each with its connection: what was sent is in
// the log, and the producer can not know it. The door must advertise the relay's port.

import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';

const PRODUCE = 0;

export interface LossyRelay {
  port: number;
  /** Port of the door; set before the first client comes. */
  target: number;
  /** How many answers were lost. */
  lost: number;
  close(): void;
}

/** `losing`: which answers to Produce are lost, counted from 1 over all connections. */
export async function openLossyRelay(losing: readonly number[]): Promise<LossyRelay> {
  const sockets = new Set<Socket>();
  let answers = 0;
  const server = createServer((client) => {
    const door = createConnection({ host: '127.0.0.1', port: relay.target });
    const produces = new Set<number>();
    const end = (): void => {
      for (const socket of [client, door]) socket.destroy();
    };
    eachFrame(client, (frame) => {
      if (frame.readInt16BE(4) === PRODUCE) produces.add(frame.readInt32BE(8));
      door.write(frame);
    });
    eachFrame(door, (frame) => {
      if (produces.delete(frame.readInt32BE(4)) && losing.includes((answers += 1))) {
        relay.lost += 1;
        end();
      }
      if (!client.destroyed) client.write(frame);
    });
    for (const socket of [client, door]) {
      sockets.add(socket);
      socket.on('close', end).on('error', end);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  const relay: LossyRelay = { port, target: 0, lost: 0, close };
  return relay;
}

function eachFrame(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
      const end = 4 + pending.readInt32BE(0);
      onFrame(pending.subarray(0, end));
      pending = pending.subarray(end);
    }
  });
}
