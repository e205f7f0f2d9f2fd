import { expect, test } from 'vitest';
import { decodeValue, encodeValue, jsonOf, type Form, type Order } from '../../../src/serial/modbus/values.ts';

function form(type: string, more: Partial<Form> = {}): Form {
  const kind = type.startsWith('string')
    ? { kind: 'string' as const, characters: Number(type.slice(7)) }
    : { kind: type as 'int16' };
  return { type: kind, order: 'ABCD', scale: 1, offset: 0, ...more };
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

// Bytes from IEEE 754 and two's complement, worked out apart from the code.
test.each<[string, string, unknown]>([
  ['int16', 'ff85', -123],
  ['uint16', 'ff85', 65_413],
  ['int32', 'fffe1dc0', -123_456],
  ['uint32', 'fffe1dc0', 4_294_843_840],
  ['float32', '43660000', 230],
  ['float32', '41a8cccd', 21.1],
  ['float64', '4035199999 99999a', 21.1],
  ['int64', 'ffffffffffffff85', -123],
  ['uint64', '0000000000000007', 7],
  ['uint64', 'ffffffffffffffff', 18_446_744_073_709_551_615n],
  ['bool', '0000', false],
  ['bool', '0100', true],
  ['string 6', '41420000 4344', 'AB'],
  ['string 4', 'c3a42020', 'ä'],
  ['string 2', 'e420', 'ä'],
])('%s of %s', (type, bytes, value) => {
  expect(decodeValue(hex(bytes), form(type))).toBe(value);
});

test.each<[Order, string]>([
  ['ABCD', '0a0b0c0d'],
  ['CDAB', '0c0d0a0b'],
  ['BADC', '0b0a0d0c'],
  ['DCBA', '0d0c0b0a'],
])('order %s', (order, bytes) => {
  expect(decodeValue(hex(bytes), form('uint32', { order }))).toBe(0x0a0b0c0d);
  expect((encodeValue(0x0a0b0c0d, form('uint32', { order })) as Buffer).toString('hex')).toBe(bytes);
});

test('64 bits are turned as a whole', () => {
  expect(decodeValue(hex('0708 0506 0304 0102'), form('uint64', { order: 'CDAB' }))).toBe(0x0102030405060708n);
  expect(decodeValue(hex('0807 0605 0403 0201'), form('uint64', { order: 'DCBA' }))).toBe(0x0102030405060708n);
});

test('a scale gives the decimal that people expect', () => {
  expect(decodeValue(hex('090b'), form('uint16', { scale: 0.1 }))).toBe(231.5);
  expect(decodeValue(hex('0003'), form('uint16', { scale: 0.1, offset: -40 }))).toBe(-39.7);
  expect(decodeValue(hex('41a8cccd'), form('float32', { scale: 1000 }))).toBe(21_100);
});

test('bits that are no number are null', () => {
  expect(decodeValue(hex('7fc00000'), form('float32'))).toBeNull();
  expect(decodeValue(hex('7f800000'), form('float32', { scale: 2 }))).toBeNull();
});

test('what is written is what is read', () => {
  for (const [type, values] of [
    ['int16', [-32_768, 0, 32_767]],
    ['uint32', [0, 4_294_967_295]],
    ['int64', [-9_007_199_254_740_991, 42]],
    ['float32', [21.1, -1e20]],
    ['float64', [21.1, 1e300]],
    ['string 8', ['', 'abcdefgh', 'grün']],
    ['bool', [true, false]],
  ] as const) {
    for (const order of ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const) {
      for (const value of values) {
        const at = form(type, { order });
        expect(decodeValue(encodeValue(value, at) as Buffer, at)).toBe(value);
      }
    }
  }
  expect(encodeValue(21.54, form('int16', { scale: 0.1 }))).toEqual(hex('00d7'));
});

test.each<[unknown, string, string]>([
  [70_000, 'uint16', '70000 does not fit into uint16, which holds 0 to 65535'],
  [-1, 'uint16', '-1 does not fit into uint16, which holds 0 to 65535'],
  [1.5, 'int32', '1.5 is not a whole number, which int32 takes'],
  ['7', 'int16', 'its value must be a number, not "7"'],
  [null, 'float32', 'its value must be a number, not null'],
  [1e39, 'float32', '1e+39 does not fit into a float32'],
  ['abc', 'string 2', 'its value has 3 bytes, and 2 fit'],
  [2, 'bool', 'its value must be true or false, not 2'],
])('%j as %s is refused', (value, type, why) => {
  expect(encodeValue(value, form(type))).toBe(why);
});

test('JSON has all digits of a number of 64 bits', () => {
  expect(jsonOf(18_446_744_073_709_551_615n)).toBe('18446744073709551615');
  expect(jsonOf('a"b')).toBe('"a\\"b"');
});
