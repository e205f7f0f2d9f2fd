// Turns a table of schema.ts into closures, one set for each version, when that version is first used; they are kept.
//
//   compact (flexible versions)            before them
//   string   varint length+1, UTF-8        int16 length, UTF-8
//   records  varint length+1               int32 length
//   array    varint count+1, elements      int32 count, elements
//   null     0                             -1
//   struct   fields, tagged fields         fields            (one that may be null: int8 1, or -1, before it)
//   tagged fields: varint count, then for each: varint tag, varint size, `size` bytes
//
// Decoding gives views of the message for ids and records. It throws FORMAT_TRUNCATED and FORMAT_CORRUPT only,
// and allocates no more than a message of that length can fill: counts are checked against the bytes that are left, and
// against a number of elements for the whole message, because an element of two bytes becomes an object of a hundred.
// Bytes behind a message are left alone, as Kafka does.

import assert from 'node:assert';
import { isUtf8 } from 'node:buffer';
import { ByteReader, ByteWriter, corrupt } from '../bytes.ts';
import { includes, ZERO_UUID, type Field, type Fields } from './schema.ts';

/** Kafka's own limit for strings, whichever way their length is written. */
const STRING_BYTES_MAX = 0x7fff;
/** Records below this are copied into the message: another piece for the socket costs more. */
const SPLICE_BYTES_MIN = 512;

/** What is decoded from, with the number of array elements that it may still hold. */
export class MessageReader extends ByteReader {
  elementsLeft: number;

  constructor(message: Buffer, elementsMax: number) {
    super(message);
    this.elementsLeft = elementsMax;
  }

  /** Accounts for an array before anything is allocated for it. */
  claim(count: number, elementBytesMin: number): void {
    if (count * elementBytesMin > this.remaining) this.skip(count * elementBytesMin);
    if (count > this.elementsLeft) throw corrupt(`a message with ${count} more elements than it may have`);
    this.elementsLeft -= count;
  }
}

/** What is encoded into: bytes, and the records that go out between them as they are. */
export class MessageWriter extends ByteWriter {
  private readonly splices: { at: number; pieces: readonly Buffer[] }[] = [];
  private splicedBytes = 0;

  /** Bytes of the whole message so far, records included. */
  get messageBytes(): number {
    return this.length + this.splicedBytes;
  }

  splice(pieces: readonly Buffer[], size: number): void {
    if (size < SPLICE_BYTES_MIN) {
      for (const piece of pieces) this.bytes(piece);
      return;
    }
    this.splices.push({ at: this.length, pieces });
    this.splicedBytes += size;
  }

  /** The message in pieces, in order. The writer must not be used afterwards. */
  pieces(): Buffer[] {
    const bytes = this.finish();
    const pieces: Buffer[] = [];
    let from = 0;
    for (const splice of this.splices) {
      if (from < splice.at) pieces.push(bytes.subarray(from, splice.at));
      pieces.push(...splice.pieces);
      from = splice.at;
    }
    if (from < bytes.length) pieces.push(bytes.subarray(from));
    return pieces;
  }
}

export interface Codec {
  /** The least that a value takes: a struct with more than this many bytes missing can't be there. */
  readonly bytesMin: number;
  read(reader: MessageReader): unknown;
  write(writer: MessageWriter, value: unknown): void;
}

type Values = Record<string, unknown>;

const known = new WeakMap<Fields, Codec[]>();

/** The closures for one table and version. */
export function codecOf(fields: Fields, version: number, isFlexible: boolean): Codec {
  let versions = known.get(fields);
  if (versions === undefined) known.set(fields, (versions = []));
  return (versions[version] ??= structCodec(fields, version, isFlexible));
}

interface Row {
  readonly name: string;
  readonly default: unknown;
  readonly tag: number | undefined;
  readonly codec: Codec;
}

