// Bodies of MQTT 3.1.1 packets, read before anything else sees them: CONNECT (section 3.1) and the filters of SUBSCRIBE
// and UNSUBSCRIBE (3.8, 3.10). Pure; a fault is a value, in words for a line of trace. PUBLISH is read where it is taken
// (publishes.ts), because nothing may be allocated there.
//
//   CONNECT body   protocol name (text) | level u8 | flags u8 | keep alive u16, seconds |
//                  client id (text) | [will topic (text) | will payload (bytes)] | [user name (text)] | [password (bytes)]
//   flags          user name 80 | password 40 | will retain 20 | will QoS 18 | will 04 | clean session 02 | reserved 01
//   SUBSCRIBE      packet id u16 | (filter (text) | QoS u8)*       UNSUBSCRIBE   packet id u16 | (filter (text))*
//   text, bytes    length u16 | as many bytes

import { SUBACK, SUBSCRIBE, type Frame } from './frames.ts';
import { filterFault, textFault, topicFault, type NameBounds } from './topics.ts';

export interface PacketBounds extends NameBounds {
  clientIdBytesMax: number;
}

export interface Connect {
  clientId: string;
  isClean: boolean;
  keepAliveMs: number;
  /** Where the two bytes of the keep alive stand. */
  keepAliveAt: number;
  userName: string | undefined;
  /** A view of the packet. */
  password: Buffer | undefined;
}

/** `returnCode` is what CONNACK says (table 3.1); without it the connection is closed without a word. */
export interface Refusal {
  reason: string;
  returnCode?: number;
}

export const UNACCEPTABLE_PROTOCOL = 1;
export const IDENTIFIER_REJECTED = 2;
export const SERVER_UNAVAILABLE = 3;
export const BAD_CREDENTIALS = 4;

const BRIDGE_BIT = 0x80;

/** Walks a body. `isShort` becomes true, for good, when something would reach beyond the end. */
class Reader {
  readonly #bytes: Buffer;
  readonly #end: number;
  at: number;
  isShort = false;
  /** Of the last text: where it stands. */
  from = 0;
  to = 0;

  constructor(bytes: Buffer, frame: Frame) {
    this.#bytes = bytes;
    this.at = frame.bodyStart;
    this.#end = frame.end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#end;
  }

  u8(): number {
    return this.#take(1) ? this.#bytes[this.at - 1]! : 0;
  }

  u16(): number {
    return this.#take(2) ? this.#bytes.readUInt16BE(this.at - 2) : 0;
  }

  field(): void {
    const length = this.u16();
    if (!this.#take(length)) return;
    this.from = this.at - length;
    this.to = this.at;
  }

  text(): string {
    this.field();
    return this.#bytes.toString('utf8', this.from, this.to);
  }

  #take(count: number): boolean {
    if (this.at + count > this.#end) this.isShort = true;
    if (this.isShort) return false;
    this.at += count;
    return true;
  }
}

export function readConnect(bytes: Buffer, frame: Frame, bounds: PacketBounds): Connect | Refusal {
  const reader = new Reader(bytes, frame);
  const name = reader.text();
  const level = reader.u8() & ~BRIDGE_BIT;
  if (reader.isShort || (name !== 'MQTT' && name !== 'MQIsdp')) return { reason: 'protocol name' };
  if (level !== (name === 'MQTT' ? 4 : 3)) {
    return { reason: `MQTT of level ${level}, and 3.1.1 is spoken here`, returnCode: UNACCEPTABLE_PROTOCOL };
  }
  const flags = reader.u8();
  const flagsFault = connectFlagsFault(flags);
  if (flagsFault !== undefined) return { reason: flagsFault };
  const keepAliveAt = reader.at;
  const keepAliveMs = reader.u16() * 1000;
  const clientId = reader.text();
  const isClean = (flags & 0x02) !== 0;
  if (reader.isShort) return { reason: 'truncated CONNECT' };
  const idFault = clientIdFault(bytes, reader.from, reader.to, isClean, bounds);
  if (idFault !== undefined) return { reason: idFault, returnCode: IDENTIFIER_REJECTED };
  const rest = readConnectRest(reader, bytes, flags, bounds);
  return typeof rest === 'string' ? { reason: rest } : { clientId, isClean, keepAliveMs, keepAliveAt, ...rest };
}

function connectFlagsFault(flags: number): string | undefined {
  const hasWill = (flags & 0x04) !== 0;
  const willQos = (flags >> 3) & 3;
  const isFaulty =
    (flags & 0x01) !== 0 || willQos === 3 || (!hasWill && (flags & 0x38) !== 0) || (flags & 0xc0) === 0x40;
  return isFaulty ? 'CONNECT flags' : undefined;
}

function clientIdFault(bytes: Buffer, start: number, end: number, isClean: boolean, bounds: PacketBounds) {
  // A server makes up an id only for a session that ends with the connection [MQTT-3.1.3-8].
  if (start === end) return isClean ? undefined : 'client id empty';
  if (end - start > bounds.clientIdBytesMax) return 'client id too long';
  const fault = textFault(bytes, start, end);
  return fault === undefined ? undefined : `client id: ${fault}`;
}

/** What stands behind the client id, or what is wrong with it. */
function readConnectRest(
  reader: Reader,
  bytes: Buffer,
  flags: number,
  bounds: PacketBounds,
): Pick<Connect, 'userName' | 'password'> | string {
  let userName: string | undefined;
  let password: Buffer | undefined;
  if ((flags & 0x04) !== 0) {
    reader.field();
    const fault = topicFault(bytes, reader.from, reader.to, bounds);
    if (fault !== undefined) return `will topic: ${fault}`;
    reader.field();
  }
  if ((flags & 0x80) !== 0) {
    userName = reader.text();
    if (textFault(bytes, reader.from, reader.to) === 'not UTF-8') return 'user name: not UTF-8';
  }
  if ((flags & 0x40) !== 0) {
    reader.field();
    password = bytes.subarray(reader.from, reader.to);
  }
  return reader.isShort || !reader.isAtEnd ? 'CONNECT length' : { userName, password };
}

/** The packet id and the number of filters of a SUBSCRIBE or UNSUBSCRIBE, each of them checked. */
export function readFilters(
  bytes: Buffer,
  frame: Frame,
  bounds: NameBounds,
): { packetId: number; count: number } | Refusal {
  const reader = new Reader(bytes, frame);
  const packetId = reader.u16();
  let count = 0;
  while (!reader.isAtEnd && !reader.isShort) {
    reader.field();
    if (reader.isShort) break;
    const fault = filterFault(bytes, reader.from, reader.to, bounds);
    if (fault !== undefined) return { reason: `filter: ${fault}` };
    if (frame.type === SUBSCRIBE && reader.u8() > 2) return { reason: 'requested QoS' };
    count += 1;
  }
  if (reader.isShort) return { reason: 'truncated filters' };
  if (packetId === 0) return { reason: 'packet id 0' };
  return count === 0 ? { reason: 'no filter' } : { packetId, count };
}

/** A SUBACK that says "failure" for each of `count` filters. */
export function subackFailure(packetId: number, count: number): Buffer {
  const length = 2 + count;
  const header = [SUBACK << 4];
  for (let rest = length; ; rest >>= 7) {
    header.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  const packet = Buffer.alloc(header.length + length, 0x80);
  packet.set(header);
  packet.writeUInt16BE(packetId, header.length);
  return packet;
}
