// Bit fields: parts of one number, taken from its lowest bit upwards or from its highest downwards. Pure.
//
//   of: u8, first: low, fields of 3, 1, 4 bits      bit 7 6 5 4 | 3 | 2 1 0
//                                                       third   |2nd| first

import type { BitField, StructRule } from '../config-decode.ts';
import type { RuleProblem } from './body.ts';
import type { Placed } from './layout.ts';
import { integerWriter } from './numbers.ts';
import { readerOf } from './readers.ts';

/** A field as it is in the record. */
export interface Member {
  name: string;
  unit: string | undefined;
  json: (frame: Buffer) => string;
  /** Undefined for lists. */
  text: ((frame: Buffer) => string | undefined) | undefined;
}

const BITS_OF = { u8: 8, u16: 16, u32: 32, u64: 64 } as const;

export function checkBits(rule: StructRule, problems: RuleProblem[]): void {
  for (const [index, field] of rule.fields.entries()) {
    if (field.type !== 'bits') continue;
    let used = 0;
    for (const [bit, part] of (field.fields ?? []).entries()) {
      const path = ['struct', 'fields', index, 'fields', bit];
      used += part.bits;
      if (used > BITS_OF[field.of]) {
        problems.push({ path, message: `ends at bit ${used}, and ${field.of} has ${BITS_OF[field.of]}` });
        break;
      }
      const isScaled = part.scale !== undefined || part.offset !== undefined;
      if (part.type === 'bool' && isScaled) problems.push({ path, message: 'a bool has no scale and no offset' });
      if (part.type === 'bool' && part.bits > 1) problems.push({ path, message: 'a bool has one bit' });
    }
  }
}

export function bitMembers({ field, at }: Placed, rule: StructRule): Member[] {
  const read = readerOf(field.of, field.endian ?? rule.endian);
  const whole = BITS_OF[field.of];
  const members: Member[] = [];
  let used = 0;
  for (const part of field.fields ?? []) {
    const shift = field.first === 'low' ? used : whole - used - part.bits;
    used += part.bits;
    if (part.name === undefined) continue;
    const pick = whole === 64 ? wideBits(part, shift) : narrowBits(part, shift);
    const write = part.type === 'bool' ? boolWriter : integerWriter(part.scale, part.offset);
    const json = (frame: Buffer): string => write(pick(read(frame, at)));
    members.push({ name: part.name, unit: part.unit, json, text: json });
  }
  return members;
}

type PickBits = (whole: number | bigint) => number | bigint;

function boolWriter(value: number | bigint): string {
  return Number(value) === 0 ? 'false' : 'true';
}

function narrowBits({ bits, type }: BitField, shift: number): PickBits {
  const unused = 32 - bits;
  // Up to the top, and down again with the sign or without it.
  if (type === 'int') return (whole) => (((whole as number) >>> shift) << unused) >> unused;
  return (whole) => (((whole as number) >>> shift) << unused) >>> unused;
}

function wideBits({ bits, type }: BitField, shift: number): PickBits {
  const cut = type === 'int' ? BigInt.asIntN : BigInt.asUintN;
  return (whole) => {
    const value = cut(bits, BigInt(whole) >> BigInt(shift));
    return bits <= 53 ? Number(value) : value;
  };
}
