// The frames of the serial bridge: what firmware-bridge and headwater say to each other. firmware-bridge/SPEC.md is the
// source, with the meaning of each field; its vectors.json holds examples that test/formats/bridge-frame.test.ts proves.
//
//   +------------+---------+------------------------+---------+
//   | A F type   | address | fields of the type     | crc u32 |     little-endian throughout
//   +------------+---------+------------------------+---------+
//   A: an address follows; F: the sender ends its turn (both in polled mode only)

import assert from 'node:assert';
import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { cobsBytesMax, encodeCobs } from './cobs.ts';

export const BRIDGE_VERSION = 1;
/** Longest body, with its CRC. */
export const BODY_BYTES_MAX = 1024;
/** A type and a CRC: PING. */
export const BODY_BYTES_MIN = 5;
export const CHANNEL_MAX = 63;
export const UID_BYTES_MAX = 16;
export const NAME_BYTES_MAX = 31;

export interface Hello {
  type: 'hello';
  version: number;
  versionMin: number;
  isPolled: boolean;
  isPersistent: boolean;
  takesCommands: boolean;
  boot: number;
  nonce: number;
  /** 0: the device has none. */
  epoch: number;
  first: number;
  end: number;
  lastEpoch: number;
  lastEnd: number;
  uptimeMs: number;
  frameBytesMax: number;
  uid: Buffer;
  name: string;
  firmware: string;
}

export const WELCOME_STATUS = { ok: 0, epoch: 1, connectedElsewhere: 2, version: 3, busy: 4 } as const;

export interface Welcome {
  type: 'welcome';
  version: number;
  status: number;
  nonce: number;
  epoch: number;
  key: number;
  expected: number;
  frameBytesMax: number;
  ackMs: number;
  window: number;
}

/** Records as a data frame brings them; their payloads are views of the body. */
export interface BridgeRecord {
  /** Undefined: the running one. */
  boot: number | undefined;
  channel: number;
  /** The device's clock, milliseconds modulo 2^32. */
  timeMs: number;
  payload: Buffer;
}

/** DATA, PACK or PAST. `sequence` is the first record's, modulo 2^16. */
export interface Data {
  type: 'data';
  sequence: number;
  records: BridgeRecord[];
}

export const NAK_REASON = { missing: 0, channel: 1 } as const;

export type Frame =
  | Hello
  | Welcome
  | { type: 'who'; version: number }
  | Data
  | { type: 'channel'; channel: number; name: string }
  | { type: 'skip'; first: number }
  | { type: 'echo'; id: number; uptimeMs: number }
  | { type: 'answer'; id: number; status: number; payload: Buffer }
  | { type: 'ping' }
  | { type: 'ack'; committed: number; received: number; window: number }
  | { type: 'nak'; sequence: number; reason: number }
  | { type: 'time'; id: number; wallMs: number; errorMs: number }
  | { type: 'command'; id: number; code: number; payload: Buffer };

/** A frame and what polled mode adds to it. */
export interface Addressed {
  frame: Frame;
  /** Undefined outside polled mode. */
  address?: number;
  isFinal: boolean;
}

const HELLO = 0x01;
const WELCOME = 0x02;
const WHO = 0x03;
const DATA = 0x10;
const PACK = 0x11;
const PAST = 0x12;
const CHANNEL = 0x13;
const SKIP = 0x14;
const ECHO = 0x15;
const ANSWER = 0x16;
const PING = 0x17;
const ACK = 0x20;
const NAK = 0x21;
const TIME = 0x22;
const COMMAND = 0x23;

const ADDRESSED_BIT = 0x80;
const FINAL_BIT = 0x40;
const TYPE_BITS = 0x3f;
const CRC_BYTES = 4;

const keyBytes = Buffer.alloc(4);
let lastKey: number | undefined;
let crcOfLastKey = 0;

/** CRC-32 (that of zlib) over the key and `bytes`. */
function crcOf(key: number, bytes: Uint8Array): number {
  if (key !== lastKey) {
    keyBytes.writeUInt32LE(key);
    crcOfLastKey = crc32(keyBytes);
    lastKey = key;
  }
  return crc32(bytes, crcOfLastKey);
}

