// Makes firmware-bridge/vectors.json: frames of the bridge protocol in bytes and in meaning, good and bad, by the tables
// of firmware-bridge/SPEC.md. It has a builder of its own and shares no line with src/formats, so that the codec there,
// like the ones in C and in Python, is held against something that it did not make itself.
//
//   node test/golden/make-bridge-vectors.ts > firmware-bridge/vectors.json
//
// `frames`: `wire` is the section between the zeros; a peer must encode `fields` to it and decode it to `fields`.
// `lenient`: only decoded: what later versions or other encoders may send.
// `dropped`: sound, but to be ignored. `bad`: not a frame. `streams`: bytes as they come, and what is to be seen in them.

import { crc32 } from 'node:zlib';

type Value = number | bigint | string | Value[] | { [name: string]: Value };
interface Vector {
  name: string;
  key: number;
  address: number | null;
  final: boolean;
  type: string;
  fields: Record<string, Value>;
  wire: string;
}

const KEY = 0x1badcafe;

const u = (bytes: number) => (value: Value) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value as number));
  return buffer.subarray(0, bytes);
};
const [u8, u16, u32, u64] = [u(1), u(2), u(4), u(8)];
const hex = (value: Value) => Buffer.from(value as string, 'hex');
const text = (value: Value) => Buffer.from(value as string);
const counted = (inner: (value: Value) => Buffer) => (value: Value) => {
  const bytes = inner(value);
  return Buffer.concat([u8(bytes.length), bytes]);
};
const records = (value: Value) =>
  Buffer.concat(
    (value as Record<string, Value>[]).map((one) =>
      Buffer.concat([u8(one['channel']!), u16(one['later']!), counted(hex)(one['payload']!)]),
    ),
  );

type Column = [name: string, put: (value: Value) => Buffer];
const TYPES: Record<string, [code: number, ...columns: Column[]]> = {
  HELLO: [
    0x01,
    ['version', u8],
    ['versionMin', u8],
    ['flags', u8],
    ['boot', u8],
    ['nonce', u32],
    ['epoch', u32],
    ['first', u32],
    ['end', u32],
    ['lastEpoch', u32],
    ['lastEnd', u32],
    ['uptime', u32],
    ['frameMax', u16],
    ['uid', counted(hex)],
    ['name', counted(text)],
    ['firmware', counted(text)],
  ],
  WELCOME: [
    0x02,
    ['version', u8],
    ['status', u8],
    ['nonce', u32],
    ['epoch', u32],
    ['key', u32],
    ['expected', u32],
    ['frameMax', u16],
    ['ackMs', u16],
    ['window', u8],
  ],
  WHO: [0x03, ['version', u8]],
  DATA: [0x10, ['sequence', u16], ['channel', u8], ['time', u32], ['payload', hex]],
  PACK: [0x11, ['sequence', u16], ['time', u32], ['records', records]],
  PAST: [0x12, ['sequence', u16], ['boot', u8], ['channel', u8], ['time', u32], ['payload', hex]],
  CHANNEL: [0x13, ['channel', u8], ['name', text]],
  SKIP: [0x14, ['first', u32]],
  ECHO: [0x15, ['id', u8], ['uptime', u32]],
  ANSWER: [0x16, ['id', u16], ['status', u8], ['payload', hex]],
  PING: [0x17],
  ACK: [0x20, ['committed', u16], ['received', u16], ['window', u8]],
  NAK: [0x21, ['sequence', u16], ['reason', u8]],
  TIME: [0x22, ['id', u8], ['wall', u64], ['error', u16]],
  COMMAND: [0x23, ['id', u16], ['code', u8], ['payload', hex]],
};

/** COBS by its description: the body and a zero after it, cut at zeros, each piece cut into runs of 254. */
function stuff(body: Buffer): Buffer {
  const out: Buffer[] = [];
  let rest = body;
  for (;;) {
    const zero = rest.indexOf(0);
    let piece = zero === -1 ? rest : rest.subarray(0, zero);
    while (piece.length >= 254) {
      out.push(Buffer.from([255]), piece.subarray(0, 254));
      piece = piece.subarray(254);
      if (piece.length === 0 && zero === -1) return Buffer.concat(out);
    }
    out.push(Buffer.from([piece.length + 1]), piece);
    if (zero === -1) return Buffer.concat(out);
    rest = rest.subarray(zero + 1);
  }
}

function seal(plain: Buffer, key: number): Buffer {
  return Buffer.concat([plain, u32(crc32(plain, crc32(u32(key))))]);
}