function structCodec(fields: Fields, version: number, isFlexible: boolean): Codec {
  const rows: Row[] = [];
  const blank: Values = {};
  for (const [name, field] of Object.entries(fields)) {
    blank[name] = field.default;
    if (!includes(field.versions, version)) continue;
    assert(isFlexible || field.tag === undefined, 'only flexible versions have tagged fields');
    rows.push({ name, default: field.default, tag: field.tag, codec: fieldCodec(field, version, isFlexible) });
  }
  const plain = rows.filter((row) => row.tag === undefined);
  const tagged = rows.filter((row) => row.tag !== undefined);

  return {
    bytesMin: plain.reduce((sum, row) => sum + row.codec.bytesMin, isFlexible ? 1 : 0),
    read(reader) {
      const struct = { ...blank };
      for (const row of plain) struct[row.name] = row.codec.read(reader);
      if (isFlexible) readTagged(reader, tagged, struct);
      return struct;
    },
    write(writer, value) {
      const struct = value as Values;
      for (const row of plain) {
        const given = struct[row.name];
        row.codec.write(writer, given === undefined ? row.default : given);
      }
      if (isFlexible) writeTagged(writer, tagged, struct);
    },
  };
}

function readTagged(reader: MessageReader, rows: Row[], struct: Values): void {
  for (let count = reader.unsignedVarint(); count > 0; count--) {
    const tag = reader.unsignedVarint();
    const size = reader.unsignedVarint();
    const end = reader.position + size;
    const row = rows.find((row) => row.tag === tag);
    if (row === undefined) {
      reader.skip(size);
      continue;
    }
    struct[row.name] = row.codec.read(reader);
    if (reader.position !== end) throw corrupt(`tagged field ${row.name} does not fill its ${size} bytes`);
  }
}

function writeTagged(writer: MessageWriter, rows: Row[], struct: Values): void {
  const given = rows.filter((row) => !isDefault(struct[row.name], row.default));
  writer.unsignedVarint(given.length);
  for (const row of given) {
    const body = new MessageWriter(64);
    row.codec.write(body, struct[row.name]);
    assert(body.messageBytes === body.length, 'no records in tagged fields');
    writer.unsignedVarint(row.tag!);
    writer.unsignedVarint(body.length);
    writer.bytes(body.view());
  }
}

function isDefault(value: unknown, fallback: unknown): boolean {
  return value === undefined || value === fallback || (Array.isArray(value) && value.length === 0);
}

function fieldCodec(field: Field, version: number, isFlexible: boolean): Codec {
  const isNullable = includes(field.nullable, version);
  switch (field.kind) {
    case 'string':
      return isFlexible ? compactString(isNullable) : plainString(isNullable);
    case 'records':
      return recordsCodec(isFlexible, isNullable);
    case 'list':
      assert(field.element !== undefined);
      return arrayCodec(fieldCodec(field.element, version, isFlexible), isFlexible, isNullable);
    case 'array':
      assert(field.fields !== undefined);
      return arrayCodec(structCodec(field.fields, version, isFlexible), isFlexible, isNullable);
    case 'struct':
      assert(field.fields !== undefined);
      return isNullable
        ? nullableCodec(structCodec(field.fields, version, isFlexible))
        : structCodec(field.fields, version, isFlexible);
    default:
      return PLAIN[field.kind];
  }
}

type PlainKind = 'boolean' | 'int8' | 'int16' | 'int32' | 'int64' | 'float64' | 'uuid';

const PLAIN: Record<PlainKind, Codec> = {
  boolean: {
    bytesMin: 1,
    read: (reader) => reader.int8() !== 0,
    write: (writer, value) => writer.int8(value === true ? 1 : 0),
  },
  int8: { bytesMin: 1, read: (reader) => reader.int8(), write: (writer, value) => writer.int8(value as number) },
  int16: { bytesMin: 2, read: (reader) => reader.int16(), write: (writer, value) => writer.int16(value as number) },
  int32: { bytesMin: 4, read: (reader) => reader.int32(), write: (writer, value) => writer.int32(value as number) },
  int64: { bytesMin: 8, read: (reader) => reader.int64(), write: (writer, value) => writer.int64(value as number) },
  float64: {
    bytesMin: 8,
    read: (reader) => reader.float64(),
    write: (writer, value) => writer.float64(value as number),
  },
  uuid: { bytesMin: 16, read: (reader) => reader.bytes(ZERO_UUID.length), write: writeUuid },
};