/** What a CRC-32 is of anything with its own CRC-32, little-endian, behind it. */
const CRC_RESIDUE = 0x2144df1c;

/** The key of the session with an address (undefined outside polled mode); undefined if there is none. */
export type KeyOf = (address: number | undefined) => number | undefined;

/** True if the CRC at the body's end is right. HELLO, WELCOME and WHO have the key 0; without a session others are unsound. */
export function isSound(body: Buffer, keyOf: KeyOf): boolean {
  if (body.length < BODY_BYTES_MIN) return false;
  const type = body[0]! & TYPE_BITS;
  const address = (body[0]! & ADDRESSED_BIT) === 0 ? undefined : body[1];
  const key = isKeyed(type) ? keyOf(address) : 0;
  return key !== undefined && crcOf(key, body) === CRC_RESIDUE;
}

function isKeyed(type: number): boolean {
  return type !== HELLO && type !== WELCOME && type !== WHO;
}

/** Reads fields; once one is beyond the end, `isShort` is true and everything is 0. */
class Fields {
  readonly body: Buffer;
  at: number;
  readonly end: number;
  isShort = false;

  constructor(body: Buffer, at: number) {
    this.body = body;
    this.at = at;
    this.end = body.length - CRC_BYTES;
  }

  private take(count: number): number {
    const at = this.at;
    if (at + count > this.end) this.isShort = true;
    else this.at = at + count;
    return at;
  }

  u8(): number {
    const at = this.take(1);
    return this.isShort ? 0 : this.body[at]!;
  }

  u16(): number {
    const at = this.take(2);
    return this.isShort ? 0 : this.body[at]! | (this.body[at + 1]! << 8);
  }

  u32(): number {
    const at = this.take(4);
    return this.isShort ? 0 : this.body.readUInt32LE(at);
  }

  bytes(count: number): Buffer {
    const at = this.take(count);
    return this.isShort ? EMPTY : this.body.subarray(at, at + count);
  }

  rest(): Buffer {
    return this.bytes(this.end - this.at);
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }
}

const EMPTY = Buffer.alloc(0);

/** What a sound body says; undefined for one to be dropped: a type that is unknown, or fields that are cut or wrong. */
export function decodeFrame(body: Buffer): Addressed | undefined {
  const first = body[0]!;
  const isFinal = (first & FINAL_BIT) !== 0;
  const fields = new Fields(body, 1);
  const address = (first & ADDRESSED_BIT) === 0 ? undefined : fields.u8();
  const frame = fieldsOf(first & TYPE_BITS, fields);
  if (frame === undefined || fields.isShort) return undefined;
  return address === undefined ? { frame, isFinal } : { frame, isFinal, address };
}

function fieldsOf(type: number, f: Fields): Frame | undefined {
  switch (type) {
    case DATA:
      return { type: 'data', sequence: f.u16(), records: record(f, undefined) };
    case PACK:
      return pack(f);
    case PAST:
      return { type: 'data', sequence: f.u16(), records: record(f, f.u8()) };
    case PING:
      return { type: 'ping' };
    case HELLO:
      return hello(f);
    case CHANNEL:
      return channelName(f);
    case SKIP:
      return { type: 'skip', first: f.u32() };
    case ECHO:
      return { type: 'echo', id: f.u8(), uptimeMs: f.u32() };
    case ANSWER:
      return { type: 'answer', id: f.u16(), status: f.u8(), payload: f.rest() };
    case WELCOME:
      return welcome(f);
    case WHO:
      return { type: 'who', version: f.u8() };
    case ACK:
      return { type: 'ack', committed: f.u16(), received: f.u16(), window: f.u8() };
    case NAK:
      return { type: 'nak', sequence: f.u16(), reason: f.u8() };
    case TIME:
      return { type: 'time', id: f.u8(), wallMs: f.u32() + f.u32() * 0x1_0000_0000, errorMs: f.u16() };
    case COMMAND:
      return { type: 'command', id: f.u16(), code: f.u8(), payload: f.rest() };
    default:
      return undefined;
  }
}

function record(f: Fields, boot: number | undefined): BridgeRecord[] {
  const channel = f.u8();
  if (channel > CHANNEL_MAX) f.isShort = true;
  const timeMs = f.u32();
  return [{ boot, channel, timeMs, payload: f.rest() }];
}