function plainOf(type: string, fields: Record<string, Value>, address: number | null, final: boolean): Buffer {
  const [code, ...columns] = TYPES[type]!;
  const head = [u8(code | (address === null ? 0 : 0x80) | (final ? 0x40 : 0))];
  if (address !== null) head.push(u8(address));
  return Buffer.concat([...head, ...columns.map(([name, put]) => put(fields[name]!))]);
}

const isPlain = (type: string) => type === 'HELLO' || type === 'WELCOME' || type === 'WHO';

function vector(
  name: string,
  type: string,
  fields: Record<string, Value>,
  turn: { address?: number; final?: boolean; extra?: string; key?: number } = {},
): Vector {
  const { address = null, final = false, extra = '' } = turn;
  const key = isPlain(type) ? 0 : (turn.key ?? KEY);
  const plain = Buffer.concat([plainOf(type, fields, address, final), hex(extra)]);
  return { name, key, address, final, type, fields, wire: stuff(seal(plain, key)).toString('hex') };
}

const hello = {
  version: 1,
  versionMin: 1,
  flags: 0,
  boot: 0,
  nonce: 0x01020304,
  epoch: 0,
  first: 0,
  end: 0,
  lastEpoch: 0,
  lastEnd: 0,
  uptime: 1500,
  frameMax: 256,
  uid: '002f00464d501820',
  name: 'thermometer',
  firmware: '1.0.3',
};
const welcome = {
  version: 1,
  status: 0,
  nonce: 0x01020304,
  epoch: 0x9e3779b9,
  key: KEY,
  expected: 42,
  frameMax: 1024,
  ackMs: 100,
  window: 64,
};
const bytesOf = (count: number, first = 0) =>
  Buffer.from(Array.from({ length: count }, (_, index) => (first + index) & 0xff)).toString('hex');

const frames: Vector[] = [
  vector('a device without an epoch', 'HELLO', hello),
  vector('a device with everything', 'HELLO', {
    ...hello,
    flags: 7,
    boot: 255,
    nonce: 0xffffffff,
    epoch: 0x9e3779b9,
    first: 0xfffffff0,
    end: 0x10,
    lastEpoch: 7,
    lastEnd: 0x80000000,
    uptime: 0xffffffff,
    frameMax: 1024,
    uid: bytesOf(16, 0xf8),
    name: 'Zähler 3',
    firmware: 'x'.repeat(31),
  }),
  vector('the shortest hello', 'HELLO', { ...hello, uid: '00', name: '', firmware: '', frameMax: 128 }),
  vector('a session', 'WELCOME', welcome),
  vector('an epoch', 'WELCOME', { ...welcome, status: 1, key: 0, expected: 0 }),
  vector('refused', 'WELCOME', { ...welcome, status: 2, epoch: 0, key: 0, expected: 0, window: 0 }),
  vector('who is there', 'WHO', { version: 1 }),
  vector('an empty reading', 'DATA', { sequence: 0, channel: 0, time: 0, payload: '' }),
  vector('a reading', 'DATA', {
    sequence: 0xffff,
    channel: 63,
    time: 0xffffffff,
    payload: Buffer.from('21.5').toString('hex'),
  }),
  vector('a reading of zeros', 'DATA', { sequence: 1, channel: 2, time: 3, payload: '00'.repeat(20) }),
  vector('128 bytes', 'DATA', { sequence: 1000, channel: 1, time: 123456789, payload: bytesOf(128) }),
  // Blocks of 254 and around it: where implementations of COBS differ.
  ...[240, 241, 242, 243, 244, 494, 495, 496, 497, 498].map((count) =>
    vector(`${count} bytes without a zero`, 'DATA', {
      sequence: 0x0101,
      channel: 1,
      time: 0x01010101,
      payload: '55'.repeat(count),
    }),
  ),
  vector('the longest reading', 'DATA', { sequence: 5, channel: 5, time: 5, payload: bytesOf(1000, 1) }),
  vector('a pack', 'PACK', {
    sequence: 0xfffe,
    time: 0xfffffff0,
    records: [
      { channel: 0, later: 0, payload: '01' },
      { channel: 1, later: 20, payload: '' },
      { channel: 63, later: 65535, payload: bytesOf(255) },
    ],
  }),
  vector('a reading of an earlier boot', 'PAST', { sequence: 7, boot: 254, channel: 3, time: 60000, payload: 'c0ffee' }),
  vector('a channel', 'CHANNEL', { channel: 0, name: 'temperature' }),
  vector('the longest name of a channel', 'CHANNEL', { channel: 63, name: 'é'.repeat(15) + 'x' }),
  vector('a skip', 'SKIP', { first: 0xdeadbeef }),
  vector('an echo', 'ECHO', { id: 255, uptime: 86400000 }),
  vector('an answer', 'ANSWER', { id: 1, status: 0, payload: '' }),
  vector('an answer with a payload', 'ANSWER', { id: 65535, status: 200, payload: bytesOf(64) }),
  vector('a ping', 'PING', {}),
  vector('an acknowledgement', 'ACK', { committed: 0x00ff, received: 0x0100, window: 64 }),
  vector('a full host', 'ACK', { committed: 65535, received: 0, window: 0 }),
  vector('a missing record', 'NAK', { sequence: 256, reason: 0 }),
  vector('an unknown channel', 'NAK', { sequence: 0, reason: 1 }),
  vector('the time', 'TIME', { id: 1, wall: 1795270000123, error: 12 }),
  vector('the time, not known', 'TIME', { id: 0, wall: 0, error: 65535 }),
  vector('a command', 'COMMAND', { id: 1, code: 0, payload: '01' }),
  vector('a command without a payload', 'COMMAND', { id: 256, code: 255, payload: '' }),
  vector('a poll', 'ACK', { committed: 3, received: 4, window: 8 }, { address: 1, final: true }),
  vector('a search', 'WHO', { version: 1 }, { address: 32, final: true }),
  vector('the time for all', 'TIME', { id: 9, wall: 1795270000123, error: 0 }, { address: 0 }),
  vector('the end of a turn', 'PING', {}, { address: 32, final: true }),
  vector('a reading in a turn', 'DATA', { sequence: 4, channel: 0, time: 9, payload: '0a' }, { address: 1 }),
  vector('hello in a turn', 'HELLO', { ...hello, flags: 1 }, { address: 7, final: true }),
];

