import { expect, test } from 'vitest';
import { decode, hex, mistakes, valueOf } from './rules.ts';

const struct = (fields: object[], more: object = {}): object => ({ struct: { fields, ...more } });
const one = (field: object, more: object = {}): object => struct([{ name: 'x', ...field }], more);

test.each<[string, object, string, string]>([
  ['u8', { type: 'u8' }, 'ff', '255'],
  ['i8', { type: 'i8' }, 'ff', '-1'],
  ['u16', { type: 'u16' }, '01 02', '513'],
  ['u16 big', { type: 'u16', endian: 'big' }, '01 02', '258'],
  ['i16', { type: 'i16' }, 'fe ff', '-2'],
  ['u24', { type: 'u24' }, '01 02 03', '197121'],
  ['i24 big', { type: 'i24', endian: 'big' }, 'ff ff fe', '-2'],
  ['u32', { type: 'u32' }, 'ff ff ff ff', '4294967295'],
  ['i32 big', { type: 'i32', endian: 'big' }, '80 00 00 00', '-2147483648'],
  ['u64 small', { type: 'u64' }, '01 00 00 00 01 00 00 00', '4294967297'],
  ['u64 at 2^53-1', { type: 'u64' }, 'ff ff ff ff ff ff 1f 00', '9007199254740991'],
  ['u64 at 2^53', { type: 'u64' }, '00 00 00 00 00 00 20 00', '9007199254740992'],
  ['u64 beyond', { type: 'u64' }, '01 00 00 00 00 00 20 00', '9007199254740993'],
  ['u64 highest', { type: 'u64' }, 'ff ff ff ff ff ff ff ff', '18446744073709551615'],
  ['u64 as text', { type: 'u64', as: 'text' }, 'ff ff ff ff ff ff ff ff', '"18446744073709551615"'],
  ['u64 as hex', { type: 'u64', as: 'hex', endian: 'big' }, '00 00 00 00 de ad be ef', '"00000000deadbeef"'],
  ['i64', { type: 'i64' }, 'fe ff ff ff ff ff ff ff', '-2'],
  ['i64 lowest', { type: 'i64' }, '00 00 00 00 00 00 00 80', '-9223372036854775808'],
  ['i64 beyond', { type: 'i64', endian: 'big' }, 'ff df ff ff ff ff ff ff', '-9007199254740993'],
  ['f32', { type: 'f32' }, 'cd cc cc 3d', '0.1'],
  ['f32 large', { type: 'f32' }, '00 24 74 49', '1000000'],
  ['f32 highest', { type: 'f32', endian: 'big' }, '7f 7f ff ff', '3.4028235e+38'],
  ['f32 smallest', { type: 'f32' }, '01 00 00 00', '1.4013e-45'],
  ['f32 minus zero', { type: 'f32' }, '00 00 00 80', '0'],
  ['f32 NaN', { type: 'f32' }, '00 00 c0 7f', 'null'],
  ['f64', { type: 'f64', endian: 'big' }, '3f b9 99 99 99 99 99 9a', '0.1'],
  ['f64 infinity', { type: 'f64', endian: 'big' }, 'ff f0 00 00 00 00 00 00', 'null'],
  ['bool', { type: 'bool' }, '02', 'true'],
  ['bool false', { type: 'bool' }, '00', 'false'],
  ['bytes', { type: 'bytes', bytes: 3 }, '00 a1 ff', '"00a1ff"'],
  ['bytes as base64', { type: 'bytes', bytes: 3, as: 'base64' }, '00 a1 ff', '"AKH/"'],
  ['bytes rest', { type: 'bytes', bytes: 'rest' }, '00 a1 ff', '"00a1ff"'],
  ['bytes rest of nothing', { type: 'bytes', bytes: 'rest' }, '', '""'],
  ['string', { type: 'string', bytes: 6 }, '61 22 0a 00 7a 7a', '"a\\"\\n"'],
  ['string full', { type: 'string', bytes: 2 }, 'c3 a9', '"é"'],
  ['string latin1', { type: 'string', bytes: 2, encoding: 'latin1' }, 'b0 43', '"°C"'],
  ['string rest', { type: 'string', bytes: 'rest' }, '68 69', '"hi"'],
  ['scale', { type: 'u16', scale: 0.01 }, '69 08', '21.53'],
  ['scale and offset', { type: 'u8', scale: 0.5, offset: -40 }, '81', '24.5'],
  ['offset alone', { type: 'i8', offset: 273.15 }, 'ff', '272.15'],
  ['scale of a 12 bit converter', { type: 'u16', scale: 0.001220703125 }, 'ff 0f', '4.998779296875'],
  ['scale of 64 bits', { type: 'u64', scale: 0.001 }, 'ff ff ff ff ff ff ff ff', '18446744073709551.615'],
  ['scale of 64 bits below 0', { type: 'i64', scale: 0.001 }, '01 00 00 00 00 00 00 80', '-9223372036854775.807'],
  ['scale above 1', { type: 'u8', scale: 1000 }, 'ff', '255000'],
  ['scale of a float', { type: 'f32', scale: 0.1 }, '00 00 28 42', '4.2'],
  ['a list', { type: 'u16', count: 2, endian: 'big' }, '00 01 00 02', '[1,2]'],
  ['a list of the rest', { type: 'i8', count: 'rest' }, '01 ff 03', '[1,-1,3]'],
  ['a list of nothing', { type: 'i8', count: 'rest' }, '', '[]'],
  ['a list of strings', { type: 'string', bytes: 2, count: 2 }, '61 00 62 63', '["a","bc"]'],
  ['a list of scaled numbers', { type: 'u8', count: 2, scale: 0.1 }, '01 03', '[0.1,0.3]'],
])('%s', (_, field, bytes, json) => {
  expect(valueOf(one(field), hex(bytes))).toBe(`{"x":${json}}`);
});

