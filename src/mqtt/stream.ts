// The stream that stands for the socket before aedes: what is pushed into it are the packets aedes has to see, what aedes
// writes goes out on the socket. aedes writes a packet in pieces, corked; they leave in one piece, so that the
// acknowledgements which go to the socket directly fall between packets. The bytes that the socket has not sent yet stay
// counted in writableLength.

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export interface StreamNeeds {
  socket: Socket;
  /** aedes has caught up: more may be pushed. */
  onRead: () => void;
  /** aedes, or the connection, is done with it. */
  onDestroy: () => void;
  /**
   * Asked once, for the first packet, which is CONNACK. aedes says "session present" only for sessions with
   * subscriptions; one with messages or QoS 2 ids in flight is one, too.
   */
  isSessionPresent: () => boolean;
}

// Pieces are joined up to this size, and written as they are beyond.
const JOIN_BYTES_MAX = 64 * 1024;

export function createAedesStream(needs: StreamNeeds): Duplex {
  const { socket } = needs;
  let isConnackDue = true;

  function writeOut(pieces: Buffer[], done: (error?: Error | null) => void): void {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (isConnackDue || bytes <= JOIN_BYTES_MAX) {
      const joined = pieces.length === 1 && !isConnackDue ? pieces[0]! : Buffer.concat(pieces, bytes);
      if (isConnackDue) patchConnack(joined);
      socket.write(joined, done);
      return;
    }
    socket.cork();
    const last = pieces.length - 1;
    for (let index = 0; index < last; index++) socket.write(pieces[index]!);
    socket.write(pieces[last]!, done);
    socket.uncork();
  }

  function patchConnack(packet: Buffer): void {
    isConnackDue = false;
    if (packet[3] === 0 && needs.isSessionPresent()) packet[2] = 1;
  }

  const stream = new Duplex({
    writableHighWaterMark: JOIN_BYTES_MAX,
    read: () => needs.onRead(),
    write: (chunk: Buffer, _encoding, done) => writeOut([chunk], done),
    writev: (pieces, done) =>
      writeOut(
        pieces.map((piece) => piece.chunk as Buffer),
        done,
      ),
    destroy(error, done) {
      needs.onDestroy();
      done(error);
    },
  });
  // aedes listens for errors as long as it cares.
  stream.on('error', () => undefined);
  return stream;
}