const lenient: Vector[] = [
  vector('a pack of one', 'PACK', { sequence: 9, time: 10, records: [{ channel: 1, later: 2, payload: 'ff' }] }),
  vector('a later version adds fields', 'ACK', { committed: 1, received: 2, window: 3 }, { extra: 'aabbccdd' }),
  vector('a later hello', 'HELLO', { ...hello, version: 9 }, { extra: '0102030405060708' }),
  vector('a later welcome', 'WELCOME', { ...welcome }, { extra: 'ff' }),
  vector('a final mark outside of polled mode', 'PING', {}, { final: true }),
];
// A decoder must take a full last block that is followed by a code byte of its own.
const full = frames.find((one) => one.name === '242 bytes without a zero')!;
const fullBody = seal(plainOf('DATA', full.fields, null, false), KEY);
if (fullBody.length === 254 && !fullBody.includes(0)) {
  lenient.push({ ...full, name: 'a full last block with a further code', wire: full.wire + '01' });
} else {
  throw new Error('the body that should fill one block does not');
}

const raw = (plain: string, key = KEY) => stuff(seal(hex(plain), key)).toString('hex');
const dropped = [
  { name: 'an unknown type', key: KEY, wire: raw('3f0102') },
  { name: 'type 0', key: KEY, wire: raw('00') },
  { name: 'a reading that is cut', key: KEY, wire: raw('10010203') },
  { name: 'a channel beyond 63', key: KEY, wire: raw('1000004000000000') },
  { name: 'an acknowledgement that is cut', key: KEY, wire: raw('2001000200') },
  { name: 'a pack without a record', key: KEY, wire: raw('11000000000000') },
  { name: 'a pack that is cut', key: KEY, wire: raw('1100000000000000000005aabb') },
  { name: 'a channel without a name', key: KEY, wire: raw('1301') },
  { name: 'a name with a control character', key: KEY, wire: raw('1301410a') },
  { name: 'a name that is no UTF-8', key: KEY, wire: raw('1301c328') },
  { name: 'a name of 32 bytes', key: KEY, wire: raw('1301' + '41'.repeat(32)) },
  { name: 'a hello without a uid', key: 0, wire: vector('', 'HELLO', { ...hello, uid: '' }).wire },
  { name: 'a hello with a uid of 17 bytes', key: 0, wire: vector('', 'HELLO', { ...hello, uid: bytesOf(17) }).wire },
  { name: 'a hello without an epoch and with a first', key: 0, wire: vector('', 'HELLO', { ...hello, first: 1, end: 1 }).wire },
  { name: 'a hello of a device that takes too little', key: 0, wire: vector('', 'HELLO', { ...hello, frameMax: 127 }).wire },
  { name: 'a hello with its bounds turned', key: 0, wire: vector('', 'HELLO', { ...hello, versionMin: 2 }).wire },
  { name: 'an addressed frame without its fields', key: KEY, wire: raw('a001') },
];

