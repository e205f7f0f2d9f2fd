// One record inside a batch of version 2, and the writing of it, which is the hot path of everything that comes in.
//
//   record  length varint (of what follows) | attributes int8 | timestampDelta varlong | offsetDelta varint
//           | keyLength varint (-1: null) | key | valueLength varint (-1: null) | value
//           | headerCount varint | header...
//   header  keyLength varint | key | valueLength varint (-1: null) | value
//
// Deltas count from the batch's base timestamp and base offset. A timestamp delta may need 64 bits, either way: records
// of one batch can be further apart than the 24.8 days of an int32.

import { corrupt, sizeOfVarint, sizeOfVarlong } from './bytes.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';

/** The least a record can be: length, attributes, four numbers of one byte, and its count of headers. */
export const RECORD_BYTES_MIN = 7;

export interface RecordHeader {
  key: string;
  value: Buffer | null;
}

/** What a control record says. `other` are those of Kafka's own metadata log. */
export type ControlType = 'abort' | 'commit' | 'other';

export interface LogRecord {
  offset: number;
  timestampMs: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: RecordHeader[];
  /** Only in control batches. */
  control?: ControlType;
}

/** A record on its way into a batch. */
export interface NewRecord {
  timestampMs: number;
  key: Buffer | null;
  value: Buffer | null;
  headers?: readonly RecordHeader[];
}

/** What the records of a batch take from its header. */
export interface RecordOrigin {
  baseOffset: number;
  baseTimestampMs: number;
  /** Given by a broker, and then the time of all records. */
  appendTimestampMs?: number;
  isControl: boolean;
}

/**
 * Reads the record at the reader's position. Key, value and header values are views. Throws FORMAT_TRUNCATED and
 * FORMAT_CORRUPT, also when the length is not exactly that of what it holds.
 */
export function readRecord(reader: ByteReader, origin: RecordOrigin): LogRecord {
  const end = readEnd(reader);
  reader.skip(1);
  const deltaMs = reader.varlong();
  const offset = origin.baseOffset + readOffsetDelta(reader);
  const timestampMs = origin.appendTimestampMs ?? origin.baseTimestampMs + deltaMs;
  if (!Number.isSafeInteger(timestampMs) || !Number.isSafeInteger(offset)) throw corrupt('record beyond 2^53-1');
  const key = nullableBytes(reader);
  const value = nullableBytes(reader);
  const headers = readHeaders(reader);
  checkEnd(reader, end);
  if (!origin.isControl) return { offset, timestampMs, key, value, headers };
  return { offset, timestampMs, key, value, headers, control: controlTypeOf(key) };
}

/** Where the record that begins here ends, by its length. */
function readEnd(reader: ByteReader): number {
  const length = reader.varint();
  if (length < 0 || length > reader.remaining) throw corrupt(`record of ${length} bytes in ${reader.remaining}`);
  return reader.position + length;
}

function readOffsetDelta(reader: ByteReader): number {
  const delta = reader.varint();
  if (delta < 0) throw corrupt(`offset delta ${delta}`);
  return delta;
}

function nullableBytes(reader: ByteReader): Buffer | null {
  const length = reader.varint();
  return length === -1 ? null : reader.bytes(length);
}

function checkEnd({ position }: ByteReader, end: number): void {
  if (position !== end) throw corrupt(`record ends ${position - end} bytes behind its length`);
}

function readHeaderCount(reader: ByteReader): number {
  const count = reader.varint();
  if (count < 0 || count * 2 > reader.remaining) throw corrupt(`${count} headers in ${reader.remaining} bytes`);
  return count;
}

function readHeaders(reader: ByteReader): RecordHeader[] {
  const count = readHeaderCount(reader);
  const headers: RecordHeader[] = [];
  for (let index = 0; index < count; index++) {
    headers.push({ key: reader.utf8(reader.varint()), value: nullableBytes(reader) });
  }
  return headers;
}