function nullableCodec(struct: Codec): Codec {
  return {
    bytesMin: 1,
    read: (reader) => (reader.int8() < 0 ? null : struct.read(reader)),
    write(writer, value) {
      writer.int8(value === null ? -1 : 1);
      if (value !== null) struct.write(writer, value);
    },
  };
}

function writeUuid(writer: MessageWriter, value: unknown): void {
  assert((value as Buffer).length === ZERO_UUID.length, 'an id has 16 bytes');
  writer.bytes(value as Buffer);
}

function plainString(isNullable: boolean): Codec {
  return {
    bytesMin: 2,
    read: (reader) => readText(reader, reader.int16(), isNullable),
    write(writer, value) {
      if (value === null) {
        assert(isNullable, 'null in a field that is never null');
        writer.int16(-1);
        return;
      }
      const at = writer.reserve(2);
      const size = writer.utf8(value as string);
      assert(size <= STRING_BYTES_MAX, 'a string fits its int16 length');
      writer.patchInt16(at, size);
    },
  };
}

function compactString(isNullable: boolean): Codec {
  return {
    bytesMin: 1,
    read: (reader) => readText(reader, reader.unsignedVarint() - 1, isNullable),
    write(writer, value) {
      if (value === null) {
        assert(isNullable, 'null in a field that is never null');
        writer.unsignedVarint(0);
        return;
      }
      const size = Buffer.byteLength(value as string);
      assert(size <= STRING_BYTES_MAX, 'a string of 32767 bytes at most');
      writer.unsignedVarint(size + 1);
      writer.utf8(value as string);
    },
  };
}

function readText(reader: MessageReader, size: number, isNullable: boolean): string | null {
  if (size === -1) return missing(isNullable);
  if (size > STRING_BYTES_MAX) throw corrupt(`string of ${size} bytes`);
  const start = reader.position;
  const text = reader.utf8(size);
  // Replaced bytes would make another name of it, and a longer one than what was received, when it is sent back.
  if (text.includes('\ufffd') && !isUtf8(reader.buffer.subarray(start, reader.position))) {
    throw corrupt('string that is not UTF-8');
  }
  return text;
}

function missing(isNullable: boolean): null {
  if (!isNullable) throw corrupt('null in a field that is never null');
  return null;
}

function recordsCodec(isFlexible: boolean, isNullable: boolean): Codec {
  return {
    bytesMin: isFlexible ? 1 : 4,
    read(reader) {
      const size = isFlexible ? reader.unsignedVarint() - 1 : reader.int32();
      return size === -1 ? missing(isNullable) : reader.bytes(size);
    },
    write(writer, value) {
      assert(value !== null || isNullable, 'null in a field that is never null');
      const pieces = Array.isArray(value) ? (value as Buffer[]) : value === null ? [] : [value as Buffer];
      const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
      writeCount(writer, value === null ? -1 : size, isFlexible);
      writer.splice(pieces, size);
    },
  };
}

function arrayCodec(element: Codec, isFlexible: boolean, isNullable: boolean): Codec {
  return {
    bytesMin: isFlexible ? 1 : 4,
    read(reader) {
      const count = isFlexible ? reader.unsignedVarint() - 1 : reader.int32();
      if (count === -1) return missing(isNullable);
      if (count < 0) throw corrupt(`array of ${count} elements`);
      reader.claim(count, element.bytesMin);
      const values: unknown[] = [];
      for (let index = 0; index < count; index++) values.push(element.read(reader));
      return values;
    },
    write(writer, value) {
      assert(value !== null || isNullable, 'null in a field that is never null');
      const values = value as unknown[] | null;
      writeCount(writer, values === null ? -1 : values.length, isFlexible);
      for (const each of values ?? []) element.write(writer, each);
    },
  };
}

function writeCount(writer: MessageWriter, count: number, isFlexible: boolean): void {
  if (isFlexible) writer.unsignedVarint(count + 1);
  else writer.int32(count);
}