function pack(f: Fields): Data | undefined {
  const sequence = f.u16();
  let timeMs = f.u32();
  const records: BridgeRecord[] = [];
  do {
    const channel = f.u8();
    if (channel > CHANNEL_MAX) return undefined;
    timeMs = (timeMs + f.u16()) >>> 0;
    records.push({ boot: undefined, channel, timeMs, payload: f.bytes(f.u8()) });
    if (f.isShort) return undefined;
  } while (!f.isAtEnd);
  return { type: 'data', sequence, records };
}

/** The text in `bytes`; undefined unless it is printable UTF-8 of `lengthMin` to 31 bytes. */
function printable(bytes: Buffer, lengthMin: number): string | undefined {
  if (bytes.length < lengthMin || bytes.length > NAME_BYTES_MAX || !isUtf8(bytes)) return undefined;
  return bytes.every((byte) => byte >= 0x20 && byte !== 0x7f) ? bytes.toString() : undefined;
}

function channelName(f: Fields): Frame | undefined {
  const channel = f.u8();
  const name = printable(f.rest(), 1);
  return name === undefined || channel > CHANNEL_MAX ? undefined : { type: 'channel', channel, name };
}

function hello(f: Fields): Hello | undefined {
  const [version, versionMin, flags, boot] = [f.u8(), f.u8(), f.u8(), f.u8()];
  const [nonce, epoch, first, end, lastEpoch, lastEnd] = [f.u32(), f.u32(), f.u32(), f.u32(), f.u32(), f.u32()];
  const [uptimeMs, frameBytesMax] = [f.u32(), f.u16()];
  const uid = Buffer.from(f.bytes(f.u8()));
  const [name, firmware] = [printable(f.bytes(f.u8()), 0), printable(f.bytes(f.u8()), 0)];
  if (name === undefined || firmware === undefined) return undefined;
  if (uid.length === 0 || uid.length > UID_BYTES_MAX || versionMin > version || frameBytesMax < 128) return undefined;
  if (epoch === 0 && first !== 0) return undefined;
  const bits = { isPolled: (flags & 1) !== 0, isPersistent: (flags & 2) !== 0, takesCommands: (flags & 4) !== 0 };
  const sequences = { nonce, epoch, first, end, lastEpoch, lastEnd };
  return {
    type: 'hello',
    version,
    versionMin,
    ...bits,
    boot,
    ...sequences,
    uptimeMs,
    frameBytesMax: Math.min(frameBytesMax, BODY_BYTES_MAX),
    uid,
    name,
    firmware,
  };
}

function welcome(f: Fields): Welcome {
  return {
    type: 'welcome',
    version: f.u8(),
    status: f.u8(),
    nonce: f.u32(),
    epoch: f.u32(),
    key: f.u32(),
    expected: f.u32(),
    frameBytesMax: f.u16(),
    ackMs: f.u16(),
    window: f.u8(),
  };
}

const scratch = Buffer.allocUnsafe(BODY_BYTES_MAX);

/** One field after the other into a body. */
class Body {
  /** The same for all: a body is on the line before the next one is begun. */
  readonly bytes = scratch;
  length = 0;

  u8(value: number): this {
    this.length = this.bytes.writeUInt8(value, this.length);
    return this;
  }

  u16(value: number): this {
    this.length = this.bytes.writeUInt16LE(value, this.length);
    return this;
  }

  u32(value: number): this {
    this.length = this.bytes.writeUInt32LE(value, this.length);
    return this;
  }

  raw(value: Buffer): this {
    assert(this.length + value.length + CRC_BYTES <= BODY_BYTES_MAX, 'a frame fits its bound');
    this.length += value.copy(this.bytes, this.length);
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    return this.u8(bytes.length).raw(bytes);
  }
}

