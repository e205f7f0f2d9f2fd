// Sockets that all read into one buffer. Node gives each read 64 KiB of its own, and to make and collect those costs more
// than all else that is done for a message, when messages come one by one. Only a socket's constructor can say otherwise,
// and a server has no such option: the handle of a socket that was accepted goes over to one that was made so.

import { Socket } from 'node:net';

export interface SharedReads {
  /**
   * A socket in place of `accepted`, which the server has paused and which is of no use afterwards. What is read is lent
   * to `take`: the next read, of any socket, overwrites it. There are no `data` events. When `take` returns false,
   * nothing more is read until `read(0)` or `resume()` of the socket.
   */
  adopt(accepted: Socket, take: (bytes: Buffer) => boolean): Socket;
}

/** Also the most that one read gives. */
const BUFFER_BYTES = 64 * 1024;

export function createSharedReads(): SharedReads {
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

  return {
    adopt(accepted, take) {
      // What Node itself does with the handles that it hands from one socket to another.
      const handle: unknown = Reflect.get(accepted, '_handle');
      Reflect.set(accepted, '_handle', null);
      accepted.destroy();
      const callback = (bytesRead: number): boolean => take(buffer.subarray(0, bytesRead));
      return new Socket({ handle, onread: { buffer, callback } } as object);
    },
  };
}
