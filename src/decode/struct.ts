// Frames that are C structs: each field becomes two closures with its place and type built in, one that writes JSON and
// one that gives plain text for keys and times. Pure.
//
// Whole numbers are written with all their digits, those of 64 bits as well. A string ends at its first byte of 0, and
// one that is not in its character set makes the frame a misfit: no character is replaced in silence.

import { isUtf8 } from 'node:buffer';
import type { NumberType, StructField, StructRule } from '../config-decode.ts';
import { FRAME_BYTES_MAX } from '../config-decode.ts';
import { bitMembers, checkBits, type Member } from './bits.ts';
import { Misfit, type Body, type RuleProblem } from './body.ts';
import { checkField, checkFrameLength, layoutOf, nameOf, repeatedNames, spanOf, type Placed } from './layout.ts';
import { floatWriter, integerWriter } from './numbers.ts';
import { isNumberType, readerOf, type ReadNumber } from './readers.ts';

/** Text of the one value at `at`. */
type Write = (frame: Buffer, at: number) => string;

/** NaN and the infinities have no text. */
interface Writers {
  json: Write;
  text: (frame: Buffer, at: number) => string | undefined;
}

type Check = (frame: Buffer) => Misfit | undefined;

/** `frameBytes`: the length that each frame has, where the framing fixes it. */
export function compileStruct(rule: StructRule, frameBytes: number | undefined, problems: RuleProblem[]): Body<Buffer> {
  const problemsBefore = problems.length;
  for (const [index, field] of rule.fields.entries()) checkField(field, ['struct', 'fields', index], problems);
  const layout = layoutOf(rule, problems);
  if (frameBytes !== undefined && problems.length === problemsBefore) {
    checkFrameLength(layout, rule, frameBytes, problems);
  }
  if (layout.bytes > FRAME_BYTES_MAX) {
    const message = `the fields take ${layout.bytes} bytes, and no frame has more than ${FRAME_BYTES_MAX}`;
    problems.push({ path: ['struct', 'fields'], message });
  }
  checkNames(rule, problems);
  checkBits(rule, problems);
  const members = problems.length > problemsBefore ? [] : layout.placed.flatMap((place) => membersOf(place, rule));
  const checks = layout.placed.flatMap((place) => checksOf(place, rule));
  const byName = new Map(members.map((member) => [member.name, member]));
  const heads = members.map(({ name }, index) => `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  const writers = members.map(({ json }) => json);
  const isLongerRefused = rule.longer === 'refuse' && !layout.hasRest;
  const last = layout.placed.at(-1);
  const step = last?.count === 'rest' && rule.longer === 'refuse' ? last.size : 1;

  function read(frame: Buffer): Buffer | Misfit {
    const { length } = frame;
    if (length < layout.bytes || (isLongerRefused && length > layout.bytes)) return wrongLength(length);
    if (step > 1 && (length - layout.bytes) % step !== 0) {
      return new Misfit(`the frame has ${length} bytes, which is no whole number of ${nameOf(last!)}`);
    }
    for (const check of checks) {
      const misfit = check(frame);
      if (misfit !== undefined) return misfit;
    }
    return frame;
  }

  function wrongLength(length: number): Misfit {
    const wanted = layout.hasRest ? `at least ${layout.bytes}` : String(layout.bytes);
    return new Misfit(`the frame has ${length} ${length === 1 ? 'byte' : 'bytes'}, the struct ${wanted}`);
  }

  function value(frame: Buffer): string {
    let out = members.length === 0 ? '{' : '';
    for (let index = 0; index < writers.length; index += 1) out += heads[index]! + writers[index]!(frame);
    return `${out}}`;
  }

  return {
    words: `struct of ${members.length} fields in ${layout.hasRest ? 'at least ' : ''}${layout.bytes} bytes`,
    read,
    value,
    textOf: (name) => byName.get(name)?.text,
    names: members.filter(({ text }) => text !== undefined).map(({ name }) => name),
    units: Object.fromEntries(members.flatMap(({ name, unit }) => (unit === undefined ? [] : [[name, unit]]))),
  };
}

function checkNames(rule: StructRule, problems: RuleProblem[]): void {
  const places = rule.fields.flatMap((field, index) => {
    const at = ['struct', 'fields', index];
    const own = { name: field.name, path: [...at, 'name'] };
    return [own, ...(field.fields ?? []).map(({ name }, bit) => ({ name, path: [...at, 'fields', bit, 'name'] }))];
  });
  for (const index of repeatedNames(places.map(({ name }) => name))) {
    const { name, path } = places[index]!;
    problems.push({ path, message: `the name ${JSON.stringify(name)} is that of another field, too` });
  }
}

function membersOf(place: Placed, rule: StructRule): Member[] {
  const { field, at, count } = place;
  if (field.type === 'pad') return [];
  if (field.type === 'bits') return bitMembers(place, rule);
  const { json, text } = writersOf(field, rule);
  const { name = '', unit } = field;
  if (count !== undefined) return [{ name, unit, json: listWriter(place, json), text: undefined }];
  return [{ name, unit, json: (frame) => json(frame, at), text: (frame) => text(frame, at) }];
}

function listWriter({ at, size, count }: Placed, json: Write): (frame: Buffer) => string {
  return (frame) => {
    const end = count === 'rest' ? frame.length - size : at + size * ((count ?? 1) - 1);
    let out = '[';
    for (let place = at; place <= end; place += size) out += (place === at ? '' : ',') + json(frame, place);
    return `${out}]`;
  };
}

/** How one value is written in JSON, and as plain text. */
function writersOf(field: StructField, rule: StructRule): Writers {
  const { type } = field;
  if (type === 'bool') return same((frame, at) => (frame[at] === 0 ? 'false' : 'true'));
  if (type === 'string') {
    const text = stringReader(field);
    return { json: (frame, at) => JSON.stringify(text(frame, at)), text };
  }
  if (type === 'bytes') return quoted(bytesWriter(field));
  const numeric = type as NumberType;
  const read = readerOf(numeric, field.endian ?? rule.endian);
  if (numeric === 'f32' || numeric === 'f64') {
    const write = floatWriter(numeric, field.scale, field.offset, rule.nan);
    const json: Write = (frame, at) => write(read(frame, at) as number);
    return { json, text: (frame, at) => (Number.isFinite(read(frame, at)) ? json(frame, at) : undefined) };
  }
  if (field.as === 'hex') return quoted(hexWriter(read, Number(numeric.slice(1))));
  const write = integerWriter(field.scale, field.offset);
  const plain: Write = (frame, at) => write(read(frame, at));
  return field.as === 'text' ? quoted(plain) : same(plain);
}

function same(write: Write): Writers {
  return { json: write, text: write };
}

/** For text that needs no escapes. */
function quoted(text: Write): Writers {
  return { json: (frame, at) => `"${text(frame, at)}"`, text };
}

/** All digits, lower case, as the number is read: `00ff` for 255 of 16 bits; a negative one by two's complement. */
function hexWriter(read: ReadNumber, bits: number): Write {
  return (frame, at) => {
    const value = BigInt.asUintN(bits, BigInt(read(frame, at)));
    return value.toString(16).padStart(bits / 4, '0');
  };
}

function bytesWriter({ bytes, as }: StructField): Write {
  const form = as === 'base64' ? 'base64' : 'hex';
  if (bytes === 'rest') return (frame, at) => frame.toString(form, at);
  return (frame, at) => frame.toString(form, at, at + (bytes ?? 0));
}

function stringReader({ bytes, encoding }: StructField): Write {
  return (frame, at) => frame.toString(encoding, at, stringEnd(frame, at, bytes));
}

/** Where the string at `at` ends: at its first byte of 0, or with its length. */
function stringEnd(frame: Buffer, at: number, bytes: StructField['bytes']): number {
  const end = bytes === 'rest' ? frame.length : Math.min(at + (bytes ?? 0), frame.length);
  // Within the string only: a list of many short ones must not search the frame for each.
  const zero = frame.subarray(at, end).indexOf(0);
  return zero === -1 ? end : at + zero;
}

/** What a frame of the right length can have wrong in this field. */
function checksOf(place: Placed, rule: StructRule): Check[] {
  const { field, at, size, count } = place;
  if (field.type === 'string' && field.encoding === 'utf8') {
    return [
      (frame) => {
        const end = count === 'rest' ? frame.length - size : at + size * ((count ?? 1) - 1);
        for (let start = at; start <= end; start += Math.max(1, size)) {
          const text = frame.subarray(start, stringEnd(frame, start, field.bytes));
          if (!isUtf8(text)) return new Misfit(`${nameOf(place)}, from byte ${start} on, is not UTF-8`);
          if (field.bytes === 'rest') break;
        }
        return undefined;
      },
    ];
  }
  if (field.equals === undefined || count !== undefined || !isNumberType(field.type)) return [];
  const { type } = field;
  const read = readerOf(type, field.endian ?? rule.endian);
  const wanted = type === 'f32' ? Math.fround(field.equals) : field.equals;
  return [
    (frame) => {
      const found = read(frame, at);
      // A bigint is beyond what a number in the configuration says exactly, and so is another one.
      if (found === wanted) return undefined;
      return new Misfit(`${nameOf(place)}, ${spanOf(place)}, is ${found} and should be ${wanted}`);
    },
  ];
}
