// The codec of the serial bridge against firmware-bridge/vectors.json, which test/golden/make-bridge-vectors.ts made
// with a builder of its own; the C library and the Python peer pass the same file.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeFrame, encodeFrame, isSound, type Addressed, type Frame } from '../../src/formats/bridge-frame.ts';
import { createSections, SECTION_BYTES_MAX } from '../../src/formats/bridge-sections.ts';
import { cobsBytesMax, decodeCobs, encodeCobs } from '../../src/formats/cobs.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';

interface Vector {
  name: string;
  key: number;
  address: number | null;
  final: boolean;
  type: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- the file's fields differ by type
  fields: any;
  wire: string;
}
type Seen = { frame: string } | { text: string } | { bad: 1 };
interface Vectors {
  cobs: { plain: string; coded: string }[];
  frames: Vector[];
  lenient: Vector[];
  dropped: { name: string; key: number; wire: string }[];
  bad: { name: string; key: number; wire: string }[];
  streams: { name: string; key: number; bytes: string; seen: Seen[] }[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../../firmware-bridge/vectors.json', import.meta.url), 'utf8'),
) as Vectors;
const hex = (text: string) => Buffer.from(text, 'hex');

/** The codec's own words for a vector's. */
function frameOf({ type, fields: f }: Vector): Frame {
  const record = { channel: f.channel, timeMs: f.time, boot: f.boot, payload: hex(f.payload ?? '') };
  switch (type) {
    case 'HELLO': {
      const bits = {
        isPolled: (f.flags & 1) !== 0,
        isPersistent: (f.flags & 2) !== 0,
        takesCommands: (f.flags & 4) !== 0,
      };
      const { flags: _, uptime: uptimeMs, frameMax: frameBytesMax, uid, ...same } = f;
      return { type: 'hello', ...same, ...bits, uptimeMs, frameBytesMax, uid: hex(uid) };
    }
    case 'WELCOME': {
      const { frameMax: frameBytesMax, ...same } = f;
      return { type: 'welcome', ...same, frameBytesMax };
    }
    case 'DATA':
    case 'PAST':
      return { type: 'data', sequence: f.sequence, records: [record] };
    case 'PACK': {
      let timeMs = f.time as number;
      const records = (f.records as { channel: number; later: number; payload: string }[]).map((one) => {
        timeMs = (timeMs + one.later) >>> 0;
        return { boot: undefined, channel: one.channel, timeMs, payload: hex(one.payload) };
      });
      return { type: 'data', sequence: f.sequence, records };
    }
    case 'ECHO':
      return { type: 'echo', id: f.id, uptimeMs: f.uptime };
    case 'TIME':
      return { type: 'time', id: f.id, wallMs: f.wall, errorMs: f.error };
    case 'ANSWER':
    case 'COMMAND':
      return { ...f, type: type.toLowerCase(), payload: hex(f.payload) };
    default:
      return { ...f, type: type.toLowerCase() };
  }
}

function addressedOf(vector: Vector): Addressed {
  const frame = frameOf(vector);
  return vector.address === null
    ? { frame, isFinal: vector.final }
    : { frame, isFinal: vector.final, address: vector.address };
}

/** What a receiver sees in `bytes`, handed over in chunks. */
function seenIn(bytes: Buffer, key: number, chunkBytes: number): Seen[] {
  const seen: Seen[] = [];
  const sections = createSections({
    onBody: (body) => {
      const decoded = decodeFrame(body);
      const wire = decoded === undefined ? Buffer.alloc(0) : encodeFrame(decoded, key);
      seen.push({ frame: wire.subarray(1, -1).toString('hex') });
    },
    onText: (text) => seen.push({ text: text.toString('hex') }),
    onBad: () => seen.push({ bad: 1 }),
    keyOf: () => key,
  });
  for (let at = 0; at < bytes.length; at += chunkBytes) sections.push(bytes.subarray(at, at + chunkBytes));
  return seen;
}

test('the file of vectors is what its maker makes', () => {
  const made = execFileSync(process.execPath, [new URL('../golden/make-bridge-vectors.ts', import.meta.url).pathname]);
  expect(JSON.parse(made.toString())).toEqual(vectors);
});

test.each(vectors.cobs)('COBS of $plain', ({ plain, coded }) => {
  const target = Buffer.alloc(cobsBytesMax(plain.length / 2));
  expect(target.subarray(0, encodeCobs(hex(plain), plain.length / 2, target, 0)).toString('hex')).toBe(coded);
  const back = Buffer.alloc(coded.length / 2);
  expect(back.subarray(0, decodeCobs(hex(coded), 0, coded.length / 2, back)).toString('hex')).toBe(plain);
});

test.each(vectors.frames)('$type both ways: $name', (vector) => {
  const addressed = addressedOf(vector);
  expect(encodeFrame(addressed, vector.key).toString('hex')).toBe(`00${vector.wire}00`);
  expect(decodedFrom(vector)).toEqual(addressed);
});

test.each(vectors.lenient)('$type is taken: $name', (vector) => {
  expect(decodedFrom(vector)).toEqual(addressedOf(vector));
});

test.each(vectors.dropped)('dropped: $name', (vector) => {
  expect(decodedFrom(vector)).toBeUndefined();
});

test.each(vectors.bad)('bad: $name', ({ wire, key }) => {
  expect(seenIn(Buffer.concat([Buffer.alloc(1), hex(wire), Buffer.alloc(1)]), key, 4096)).toEqual([{ bad: 1 }]);
});

/** The body is sound; what it says. */
function decodedFrom({ wire, key }: { wire: string; key: number }): Addressed | undefined {
  const body = Buffer.alloc(wire.length / 2);
  const length = decodeCobs(hex(wire), 0, wire.length / 2, body);
  expect(isSound(body.subarray(0, length), () => key)).toBe(true);
  return decodeFrame(body.subarray(0, length));
}

test.each(vectors.streams)('in a stream, in chunks of any size: $name', ({ bytes, key, seen }) => {
  for (const chunkBytes of [1, 2, 3, 7, 4096]) expect(seenIn(hex(bytes), key, chunkBytes)).toEqual(seen);
});

test('without a session a keyed frame is bad, also with the key 0', () => {
  const ping = encodeFrame({ frame: { type: 'ping' }, isFinal: false }, 0);
  let bad = 0;
  const sections = createSections({
    onBody: () => expect.unreachable(),
    onText: () => expect.unreachable(),
    onBad: () => (bad += 1),
    keyOf: () => undefined,
  });
  sections.push(ping);
  expect(bad).toBe(1);
});

test('text without an end is passed on in silence, and a part of a frame is not', () => {
  const texts: string[] = [];
  const sections = createSections({
    onBody: () => expect.unreachable(),
    onText: (text) => texts.push(text.toString()),
    onBad: () => expect.unreachable(),
    keyOf: () => 1,
  });
  sections.push(Buffer.from('login: '));
  expect(sections.silence()).toBe(false);
  sections.push(Buffer.from([0, 3, 0x10, 1]));
  expect(sections.silence()).toBe(true);
  expect(texts).toEqual(['login: ']);
});

test('a character that silence cuts waits for its rest', () => {
  const texts: string[] = [];
  const sections = createSections({
    onBody: () => expect.unreachable(),
    onText: (text) => texts.push(text.toString()),
    onBad: () => expect.unreachable(),
    keyOf: () => 1,
  });
  const euro = Buffer.from('€');
  sections.push(Buffer.concat([Buffer.from('5 '), euro.subarray(0, 2)]));
  expect(sections.silence()).toBe(true);
  expect(sections.silence()).toBe(true);
  sections.push(Buffer.concat([euro.subarray(2), Buffer.alloc(1)]));
  expect(texts).toEqual(['5 ', '€']);
});

test('text longer than any frame comes in pieces, and nothing of it is lost', () => {
  const text = 'All work and no play makes… '.repeat(300);
  for (const chunkBytes of [1, 100, 100_000]) {
    const seen = seenIn(Buffer.concat([Buffer.from(text), Buffer.alloc(1)]), 1, chunkBytes);
    const pieces = seen.map((one) => hex('text' in one ? one.text : ''));
    expect(Buffer.concat(pieces).toString()).toBe(text);
    for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(SECTION_BYTES_MAX);
  }
});

test('any stream, in any chunks, is the same frames, texts and bad sections', () => {
  const random = openRandom(printedSeed('bridge sections'));
  const wires = vectors.frames.map((one) => Buffer.concat([hex(one.wire), Buffer.alloc(1)]));
  for (let round = 0; round < 200; round++) {
    const parts = Array.from({ length: 20 }, () => {
      const kind = random.below(4);
      if (kind === 0) return random.bytes(random.below(41));
      if (kind === 1) return Buffer.from('some text\n');
      const wire = Buffer.from(random.pick(wires));
      if (kind === 2) wire[random.below(wire.length)]! ^= 1 << random.below(8);
      return wire;
    });
    const stream = Buffer.concat(parts);
    const whole = seenIn(stream, vectors.frames[0]!.key, stream.length);
    expect(seenIn(stream, vectors.frames[0]!.key, 1 + random.below(64))).toEqual(whole);
  }
});
