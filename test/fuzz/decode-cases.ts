// Fuzzing of decoding, for the short and the long suite: any bytes under any rule become JSON that JSON.parse takes, a line
// of headings, or a misfit with a reason; and numbers are the ones that the bytes say, by another calculation.

import assert from 'node:assert';
import * as v from 'valibot';
import { decodeRule, type DecodeRule } from '../../src/config-decode.ts';
import { compileRule, type Decoder } from '../../src/decode/decode.ts';
import { integerWriter, shortFloat } from '../../src/decode/numbers.ts';
import type { Random } from './random.ts';

const ARRIVAL_MS = 1_769_839_200_000;
const REASON_CHARS_MAX = 400;

const NUMBERS = ['u8', 'u16', 'u24', 'u32', 'u64', 'i8', 'i16', 'i24', 'i32', 'i64', 'f32', 'f64'] as const;
const NAMES = ['a', 'b', 'c', 'id', 'ts', 'ä ö', '__proto__', 'constructor', 'port'];

const maybe = (random: Random, more: object): object => (random.below(3) === 0 ? more : {});

function anyField(random: Random): object {
  const name = random.pick(NAMES);
  const rest = (max: number): number | string => (random.below(6) === 0 ? 'rest' : 1 + random.below(max));
  const count = random.below(5) === 0 ? { count: rest(5) } : {};
  const at = random.below(12) === 0 ? { at: random.below(40) } : {};
  switch (random.below(7)) {
    case 0:
      return { name, type: 'string', bytes: rest(8), encoding: random.pick(['utf8', 'latin1']), ...count, ...at };
    case 1:
      return { name, type: 'bytes', bytes: rest(8), as: random.pick(['hex', 'base64']), ...at };
    case 2:
      return { type: 'pad', bytes: rest(4) };
    case 3:
      return { type: 'bits', of: random.pick(['u8', 'u16', 'u32', 'u64']), fields: anyBits(random), ...at };
    case 4:
      return { name, type: 'bool', ...count };
    default:
      return {
        name,
        type: random.pick(NUMBERS),
        endian: random.pick(['little', 'big']),
        ...anyScale(random),
        ...count,
      };
  }
}

function anyBits(random: Random): object[] {
  return Array.from({ length: 1 + random.below(3) }, () => ({
    ...(random.below(4) > 0 && { name: random.pick(NAMES) }),
    bits: 1 + random.below(random.pick([3, 8, 33])),
    type: random.pick(['uint', 'int']),
    ...anyScale(random),
  }));
}

function anyScale(random: Random): object {
  const scale = random.pick([0.1, 0.01, -0.5, 1e-12, 1e12, 3, 0.333333333333]);
  return { ...maybe(random, { scale }), ...maybe(random, { offset: random.pick([-40, 273.15, 1e15, 0.001]) }) };
}

function anyStruct(random: Random): object {
  const fields = Array.from({ length: 1 + random.below(6) }, () => anyField(random));
  const [endian, align] = [random.pick(['little', 'big']), random.pick(['none', 'natural'])];
  return {
    struct: { endian, align, longer: random.pick(['refuse', 'ignore']), nan: random.pick(['null', 'text']), fields },
  };
}

function anyCsv(random: Random): object {
  const columns = Array.from({ length: 1 + random.below(4) }, () => ({
    name: random.pick(NAMES),
    type: random.pick(['number', 'integer', 'text', 'bool', 'skip']),
    empty: random.pick(['refuse', 'null', 'omit']),
  }));
  const separator = random.pick([',', ';', '\t', ' ', '||', 'x']);
  const [quote, decimal] = [random.pick(['"', "'", 'none']), random.pick(['.', ','])];
  return {
    csv: {
      columns,
      separator,
      quote,
      decimal,
      longer: random.pick(['refuse', 'ignore']),
      ...maybe(random, { header: 'a' }),
    },
  };
}

function anyJson(random: Random): object {
  if (random.below(4) === 0) return { json: {} };
  const fields = Array.from({ length: 1 + random.below(3) }, () => ({
    name: random.pick(NAMES),
    from: random.pick(['a', 'b', 'a.b', 'a.0', '/a/b', '/', '__proto__', 'c.1.a']),
    missing: random.pick(['refuse', 'null', 'omit']),
  }));
  return { json: { fields } };
}

/** A rule that has no mistakes, and what it is made of. Most that chance makes have some: names that are there twice. */
export function anyDecoder(random: Random): { tree: object; decoder: Decoder } {
  for (;;) {
    const tree = {
      ...random.pick([anyStruct, anyCsv, anyJson])(random),
      ...maybe(random, { key: random.pick(['{a}', '{id}-{port}', 'x{b}']) }),
      ...maybe(random, { time: { field: random.pick(NAMES), unit: random.pick(['s', 'ms', 'us', 'ns', 'iso']) } }),
    };
    const { decoder } = compileRule(v.parse(decodeRule, tree) satisfies DecodeRule, { topic: 't' });
    if (decoder !== undefined) return { tree, decoder };
  }
}