test('NaN and the infinities are text where the rule says so', () => {
  const rule = struct(
    [
      { name: 'a', type: 'f32' },
      { name: 'b', type: 'f32' },
    ],
    { endian: 'big', nan: 'text' },
  );
  expect(valueOf(rule, hex('7fc00000 ff800000'))).toBe('{"a":"NaN","b":"-Infinity"}');
});

test('bit fields are taken from the lowest bit upwards, or from the highest downwards', () => {
  const fields = [
    { name: 'mode', bits: 3 },
    { name: 'on', bits: 1, type: 'bool' },
    { bits: 2 },
    { name: 'delta', bits: 2, type: 'int' },
  ];
  // 0b1001_1101
  expect(valueOf(struct([{ type: 'bits', fields }]), hex('9d'))).toBe('{"mode":5,"on":true,"delta":-2}');
  expect(valueOf(struct([{ type: 'bits', first: 'high', fields }]), hex('9d'))).toBe('{"mode":4,"on":true,"delta":1}');
});

test('bit fields of all 32 and of 64 bits', () => {
  const wide = (of: string, bits: number, type = 'uint'): object =>
    struct([{ type: 'bits', of, fields: [{ name: 'x', bits, type }] }]);
  expect(valueOf(wide('u32', 32), hex('ffffffff'))).toBe('{"x":4294967295}');
  expect(valueOf(wide('u32', 32, 'int'), hex('ffffffff'))).toBe('{"x":-1}');
  expect(valueOf(wide('u64', 64), hex('ffffffffffffffff'))).toBe('{"x":18446744073709551615}');
  expect(valueOf(wide('u64', 40, 'int'), hex('feffffffff000000'))).toBe('{"x":-2}');
});

test('natural alignment puts gaps where a C compiler puts them, and at the end', () => {
  const rule = (align: string): object =>
    struct(
      [
        { name: 'a', type: 'u8' },
        { name: 'b', type: 'u32' },
        { name: 'c', type: 'u16', count: 2 },
        { name: 'd', type: 'u8' },
      ],
      { align },
    );
  expect(valueOf(rule('none'), hex('01 02000000 0300 0400 05'))).toBe('{"a":1,"b":2,"c":[3,4],"d":5}');
  const padded = hex('01 aaaaaa 02000000 0300 0400 05 bbbbbb');
  expect(valueOf(rule('natural'), padded)).toBe('{"a":1,"b":2,"c":[3,4],"d":5}');
  expect(valueOf(rule('none'), padded)).toBe('<the frame has 16 bytes, the struct 10>');
});

test('fields can be placed, in any order, with gaps between', () => {
  const rule = struct([
    { name: 'last', type: 'u8', at: 4 },
    { name: 'first', type: 'u16', at: 0 },
    { name: 'next', type: 'u8' },
  ]);
  expect(valueOf(rule, hex('0100 02 ff 03'))).toBe('{"last":3,"first":1,"next":2}');
});

