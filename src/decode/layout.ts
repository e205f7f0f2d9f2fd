// Where the fields of a struct lie in the frame. Pure: the rule in, places and mistakes out.
//
//   at given                   there
//   align: natural             at the next multiple of the field's size (of one element, for lists), as in C
//   otherwise                  right after the field before
//
// Natural alignment also rounds the whole up to the largest alignment in it. Gaps are not looked at; fields may not
// overlap. A field of `rest` is the last one.

import type { StructField, StructRule } from '../config-decode.ts';
import { nearest } from '../config-units.ts';
import type { RuleProblem } from './body.ts';

export interface Placed {
  field: StructField;
  /** First byte. */
  at: number;
  /** Bytes of one element. */
  size: number;
  /** How many elements: undefined for a single value, `rest` for as many as there are. */
  count: number | 'rest' | undefined;
}

export interface Layout {
  placed: Placed[];
  /** Bytes that a frame must have; with a field of `rest`, at least. */
  bytes: number;
  hasRest: boolean;
}

const SIZES: Partial<Record<StructField['type'], number>> = {
  u8: 1,
  i8: 1,
  bool: 1,
  u16: 2,
  i16: 2,
  u24: 3,
  i24: 3,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};

export function layoutOf(rule: StructRule, problems: RuleProblem[]): Layout {
  const placed: Placed[] = [];
  let [cursor, end, largest, hasRest] = [0, 0, 1, false];
  for (const [index, field] of rule.fields.entries()) {
    const size = sizeOf(field);
    const alignment = alignmentOf(field, size);
    largest = Math.max(largest, alignment);
    const aligned = rule.align === 'natural' ? roundUp(cursor, alignment) : cursor;
    const place: Placed = { field, at: field.at ?? aligned, size, count: countOf(field) };
    const at = ['struct', 'fields', index];
    if (hasRest) problems.push({ path: at, message: 'nothing can follow a field that takes the rest of the frame' });
    const over = placed.find((other) => overlap(place, other));
    if (over !== undefined) {
      const where = field.at === undefined ? at : [...at, 'at'];
      problems.push({ path: where, message: `${spanOf(place)} overlaps ${nameOf(over)}, ${spanOf(over)}` });
    }
    placed.push(place);
    hasRest ||= place.count === 'rest' || field.bytes === 'rest';
    cursor = endOf(place);
    end = Math.max(end, cursor);
  }
  if (rule.align === 'natural' && !hasRest) end = roundUp(end, largest);
  return { placed, bytes: end, hasRest };
}

function sizeOf(field: StructField): number {
  const known = field.type === 'bits' ? SIZES[field.of] : SIZES[field.type];
  if (known !== undefined) return known;
  if (field.bytes === 'rest') return 0;
  return field.bytes ?? 1;
}

/** A C compiler aligns numbers to their size; three bytes and bytes have no type of their own there. */
function alignmentOf(field: StructField, size: number): number {
  if (field.type === 'u24' || field.type === 'i24') return 1;
  return field.type === 'bytes' || field.type === 'string' || field.type === 'pad' ? 1 : size;
}

function countOf(field: StructField): Placed['count'] {
  return field.type === 'pad' ? undefined : field.count;
}

/** Where the next field may begin; of a list of `rest`, with no element. */
function endOf({ at, size, count }: Placed): number {
  if (count === 'rest') return at;
  return at + size * (count ?? 1);
}

function overlap(one: Placed, other: Placed): boolean {
  return one.at < endOf(other) && other.at < Math.max(endOf(one), one.at + 1);
}

/** `bytes 4 to 7`, counted from 0. */
export function spanOf(place: Placed): string {
  const end = endOf(place);
  if (end <= place.at) return `from byte ${place.at} on`;
  return end - place.at === 1 ? `byte ${place.at}` : `bytes ${place.at} to ${end - 1}`;
}

export function nameOf({ field }: Placed): string {
  return field.name ?? field.type;
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/** The layout against the length that each frame of the port has. */
export function checkFrameLength(layout: Layout, rule: StructRule, frameBytes: number, problems: RuleProblem[]): void {
  const over = layout.placed.findIndex((place) => endOf(place) > frameBytes);
  if (over !== -1) {
    const message = `${spanOf(layout.placed[over]!)} is beyond the frame, which has ${frameBytes} bytes`;
    problems.push({ path: ['struct', 'fields', over], message });
  } else if (
    layout.bytes !== frameBytes &&
    !layout.hasRest &&
    (layout.bytes > frameBytes || rule.longer === 'refuse')
  ) {
    const what = `the fields take ${layout.bytes} bytes and each frame has ${frameBytes}`;
    problems.push({ path: ['struct', 'fields'], message: `${what}: add a pad field, or longer: ignore` });
  }
}

/** Settings that the type of a field has no use for, or lacks. */
export function checkField(field: StructField, path: (string | number)[], problems: RuleProblem[]): void {
  const { type } = field;
  const say = (key: string, message: string): void => void problems.push({ path: [...path, key], message });
  const isNumber = /^[uif]\d/.test(type);
  const isWhole = /^[ui]\d/.test(type);
  if (field.name === undefined && type !== 'pad' && type !== 'bits') {
    problems.push({ path, message: `a field of type ${type} needs a name` });
  }
  if (field.name !== undefined && type === 'bits') say('name', 'the names of bits stand in their own list, fields');
  if (field.fields === undefined && type === 'bits') problems.push({ path, message: 'bits need their list, fields' });
  if (field.fields !== undefined && type !== 'bits') say('fields', `only bits have a list of fields, not ${type}`);
  const isLong = type === 'bytes' || type === 'string';
  if (isLong && field.bytes === undefined) problems.push({ path, message: `${type} needs its length, bytes` });
  if (!isLong && type !== 'pad' && field.bytes !== undefined) {
    say('bytes', `the length of ${type} is known; count makes a list`);
  }
  const isSingle = type === 'pad' || type === 'bits' || (isLong && field.bytes === 'rest');
  if (isSingle && field.count !== undefined) say('count', `there is no list of ${type}`);
  for (const key of ['scale', 'offset'] as const) {
    if (field[key] !== undefined && !isNumber) say(key, `only numbers have one, not ${type}`);
  }
  if (field.equals !== undefined && !isNumber) say('equals', `only numbers are compared, not ${type}`);
  if (field.as === undefined) return;
  const forms = isWhole ? ['number', 'text', 'hex'] : type === 'bytes' ? ['hex', 'base64'] : [];
  const isScaled = field.scale !== undefined || field.offset !== undefined;
  if (!forms.includes(field.as)) say('as', `${type} is not written as ${field.as}`);
  else if (field.as === 'hex' && isScaled) say('as', 'a scaled number is not written as hex');
}

/** Field names that occur twice, or a hint for a name that is none. */
export function repeatedNames(names: readonly (string | undefined)[]): number[] {
  const seen = new Set<string>();
  return names.flatMap((name, index) => {
    if (name === undefined) return [];
    if (seen.has(name)) return [index];
    seen.add(name);
    return [];
  });
}

/** ` , did you mean x?`, or the names that there are. */
export function hintFor(name: string, names: readonly string[]): string {
  const meant = nearest(name, names);
  if (meant !== undefined) return `did you mean ${meant}?`;
  return names.length === 0 ? 'there are none' : `there are ${names.slice(0, 12).join(', ')}`;
}