/** The key of a control record: version int16, type int16. */
function controlTypeOf(key: Buffer | null): ControlType {
  if (key === null || key.length < 4) throw corrupt('control record without a type');
  const type = key.readInt16BE(2);
  if (type === 0) return 'abort';
  return type === 1 ? 'commit' : 'other';
}

/** What tells whether a record is right, without the record. */
export interface RecordOutline {
  timestampDelta: number;
  offsetDelta: number;
  hasKey: boolean;
}

/** Reads over the record at the reader's position, fills `outline` and makes nothing. Throws as `readRecord`. */
export function scanRecord(reader: ByteReader, outline: RecordOutline): void {
  const end = readEnd(reader);
  reader.skip(1);
  outline.timestampDelta = reader.varlong();
  outline.offsetDelta = readOffsetDelta(reader);
  outline.hasKey = skipNullable(reader);
  skipNullable(reader);
  for (let left = readHeaderCount(reader); left > 0; left--) {
    reader.skip(reader.varint());
    skipNullable(reader);
  }
  checkEnd(reader, end);
}

/** False where there is null. */
function skipNullable(reader: ByteReader): boolean {
  const length = reader.varint();
  if (length === -1) return false;
  reader.skip(length);
  return true;
}

/** A record whose key, value and headers stay encoded: `rest` is a view of them. */
export interface RecordFrame {
  timestampDelta: number;
  offsetDelta: number;
  rest: Buffer;
}

/** Reads the record at the reader's position as far as a part of a batch needs it. Throws as `readRecord`. */
export function readRecordFrame(reader: ByteReader): RecordFrame {
  const end = readEnd(reader);
  reader.skip(1);
  const timestampDelta = reader.varlong();
  const offsetDelta = readOffsetDelta(reader);
  return { timestampDelta, offsetDelta, rest: reader.bytes(end - reader.position) };
}

/** Writes a record whose key, value and headers are encoded already. */
export function writeRecordFrame(writer: ByteWriter, timestampDelta: number, offsetDelta: number, rest: Buffer): void {
  writer.varint(1 + sizeOfVarlong(timestampDelta) + sizeOfVarint(offsetDelta) + rest.length);
  writer.int8(0);
  writer.varlong(timestampDelta);
  writer.varint(offsetDelta);
  writer.bytes(rest);
}

/** Writes a record; everything is copied. `timestampDelta` is a safe integer, `offsetDelta` an int32. */
export function writeRecord(
  writer: ByteWriter,
  timestampDelta: number,
  offsetDelta: number,
  key: Buffer | null,
  value: Buffer | null,
  headers: readonly RecordHeader[] | undefined,
): void {
  const headerCount = headers?.length ?? 0;
  let length = 1 + sizeOfVarlong(timestampDelta) + sizeOfVarint(offsetDelta) + sizeOfVarint(headerCount);
  length += sizeOfNullable(key) + sizeOfNullable(value);
  if (headers !== undefined && headerCount > 0) length += sizeOfHeaders(headers);
  writer.varint(length);
  writer.int8(0);
  writer.varlong(timestampDelta);
  writer.varint(offsetDelta);
  writeNullable(writer, key);
  writeNullable(writer, value);
  writer.varint(headerCount);
  if (headers === undefined) return;
  for (const header of headers) {
    writer.varint(Buffer.byteLength(header.key));
    writer.utf8(header.key);
    writeNullable(writer, header.value);
  }
}

function writeNullable(writer: ByteWriter, bytes: Buffer | null): void {
  if (bytes === null) {
    writer.varint(-1);
    return;
  }
  writer.varint(bytes.length);
  writer.bytes(bytes);
}

function sizeOfNullable(bytes: Buffer | null): number {
  return bytes === null ? 1 : sizeOfVarint(bytes.length) + bytes.length;
}

function sizeOfHeaders(headers: readonly RecordHeader[]): number {
  let size = 0;
  for (const { key, value } of headers) {
    const keyBytes = Buffer.byteLength(key);
    size += sizeOfVarint(keyBytes) + keyBytes + sizeOfNullable(value);
  }
  return size;
}