test.each<[string, object, string, string]>([
  ['too short', one({ type: 'u32' }), '01', 'the frame has 1 byte, the struct 4'],
  ['too long', one({ type: 'u8' }), '01 02', 'the frame has 2 bytes, the struct 1'],
  ['no UTF-8', one({ type: 'string', bytes: 2 }), 'ff 41', 'x, from byte 0 on, is not UTF-8'],
  [
    'a wrong magic number',
    struct([{ name: 'magic', type: 'u16', equals: 0xaa55 }]),
    '01 00',
    'magic, bytes 0 to 1, is 1 and should be 43605',
  ],
  [
    'half an element',
    struct([
      { name: 'a', type: 'u8' },
      { name: 'x', type: 'u16', count: 'rest' },
    ]),
    '01 02',
    'the frame has 2 bytes, which is no whole number of x',
  ],
])('%s is a misfit with a reason', (_, rule, bytes, reason) => {
  expect(valueOf(rule, hex(bytes))).toBe(`<${reason}>`);
});

test('what is longer than the struct can be ignored', () => {
  expect(valueOf(one({ type: 'u8' }, { longer: 'ignore' }), hex('01 02'))).toBe('{"x":1}');
  expect(valueOf(one({ type: 'u16', count: 'rest' }, { longer: 'ignore' }), hex('01 00 02'))).toBe('{"x":[1]}');
});

test('a value that no batch would hold is a misfit', () => {
  const rule = one({ type: 'string', bytes: 'rest' });
  expect(valueOf(rule, Buffer.alloc(256 * 1024, 1))).toMatch(/^<the value would have 1572872 bytes, and at most/);
  const names = Array.from({ length: 100_000 }, () => 0);
  expect(valueOf(one({ type: 'string', bytes: 1, count: 'rest' }), Buffer.from(names))).toMatch(/^{"x":\["","",/);
});

test.each<[string, object, string[], object?]>([
  [
    'an overlap',
    struct([
      { name: 'a', type: 'u32' },
      { name: 'b', type: 'u16', at: 3 },
    ]),
    ['struct.fields.1.at: bytes 3 to 4 overlaps a, bytes 0 to 3'],
  ],
  [
    'a field after the rest',
    struct([
      { name: 'a', type: 'u8', count: 'rest' },
      { name: 'b', type: 'u8' },
    ]),
    ['struct.fields.1: nothing can follow a field that takes the rest of the frame'],
  ],
  ['no name', struct([{ type: 'u8' }]), ['struct.fields.0: a field of type u8 needs a name']],
  [
    'a name twice',
    struct([
      { name: 'a', type: 'u8' },
      { type: 'bits', fields: [{ name: 'a', bits: 1 }] },
    ]),
    ['struct.fields.1.fields.0.name: the name "a" is that of another field, too'],
  ],
  [
    'too many bits',
    struct([{ type: 'bits', fields: [{ name: 'a', bits: 5 }, { bits: 4 }] }]),
    ['struct.fields.0.fields.1: ends at bit 9, and u8 has 8'],
  ],
  ['bits of nothing', struct([{ type: 'bits' }]), ['struct.fields.0: bits need their list, fields']],
  ['a string without length', one({ type: 'string' }), ['struct.fields.0: string needs its length, bytes']],
  [
    'a length for a number',
    one({ type: 'u8', bytes: 2 }),
    ['struct.fields.0.bytes: the length of u8 is known; count makes a list'],
  ],
  [
    'a scaled string',
    one({ type: 'string', bytes: 1, scale: 2 }),
    ['struct.fields.0.scale: only numbers have one, not string'],
  ],
  ['a float as hex', one({ type: 'f32', as: 'hex' }), ['struct.fields.0.as: f32 is not written as hex']],
  [
    'fields beyond a fixed frame',
    struct([
      { name: 'a', type: 'u32' },
      { name: 'b', type: 'u32' },
    ]),
    ['struct.fields.1: bytes 4 to 7 is beyond the frame, which has 6 bytes'],
    { frameBytes: 6 },
  ],
  [
    'fewer fields than a fixed frame has bytes',
    one({ type: 'u32' }),
    ['struct.fields: the fields take 4 bytes and each frame has 6: add a pad field, or longer: ignore'],
    { frameBytes: 6 },
  ],
  [
    'more than any frame has',
    one({ type: 'u64', count: 65_536 }),
    ['struct.fields: the fields take 524288 bytes, and no frame has more than 262144'],
  ],
])('%s is told before a frame comes', (_, rule, told, facts = {}) => {
  expect(mistakes(rule, facts)).toEqual(told);
});

test('units are known of a decoder, and keys can be made of fields', () => {
  const rule = struct([
    { name: 'id', type: 'u16' },
    { name: 't', type: 'i8', unit: 'degC' },
  ]);
  expect(decode({ ...rule, key: '{port}/{id}' }, hex('0700 15'))).toMatchObject({
    key: Buffer.from('p1/7'),
    value: Buffer.from('{"id":7,"t":21}'),
  });
});