const ack = frames.find((one) => one.type === 'ACK')!.wire;
const data = frames.find((one) => one.name === 'a reading')!.wire;
const zeros = frames.find((one) => one.name === 'a reading of zeros')!.wire;
const flip = (wire: string, at: number, mask: number) => {
  const bytes = hex(wire);
  bytes[at]! ^= mask;
  return bytes.toString('hex');
};
const bad = [
  { name: 'one bit flipped', key: KEY, wire: flip(data, 5, 0x10) },
  { name: 'the last byte lost', key: KEY, wire: data.slice(0, -2) },
  { name: 'the first byte lost', key: KEY, wire: data.slice(2) },
  { name: 'a byte doubled', key: KEY, wire: data.slice(0, 8) + data.slice(6) },
  { name: 'a code beyond the end', key: KEY, wire: 'f0' + data.slice(2) },
  { name: 'the key of another session', key: KEY ^ 1, wire: data },
  { name: 'a keyed frame with the key 0', key: KEY, wire: raw('17', 0) },
  { name: 'a hello with a key', key: KEY, wire: stuff(seal(plainOf('HELLO', hello, null, false), KEY)).toString('hex') },
  { name: 'four bytes', key: KEY, wire: '0401028f' },
  { name: 'a body of 1,025 bytes', key: KEY, wire: raw('10' + '01'.repeat(1020)) },
  { name: 'CRC of the body alone', key: KEY, wire: stuff(Buffer.concat([hex('17'), u32(crc32(hex('17')))])).toString('hex') },
];

const frame = (wire: string) => ({ frame: wire });
const lineText = (value: string) => ({ text: Buffer.from(value).toString('hex') });
const asHex = (value: string) => Buffer.from(value).toString('hex');
const streams = [
  { name: 'one frame', bytes: `00${ack}00`, seen: [frame(ack)] },
  { name: 'a zero shared', bytes: `00${ack}00${data}00`, seen: [frame(ack), frame(data)] },
  { name: 'zeros that mean nothing', bytes: `000000${ack}0000000000${zeros}0000`, seen: [frame(ack), frame(zeros)] },
  {
    name: 'a boot banner before',
    bytes: `${asHex('\r\nBooting v1.2 … ok\r\n')}00${ack}00`,
    seen: [lineText('\r\nBooting v1.2 … ok\r\n'), frame(ack)],
  },
  {
    name: 'text between frames',
    bytes: `00${ack}00${asHex('warn: low \u001b[31mbattery\n')}00${data}00`,
    seen: [frame(ack), lineText('warn: low \u001b[31mbattery\n'), frame(data)],
  },
  { name: 'text within a frame', bytes: `00${data.slice(0, 8)}${asHex('hey')}${data.slice(8)}00${ack}00`, seen: [{ bad: 1 }, frame(ack)] },
  { name: 'noise', bytes: `01ff0300${ack}00`, seen: [{ bad: 1 }, frame(ack)] },
  { name: 'a frame that lost its end', bytes: `00${data.slice(0, 12)}00${ack}00`, seen: [{ bad: 1 }, frame(ack)] },
  { name: 'two frames that lost the zero between', bytes: `00${ack}${data}00${zeros}00`, seen: [{ bad: 1 }, frame(zeros)] },
  { name: 'latin-1 is no text', bytes: `e4f6fc4100${ack}00`, seen: [{ bad: 1 }, frame(ack)] },
  { name: 'more than a frame of noise', bytes: `${'01fe'.repeat(2000)}00${ack}00`, seen: [{ bad: 1 }, frame(ack)] },
].map((one) => ({ name: one.name, key: KEY, bytes: one.bytes, seen: one.seen }));

const cobs = ['', '00', '0000', '01', '0100', '0001', '11220033', '11000000', bytesOf(254, 1), bytesOf(255, 1), bytesOf(255, 0), '01'.repeat(508)].map(
  (plain) => ({ plain, coded: stuff(hex(plain)).toString('hex') }),
);

process.stdout.write(
  JSON.stringify({ version: 1, cobs, frames, lenient, dropped, bad, streams }, null, 1).concat('\n'),
);
