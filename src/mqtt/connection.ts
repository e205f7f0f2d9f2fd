// One client's connection, in front of aedes. Packets are cut out of what the socket brings; what a client publishes is
// taken here (publishes.ts), everything else goes on to aedes as bytes, through a stream that stands for the socket.
//
//   socket --take--> frames --> PUBLISH, PUBREL --> intake, acks --> socket
//                    \--> CONNECT, SUBSCRIBE, PUBACK, ... --> stream <--> aedes --> socket
//
//   new --CONNECT is in order--> connecting --CONNACK--> open --DISCONNECT, end, or a fault--> ended
//
// Nothing is read, and nothing read is looked at, while any reason to wait stands: the log is full, too many
// acknowledgements are owed, or the client does not read them, CONNACK or SUBACK is due (so that a client's packets take
// effect in their order), aedes has not caught up. Bounded: one packet, and over all connections the bytes of packets that are not whole yet.

import type { Socket } from 'node:net';
import { createAcks, type Acks } from './acks.ts';
import {
  CONNECT,
  createFrame,
  DISCONNECT,
  isClientFrame,
  PUBLISH,
  PUBREL,
  readFrame,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from './frames.ts';
import type { Held } from './holding.ts';
import type { Pace, Paced } from './pace.ts';
import { BAD_CREDENTIALS, readConnect, readFilters, subackFailure } from './packets.ts';
import type { Connect, PacketBounds, Refusal } from './packets.ts';
import { createPublishes, type Publisher, type Publishes, type PublishNeeds } from './publishes.ts';
import { createAedesStream, type AedesStream } from './stream.ts';

/** Reasons not to read, one bit each. */
export const FOR_CONNACK = 1;
export const FOR_SUBACK = 2;
export const FOR_ROOM = 4;
export const FOR_ACKS = 8;
export const FOR_AEDES = 16;
export const FOR_DRAIN = 32;
export const FOR_GOOD = 64;

export interface ConnectionLimits extends PacketBounds {
  packetBytesMax: number;
  /** CONNECT, and then CONNACK, have to come within this time. */
  connectTimeoutMs: number;
  /** Acknowledgements one client is owed before it is not read any more. */
  pendingAcksMax: number;
  /** A publisher that there is no room for is closed after so long, its messages unacknowledged. */
  heldMsMax: number;
  /** Of one client. */
  subscriptionsMax: number;
}

/** aedes' client, as far as the connection knows it. */
export interface Peer {
  readonly subscriptions: object;
  close(): void;
}

/** What a connection needs of the door. */
export interface Door extends PublishNeeds {
  limits: ConnectionLimits;
  pace: Pace;
  /** A CONNECT in order: ends an older connection of that client and readies its session. Or why it may not. */
  begin(connection: Connection, connect: Connect): Begun | Refusal;
  /** Hands the stream to aedes. */
  attach(connection: Connection): Peer;
  /** True while publishes have to wait; the connection is told so, and told again when there is room. */
  mustWait(publisher: Held): boolean;
  /** Why there is no room for records. */
  refusal(): string | undefined;
  /** Bytes of packets that are not whole, over all connections; false if they are too many. */
  hold(deltaBytes: number): boolean;
  refused(connection: Connection, reason: string, detail: string): void;
  ended(connection: Connection): void;
  /** One more, or one less, socket does not take at once what is written to it. */
  behind(isBehind: boolean): void;
  /** Seconds, coarse: counts up by one each second. */
  tick(): number;
}

export interface Begun extends Publisher {
  /** There is a session from before. */
  isKnown: boolean;
}

export interface Connection extends Held {
  /**
   * Takes what was read from the socket. The bytes are lent: what is not looked at yet, or goes further, is copied.
   * False when the socket shall rest, see pace.ts.
   */
  take(bytes: Buffer): boolean;
  readonly stream: AedesStream;
  readonly acks: Acks;
  readonly clientId: string;
  readonly isPersistent: boolean;
  readonly remote: string;
  readonly isOpen: boolean;
  /** CONNACK is out: packets may be taken. */
  opened(): void;
  /** Ends it from this side: the client's id has been taken over, or the door closes. */
  end(): void;
  fail(reason: string, detail: string): void;
  wait(reason: number): void;
  resume(reason: number): void;
  /** Ends it if CONNECT, or any packet within one and a half times the keep alive, did not come. Called each tick. */
  checkTime(): void;
}

type Phase = 'new' | 'connecting' | 'open' | 'ended';

// The largest CONNECT there can be has a will, a user name and a password of 64 KiB each.
const CONNECT_BYTES_MAX = 256 * 1024;
const LINGER_TICKS = 10;
// Bytes that wait for the socket up to which a client is read on, and how long the socket may take none of them.
const ACK_BYTES_MAX = 256 * 1024;
const DRAIN_TICKS_MAX = 60;

export function openConnection(socket: Socket, door: Door): Connection {
  const { limits } = door;
  const frame = createFrame();
  const remote = `${socket.remoteAddress}:${socket.remotePort}`;
  const openedTick = door.tick();
  let phase: Phase = 'new';
  let waits = 0;
  let isFlowing = true;
  let isConsuming = false;
  let lastTick = openedTick;
  let keepAliveTicks = 0;
  let heldTick = openedTick;
  let sentBytes = 0;
  let sentTick = openedTick;
  // What was read and not yet looked at; no look is worth it while less than `neededBytes` are there.
  let chunks: Buffer[] = [];
  let heldBytes = 0;
  let neededBytes = 0;
  let countedBytes = 0;
  // Of the last read: how many packets, and whether all they ask for is a commit.
  let packets = 0;
  let isPatient = true;
  let isResting = false;
  const paced: Paced = { lastReadMs: -Infinity, wake };
  // Neighbouring packets on their way to aedes, within the buffer that is looked at.
  let passStart = 0;
  let passEnd = 0;
  let peer: Peer | undefined;
  let publisher: Begun = { clientId: '', isPersistent: false, isKnown: false };
  let publishes: Publishes | undefined;

  const acks = createAcks({
    write(bytes) {
      if (socket.writable && !socket.write(bytes) && socket.writableLength > ACK_BYTES_MAX) wait(FOR_DRAIN);
    },
    route: door.router.route,
    onFailure: (error) => fail('commit', error.message),
    onWritten: () => {
      if ((waits & FOR_ACKS) !== 0 && acks.count() <= limits.pendingAcksMax / 2) resume(FOR_ACKS);
    },
  });

  const stream = createAedesStream({
    socket,
    onRead: () => resume(FOR_AEDES),
    onDestroy: () => {
      phase = 'ended';
      socket.destroySoon();
    },
    onBehind: door.behind,
    isSessionPresent: () => publisher.isKnown,
  });

  function take(bytes: Buffer): boolean {
    packets = 0;
    isPatient = true;
    if (phase !== 'ended') look(bytes);
    // If a packet is not whole, more of it is on its way.
    const mayRest = isPatient && phase === 'open' && waits === 0 && heldBytes === 0;
    isResting = mayRest && door.pace.rests(paced, packets, bytes.length);
    return !isResting;
  }

  function wake(): void {
    if (!isResting) return;
    isResting = false;
    if (waits === 0) socket.read(0);
  }

  function look(bytes: Buffer): void {
    if (heldBytes === 0) {
      consume(bytes);
      return;
    }
    chunks.push(Buffer.from(bytes));
    heldBytes += bytes.length;
    if (heldBytes >= neededBytes) consumeHeld();
    else account();
  }

  function consumeHeld(): void {
    if (isConsuming || heldBytes === 0) return;
    consume(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, heldBytes));
  }

  function consume(bytes: Buffer): void {
    isConsuming = true;
    const end = consumeFrames(bytes);
    chunks = end === bytes.length ? [] : [Buffer.from(bytes.subarray(end))];
    heldBytes = bytes.length - end;
    isConsuming = false;
    account();
    acks.flush();
    setFlow();
  }

  /** Takes whole packets until there is none, or a reason to wait. Returns where it stopped. */
  function consumeFrames(bytes: Buffer): number {
    let at = 0;
    neededBytes = 0;
    passStart = passEnd = 0;
    while (waits === 0 && phase !== 'ended') {
      const packetBytesMax =
        phase === 'new' ? Math.min(CONNECT_BYTES_MAX, limits.packetBytesMax) : limits.packetBytesMax;
      const state = readFrame(bytes, at, packetBytesMax, frame);
      if (state === 'partial') {
        neededBytes = Math.max(frame.end - at, 0);
        break;
      }
      if (state !== 'whole') {
        fail(state, `packet of type ${frame.type}`);
        break;
      }
      if (frame.type === PUBLISH && door.mustWait(connection)) break;
      takePacket(bytes);
      packets += 1;
      if (frame.type !== PUBLISH || publishes?.isPatient !== true) isPatient = false;
      at = frame.end;
    }
    if (at > 0) lastTick = door.tick();
    pass(bytes);
    return at;
  }

  function takePacket(bytes: Buffer): void {
    if (phase === 'new') return takeConnect(bytes);
    if (frame.type === PUBLISH) {
      const refused = publishes!.publish(bytes, frame);
      if (refused !== undefined) fail(refused, publishes!.detail);
      else if (acks.count() > limits.pendingAcksMax) wait(FOR_ACKS);
      return;
    }
    if (!isClientFrame(frame) || frame.type === CONNECT) return fail('malformed', `packet of type ${frame.type}`);
    if (frame.type === PUBREL) {
      const refused = publishes!.release(bytes.readUInt16BE(frame.bodyStart));
      if (refused !== undefined) fail(refused, publishes!.detail);
      return;
    }
    if ((frame.type === SUBSCRIBE || frame.type === UNSUBSCRIBE) && !takesFilters(bytes)) return;
    if (passEnd !== frame.start) {
      pass(bytes);
      passStart = frame.start;
    }
    passEnd = frame.end;
    if (frame.type !== DISCONNECT) return;
    pass(bytes);
    phase = 'ended';
  }

  function takeConnect(bytes: Buffer): void {
    if (frame.type !== CONNECT || !isClientFrame(frame)) return fail('malformed', 'no CONNECT');
    const connect = readConnect(bytes, frame, limits);
    if ('reason' in connect) return refuse(connect);
    const begun = door.begin(connection, connect);
    if ('reason' in begun) return refuse(begun);
    publisher = begun;
    publishes = createPublishes(door, acks, publisher);
    // The keep alive is watched here, where all packets are seen; aedes is told that there is none.
    keepAliveTicks = Math.ceil((connect.keepAliveMs * 1.5) / 1000);
    bytes.writeUInt16BE(0, connect.keepAliveAt);
    phase = 'connecting';
    wait(FOR_CONNACK);
    peer = door.attach(connection);
    passStart = frame.start;
    passEnd = frame.end;
  }

  /** False if a SUBSCRIBE or UNSUBSCRIBE is not for aedes: a fault, or more subscriptions than there may be. */
  function takesFilters(bytes: Buffer): boolean {
    const filters = readFilters(bytes, frame, limits);
    if ('reason' in filters) {
      fail('topic', filters.reason);
      return false;
    }
    if (frame.type === SUBSCRIBE) {
      const count = Object.keys(peer!.subscriptions).length + filters.count;
      if (count > limits.subscriptionsMax) {
        door.refused(connection, 'subscriptions', `${count} subscriptions`);
        socket.write(subackFailure(filters.packetId, filters.count));
        return false;
      }
    }
    wait(FOR_SUBACK);
    return true;
  }

  function pass(bytes: Buffer): void {
    if (passEnd > passStart) {
      const packets = Buffer.from(bytes.subarray(passStart, passEnd));
      if (!stream.push(packets) && !stream.destroyed) wait(FOR_AEDES);
    }
    passStart = passEnd = 0;
  }

  function refuse({ reason, returnCode }: Refusal): void {
    door.refused(connection, returnCode === BAD_CREDENTIALS ? 'credentials' : 'connect', reason);
    if (returnCode !== undefined) socket.write(Buffer.from([0x20, 2, 0, returnCode]));
    phase = 'ended';
    socket.destroySoon();
  }

  function fail(reason: string, detail: string): void {
    if (phase === 'ended') return;
    door.refused(connection, reason, detail);
    phase = 'ended';
    stream.destroy();
    socket.destroy();
  }

  function wait(reason: number): void {
    waits |= reason;
    if (!isConsuming) setFlow();
  }

  function resume(reason: number): void {
    if ((waits & reason) === 0) return;
    waits &= ~reason;
    if (waits !== 0 || isConsuming) return;
    // The client was not read, so it was not silent.
    lastTick = door.tick();
    consumeHeld();
    setFlow();
  }

  function setFlow(): void {
    const shallFlow = waits === 0;
    if (shallFlow === isFlowing) return;
    isFlowing = shallFlow;
    if (shallFlow) socket.resume();
    else socket.pause();
  }

  /** What waits because we wait is not the client's fault; it is at most one read a connection. */
  function account(): void {
    const bytes = waits === 0 && phase !== 'ended' ? heldBytes : 0;
    const delta = bytes - countedBytes;
    countedBytes = bytes;
    if (delta !== 0 && !door.hold(delta)) fail('memory', 'packets that are not whole take too much memory');
  }

  /** True when bytes wait for the socket and it has taken none of them for long. */
  function isStuck(tick: number): boolean {
    const bytes = socket.bytesWritten - socket.writableLength;
    if (socket.writableLength === 0 || bytes !== sentBytes) sentTick = tick;
    sentBytes = bytes;
    return tick - sentTick > DRAIN_TICKS_MAX;
  }

  /** Its client may have another node to go to, and should know: 3.1.1 has no other word for it. */
  function isHeldTooLong(tick: number): boolean {
    const isHeld = (waits & FOR_ROOM) !== 0 && door.refusal() !== undefined;
    return isHeld && (tick - heldTick) * 1000 > limits.heldMsMax;
  }

  function checkTime(): void {
    const tick = door.tick();
    if (phase === 'ended') {
      if (tick - lastTick > LINGER_TICKS) socket.destroy();
    } else if (phase !== 'open') {
      if ((tick - openedTick) * 1000 > limits.connectTimeoutMs) fail('connect timeout', `phase ${phase}`);
    } else if (isStuck(tick)) fail('slow', 'it reads nothing');
    else if (isHeldTooLong(tick)) fail('no room', door.refusal()!);
    else if (waits !== 0) lastTick = tick;
    else if (keepAliveTicks > 0 && tick - lastTick > keepAliveTicks) fail('keep alive', `${tick - lastTick} s`);
  }

  const connection: Connection = {
    take,
    stream,
    acks,
    remote,
    get clientId() {
      return publisher.clientId;
    },
    get isPersistent() {
      return publisher.isPersistent;
    },
    get isOpen() {
      return phase === 'open';
    },
    opened() {
      if (phase === 'connecting') phase = 'open';
      resume(FOR_CONNACK);
    },
    end() {
      phase = 'ended';
      if (peer === undefined) socket.destroySoon();
      else peer.close();
    },
    fail,
    wait,
    resume,
    hold() {
      heldTick = door.tick();
      wait(FOR_ROOM);
    },
    release: () => resume(FOR_ROOM),
    checkTime,
  };

  socket.on('drain', () => resume(FOR_DRAIN));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    phase = 'ended';
    stream.destroy();
    chunks = [];
    heldBytes = 0;
    account();
    door.ended(connection);
  });
  return connection;
}