const WORDS = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  '"a"',
  '"b"',
  '1',
  '-0.5',
  '1e999',
  'true',
  'null',
  '\\',
  '"\\u0061"',
];
const CELLS = [
  'a',
  '1',
  '-1.5',
  ',',
  ';',
  '"',
  "'",
  'nan',
  'on',
  ' ',
  '\t',
  '||',
  '+007.',
  'x',
  '1e999',
  '1,5',
  '-inf',
];

/** Frames of all kinds: random bytes, bits of JSON and CSV, and JSON that is whole. */
export function anyFrame(random: Random): Buffer {
  const some = (words: readonly string[]): Buffer =>
    Buffer.from(Array.from({ length: random.below(20) }, () => random.pick(words)).join(''));
  switch (random.below(6)) {
    case 0:
      return some(WORDS);
    case 1:
      return some(CELLS);
    case 2:
    case 3:
      return Buffer.from(JSON.stringify(anyValue(random, 4)));
    case 4:
      return Buffer.alloc(random.below(64), random.below(256));
    default:
      return random.bytes(random.below(64));
  }
}

function anyValue(random: Random, depth: number): unknown {
  const kind = depth === 0 ? 2 + random.below(4) : random.below(6);
  if (kind === 0) return Array.from({ length: random.below(4) }, () => anyValue(random, depth - 1));
  if (kind === 1) {
    const names = ['a', 'b', 'c', 'id', 'ts', '"', '\\', '}'];
    return Object.fromEntries(names.map((name) => [name, anyValue(random, depth - 1)]));
  }
  return random.pick([1, -0.25, 1e300, 'text', '"}]', 'é\u2028', '\ud800', true, null, '', 1_769_839_200]);
}

/** Decodes one frame. Returns what it became. */
export function decodeOnce(tree: object, decoder: Decoder, frame: Buffer): string {
  const before = Buffer.from(frame);
  const decoded = decoder.decode(frame, ARRIVAL_MS, { port: 'p' });
  const what = `${JSON.stringify(tree)} on ${before.toString('hex')}`;
  assert(before.equals(frame), `the frame was changed: ${what}`);
  if (decoded.kind === 'misfit') {
    assert(decoded.reason.length > 0 && decoded.reason.length < REASON_CHARS_MAX, `${decoded.reason}: ${what}`);
  } else if (decoded.kind === 'record') {
    JSON.parse(String(decoded.value));
    assert(decoded.key === undefined || decoded.key.length > 0, `an empty key: ${what}`);
    const { timestampMs } = decoded;
    assert(timestampMs === undefined || Number.isSafeInteger(timestampMs), `time ${timestampMs}: ${what}`);
  }
  return decoded.kind;
}

/** raw * scale + offset, as a fraction of whole numbers, beside the text that is written. */
export function checkScaled(random: Random): void {
  const scale = random.pick(['0.1', '0.01', '-0.5', '1e-12', '3', '0.333333333333', '0.001220703125', '1e12']);
  const offset = random.pick(['0', '-40', '273.15', '1e15', '-0.000001']);
  const bits = random.pick([8, 16, 32, 53, 64]);
  const wide = BigInt.asIntN(bits, random.bytes(8).readBigUInt64LE());
  const raw = bits <= 53 ? Number(wide) : wide;
  const written = integerWriter(Number(scale), Number(offset))(raw);
  const [factor, added, found] = [fraction(scale), fraction(offset), fraction(written)];
  const wanted = { up: wide * factor.up * added.down + added.up * factor.down, down: factor.down * added.down };
  assert.equal(found.up * wanted.down, wanted.up * found.down, `${raw} * ${scale} + ${offset} is written ${written}`);
}

function fraction(text: string): { up: bigint; down: bigint } {
  const [, digits = '', after = '', exponent = '0'] = /^(-?\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(text) ?? [];
  const places = after.length - Number(exponent);
  const up = BigInt(digits + after) * (places < 0 ? 10n ** BigInt(-places) : 1n);
  return { up, down: 10n ** BigInt(Math.max(0, places)) };
}

/** A float of any bits comes back from its text. */
export function checkFloat(random: Random): void {
  const value = random.bytes(4).readFloatLE();
  if (!Number.isFinite(value)) return;
  const text = shortFloat(value);
  assert.equal(Math.fround(Number(text)), value, `${value} is written ${text}`);
}
