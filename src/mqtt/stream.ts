// The stream that stands for the socket before aedes: what is pushed into it are the packets aedes has to see, what aedes
// writes goes out on the socket. aedes writes each packet for itself, in pieces, corked; here all packets of one turn of the
// event loop leave in one write. It is always whole packets that leave, so that the acknowledgements which go to the socket
// directly fall between packets. aedes never waits: who sends much asks `waitingBytes` before (forwarding.ts), or awaits
// `whenReady` (replays, retained messages).

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export interface AedesStream extends Duplex {
  /** Bytes that wait for the socket. */
  waitingBytes(): number;
  /** Resolves when next to nothing waits, or the stream is destroyed. */
  whenReady(): Promise<void>;
}

export interface StreamNeeds {
  socket: Socket;
  /** aedes has caught up: more may be pushed. */
  onRead: () => void;
  /** aedes, or the connection, is done with it. */
  onDestroy: () => void;
  /** The socket does not take at once what is written, or does again. */
  onBehind: (isBehind: boolean) => void;
  /**
   * Asked once, for the first packet, which is CONNACK. aedes says "session present" only for sessions with
   * subscriptions; one with messages or QoS 2 ids in flight is one, too.
   */
  isSessionPresent: () => boolean;
}

// Pieces are joined up to this size, and written as they are beyond.
const JOIN_BYTES_MAX = 64 * 1024;

export function createAedesStream(needs: StreamNeeds): AedesStream {
  const { socket } = needs;
  let isConnackDue = true;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let isScheduled = false;
  let isBehind = false;
  let readyWaiters: (() => void)[] = [];

  function add(piece: Buffer): void {
    pending.push(piece);
    pendingBytes += piece.length;
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  }

  function flush(): void {
    isScheduled = false;
    if (pending.length === 0 || !socket.writable) return;
    const isTaken = isConnackDue || pendingBytes <= JOIN_BYTES_MAX ? socket.write(joined()) : writeEach();
    pending = [];
    pendingBytes = 0;
    setBehind(!isTaken);
  }

  function joined(): Buffer {
    const packets = Buffer.concat(pending, pendingBytes);
    if (isConnackDue && packets[3] === 0 && needs.isSessionPresent()) packets[2] = 1;
    isConnackDue = false;
    return packets;
  }

  function writeEach(): boolean {
    socket.cork();
    let isTaken = true;
    for (const piece of pending) isTaken = socket.write(piece);
    socket.uncork();
    return isTaken;
  }

  function setBehind(next: boolean): void {
    if (isBehind !== next) needs.onBehind(next);
    isBehind = next;
    if (isBehind) return;
    const waiters = readyWaiters;
    readyWaiters = [];
    for (const waiter of waiters) waiter();
  }

  const duplex = new Duplex({
    writableHighWaterMark: JOIN_BYTES_MAX,
    read: () => needs.onRead(),
    write(chunk: Buffer, _encoding, done) {
      add(chunk);
      done();
    },
    writev(pieces, done) {
      for (const { chunk } of pieces) add(chunk as Buffer);
      done();
    },
    destroy(error, done) {
      flush();
      setBehind(false);
      needs.onDestroy();
      done(error);
    },
  });
  // aedes listens for errors as long as it cares.
  duplex.on('error', () => undefined);
  socket.on('drain', () => setBehind(false));

  return Object.assign(duplex, {
    waitingBytes: () => pendingBytes + socket.writableLength,
    async whenReady() {
      // What was handed over in this turn is not with the socket yet.
      if (pendingBytes > JOIN_BYTES_MAX) flush();
      if (isBehind) await new Promise<void>((resolve) => readyWaiters.push(resolve));
    },
  });
}
