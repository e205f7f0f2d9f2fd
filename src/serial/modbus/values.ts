// Values out of registers, and registers out of values. A register is two bytes, the higher first; a value of several has,
// in the standard's order, the higher register first. Makers differ, so both can be turned:
//
//   order   int32 0x0A0B0C0D as bytes    what is turned
//   ABCD    0A 0B  0C 0D                 nothing
//   CDAB    0C 0D  0A 0B                 the registers
//   BADC    0B 0A  0D 0C                 the bytes of each register
//   DCBA    0D 0C  0B 0A                 both
//
// Texts are turned by bytes only. A number is raw * scale + offset.

import type { NumberType, ValueType } from '../../config-modbus.ts';
import { isUtf8 } from 'node:buffer';

export type Order = 'ABCD' | 'CDAB' | 'BADC' | 'DCBA';

export interface Form {
  type: ValueType;
  order: Order;
  scale: number;
  offset: number;
}

/** Null: the bits are no number (NaN or an infinity). Whole numbers beyond 2^53 are exact, as bigints. */
export type Value = boolean | number | bigint | string | null;

const REGISTERS: Record<NumberType, number> = {
  int16: 1,
  uint16: 1,
  int32: 2,
  uint32: 2,
  float32: 2,
  int64: 4,
  uint64: 4,
  float64: 4,
};

export function registersOf(type: ValueType): number {
  if (type.kind === 'bool') return 1;
  return type.kind === 'string' ? Math.ceil(type.characters / 2) : REGISTERS[type.kind];
}

/** The value of `bytes`, two for each of its registers. */
export function decodeValue(bytes: Buffer, { type, order, scale, offset }: Form): Value {
  if (type.kind === 'bool') return bytes.readUInt16BE() !== 0;
  const straight = turned(bytes, order, type.kind !== 'string');
  if (type.kind === 'string') return decodeText(straight.subarray(0, type.characters));
  return scaled(readNumber(straight, type.kind), type.kind, scale, offset);
}

/**
 * The registers of `value`: whatever JSON may hold. A text: why it can't be written. It is never rounded to something else
 * than was asked for, but to the nearest step of a scale.
 */
export function encodeValue(value: unknown, { type, order, scale, offset }: Form): Buffer | string {
  if (type.kind === 'bool') {
    const bit = bitOf(value);
    return typeof bit === 'string' ? bit : Buffer.of(0, bit ? 1 : 0);
  }
  if (type.kind === 'string') {
    const bytes = encodeText(value, type.characters);
    return typeof bytes === 'string' ? bytes : turned(bytes, order, false);
  }
  const raw = rawOf(value, type.kind, scale, offset);
  return typeof raw === 'string' ? raw : turned(writeNumber(raw, type.kind), order, true);
}

/** A coil's value: true, false, 1 or 0. A text: why it is none. */
export function bitOf(value: unknown): boolean | string {
  if (value === true || value === 1) return true;
  if (value === false || value === 0) return false;
  return `its value must be true or false, not ${JSON.stringify(value)}`;
}

/** A copy in the standard's order, or out of it: turning twice is turning back. */
function turned(bytes: Buffer, order: Order, byRegisters: boolean): Buffer {
  const copy = Buffer.from(bytes);
  if (order === 'BADC' || order === 'DCBA') copy.swap16();
  if (!byRegisters || order === 'ABCD' || order === 'BADC') return copy;
  const result = Buffer.alloc(copy.length);
  for (let at = 0; at < copy.length; at += 2) copy.copy(result, copy.length - 2 - at, at, at + 2);
  return result;
}

function readNumber(bytes: Buffer, type: NumberType): number | bigint {
  switch (type) {
    case 'int16':
      return bytes.readInt16BE();
    case 'uint16':
      return bytes.readUInt16BE();
    case 'int32':
      return bytes.readInt32BE();
    case 'uint32':
      return bytes.readUInt32BE();
    case 'int64':
      return bytes.readBigInt64BE();
    case 'uint64':
      return bytes.readBigUInt64BE();
    case 'float32':
      return bytes.readFloatBE();
    default:
      return bytes.readDoubleBE();
  }
}

function writeNumber(raw: number | bigint, type: NumberType): Buffer {
  const bytes = Buffer.alloc(REGISTERS[type] * 2);
  if (type === 'float32') bytes.writeFloatBE(Number(raw));
  else if (type === 'float64') bytes.writeDoubleBE(Number(raw));
  else if (bytes.length === 8) bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(raw)));
  else bytes.writeUIntBE(Number(BigInt.asUintN(bytes.length * 8, BigInt(raw))), 0, bytes.length);
  return bytes;
}

function scaled(raw: number | bigint, type: NumberType, scale: number, offset: number): Value {
  if (scale === 1 && offset === 0) {
    if (typeof raw === 'bigint') return Number.isSafeInteger(Number(raw)) ? Number(raw) : raw;
    if (!Number.isFinite(raw)) return null;
    return type === 'float32' ? shortest(raw) : raw;
  }
  const value = (type === 'float32' ? shortest(Number(raw)) : Number(raw)) * scale + offset;
  // 2315 * 0.1 shall be 231.5: what lies behind the fifteenth digit comes of the multiplication.
  return Number.isFinite(value) ? Number(value.toPrecision(15)) : null;
}

/** The shortest decimal that is this float32: 21.1, not 21.100000381469727. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function rawOf(value: unknown, type: NumberType, scale: number, offset: number): number | bigint | string {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    return `its value must be a number, not ${JSON.stringify(value)}`;
  }
  const raw = scale === 1 && offset === 0 ? value : (value - offset) / scale;
  if (type === 'float64') return raw;
  if (type === 'float32') return Number.isFinite(Math.fround(raw)) ? raw : `${value} does not fit into a float32`;
  const whole = Math.round(raw);
  if (scale === 1 && whole !== raw) return `${value} is not a whole number, which ${type} takes`;
  const bits = BigInt(REGISTERS[type] * 16);
  const [min, max] = type.startsWith('u') ? [0n, 2n ** bits - 1n] : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
  const exact = BigInt(whole);
  return exact < min || exact > max ? `${value} does not fit into ${type}, which holds ${min} to ${max}` : exact;
}

/** Up to the first NUL, without blanks at its end. */
function decodeText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  const used = end === -1 ? bytes : bytes.subarray(0, end);
  return used.toString(isUtf8(used) ? 'utf8' : 'latin1').trimEnd();
}

function encodeText(value: unknown, characters: number): Buffer | string {
  if (typeof value !== 'string') return `its value must be text, not ${JSON.stringify(value)}`;
  const text = Buffer.from(value);
  if (text.length > characters) return `its value has ${text.length} bytes, and ${characters} fit`;
  const bytes = Buffer.alloc(Math.ceil(characters / 2) * 2);
  text.copy(bytes);
  return bytes;
}

/** As JSON. A bigint's digits are all there: readers with numbers of 64 bits get it exactly. */
export function jsonOf(value: Value): string {
  return typeof value === 'bigint' ? value.toString() : JSON.stringify(value);
}