/** The body of `frame`, with its CRC, until the next call. Values outside of their bounds are assertions or RangeErrors: our own mistakes. */
function encodeBody(addressed: Addressed, key: number): Buffer {
  const { frame, address, isFinal } = addressed;
  const body = new Body();
  const type = typeOf(frame);
  body.u8(type | (address === undefined ? 0 : ADDRESSED_BIT) | (isFinal ? FINAL_BIT : 0));
  if (address !== undefined) body.u8(address);
  putFields(body, frame);
  body.u32(crcOf(isKeyed(type) ? key : 0, body.bytes.subarray(0, body.length)));
  return body.bytes.subarray(0, body.length);
}

/** The bytes on the line: 0x00, COBS, 0x00. */
export function encodeFrame(addressed: Addressed, key: number): Buffer {
  const body = encodeBody(addressed, key);
  const line = Buffer.allocUnsafe(cobsBytesMax(body.length) + 2);
  line[0] = 0;
  const end = encodeCobs(body, body.length, line, 1);
  line[end] = 0;
  return line.subarray(0, end + 1);
}

const TYPES: Record<Exclude<Frame['type'], 'data'>, number> = {
  hello: HELLO,
  welcome: WELCOME,
  who: WHO,
  channel: CHANNEL,
  skip: SKIP,
  echo: ECHO,
  answer: ANSWER,
  ping: PING,
  ack: ACK,
  nak: NAK,
  time: TIME,
  command: COMMAND,
};

function typeOf(frame: Frame): number {
  if (frame.type !== 'data') return TYPES[frame.type];
  if (frame.records.length > 1) return PACK;
  return frame.records[0]!.boot === undefined ? DATA : PAST;
}

function putFields(body: Body, frame: Frame): void {
  switch (frame.type) {
    case 'data':
      return putData(body, frame);
    case 'hello':
      return putHello(body, frame);
    case 'welcome':
      return putWelcome(body, frame);
    case 'who':
      return void body.u8(frame.version);
    case 'channel':
      return void body.u8(frame.channel).raw(Buffer.from(frame.name));
    case 'skip':
      return void body.u32(frame.first);
    case 'echo':
      return void body.u8(frame.id).u32(frame.uptimeMs);
    case 'answer':
      return void body.u16(frame.id).u8(frame.status).raw(frame.payload);
    case 'ping':
      return;
    case 'ack':
      return void body.u16(frame.committed).u16(frame.received).u8(frame.window);
    case 'nak':
      return void body.u16(frame.sequence).u8(frame.reason);
    case 'time':
      return void body
        .u8(frame.id)
        .u32(frame.wallMs % 0x1_0000_0000)
        .u32(Math.floor(frame.wallMs / 0x1_0000_0000))
        .u16(frame.errorMs);
    case 'command':
      return void body.u16(frame.id).u8(frame.code).raw(frame.payload);
  }
}

function putData(body: Body, frame: Data): void {
  body.u16(frame.sequence);
  const [first] = frame.records;
  assert(first !== undefined, 'a data frame has a record');
  if (frame.records.length === 1) {
    if (first.boot !== undefined) body.u8(first.boot);
    body.u8(first.channel).u32(first.timeMs).raw(first.payload);
    return;
  }
  let timeMs = first.timeMs;
  body.u32(timeMs);
  for (const record of frame.records) {
    body
      .u8(record.channel)
      .u16((record.timeMs - timeMs) >>> 0)
      .u8(record.payload.length)
      .raw(record.payload);
    timeMs = record.timeMs;
  }
}

function putHello(body: Body, frame: Hello): void {
  const flags = (frame.isPolled ? 1 : 0) | (frame.isPersistent ? 2 : 0) | (frame.takesCommands ? 4 : 0);
  body.u8(frame.version).u8(frame.versionMin).u8(flags).u8(frame.boot);
  body.u32(frame.nonce).u32(frame.epoch).u32(frame.first).u32(frame.end).u32(frame.lastEpoch).u32(frame.lastEnd);
  body.u32(frame.uptimeMs).u16(frame.frameBytesMax);
  body.u8(frame.uid.length).raw(frame.uid).text(frame.name).text(frame.firmware);
}

function putWelcome(body: Body, frame: Welcome): void {
  body.u8(frame.version).u8(frame.status).u32(frame.nonce).u32(frame.epoch).u32(frame.key).u32(frame.expected);
  body.u16(frame.frameBytesMax).u16(frame.ackMs).u8(frame.window);
}
