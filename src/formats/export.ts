// An export: batches of a log in a file, to be carried to another log. Frames one after another:
//
//   frame       | kind u8 | length u32BE | crc u32BE | body, `length` bytes |      CRC-32C of kind, length and body
//
//   H head      JSON ExportHead; the first frame
//   P partition JSON ExportPartition; before its batches, its number counts from 0
//   B batches   | number u32BE | from u64BE | to u64BE | record batches, with their offsets |
//               all records that the partition has from offset `from` up to, not including, `to`
//   E end       JSON ExportEnd; a file without it was cut, and what stands before the cut is good
//
// No I/O here. Whatever bytes come, reading throws FORMAT_TRUNCATED and FORMAT_CORRUPT only.

import { HeadwaterError } from '../errors.ts';
import { corrupt } from './bytes.ts';
import { crc32c } from './checksum.ts';

export interface ExportHead {
  format: 'headwater-export';
  version: 1;
  /** Name of the node, and when this was written, ms. */
  node: string;
  atMs: number;
}

export interface ExportPartition {
  topic: string;
  /** 32 hex digits: what tells an import that it has these records already. */
  topicId: string;
  partition: number;
  /** How many the topic has, and its settings, for a log in which it must be made. */
  partitions: number;
  retentionMs: number;
  retentionBytes: number;
  cleanup: string;
  durability: string;
  whenFull: string;
  /** What was to be exported. */
  from: number;
  to: number;
}

export interface ExportEnd {
  batches: number;
  records: number;
  bytes: number;
}

export type ExportFrame =
  | { kind: 'head'; head: ExportHead }
  | { kind: 'partition'; partition: ExportPartition }
  | { kind: 'batches'; number: number; from: number; to: number; batches: Buffer }
  | { kind: 'end'; end: ExportEnd };

const HEADER_BYTES = 9;
const PLACE_BYTES = 20;
/** A read of 4 MiB holds one batch more at most. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

const KIND_OF = new Map([
  [0x48, 'head'],
  [0x50, 'partition'],
  [0x42, 'batches'],
  [0x45, 'end'],
] as const);
const BYTE_OF = new Map([...KIND_OF].map(([byte, kind]) => [kind, byte] as const));

export function encodeExportFrame(frame: ExportFrame): Buffer {
  const body = bodyOf(frame);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  bytes[0] = BYTE_OF.get(frame.kind)!;
  bytes.writeUInt32BE(body.length, 1);
  body.copy(bytes, HEADER_BYTES);
  bytes.writeUInt32BE(crcOf(bytes), 5);
  return bytes;
}

function crcOf(frame: Buffer): number {
  return crc32c(Buffer.concat([frame.subarray(0, 5), frame.subarray(HEADER_BYTES)]));
}

function bodyOf(frame: ExportFrame): Buffer {
  if (frame.kind === 'head') return Buffer.from(JSON.stringify(frame.head));
  if (frame.kind === 'partition') return Buffer.from(JSON.stringify(frame.partition));
  if (frame.kind === 'end') return Buffer.from(JSON.stringify(frame.end));
  const place = Buffer.allocUnsafe(PLACE_BYTES);
  place.writeUInt32BE(frame.number, 0);
  place.writeBigUInt64BE(BigInt(frame.from), 4);
  place.writeBigUInt64BE(BigInt(frame.to), 12);
  return Buffer.concat([place, frame.batches]);
}

/** Reads frames out of chunks of any size. */
export class ExportReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Bytes that wait for the rest of their frame. */
  get waitingBytes(): number {
    return this.#rest.length;
  }

  /** The frames that this chunk completes. Throws FORMAT_CORRUPT. */
  *push(chunk: Buffer): Generator<ExportFrame> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEADER_BYTES) {
      const length = this.#rest.readUInt32BE(1);
      const kind = KIND_OF.get(this.#rest[0] as never);
      if (kind === undefined || length > BODY_BYTES_MAX) throw corrupt('this is no export of headwater, or is damaged');
      if (this.#rest.length < HEADER_BYTES + length) return;
      const frame = this.#rest.subarray(0, HEADER_BYTES + length);
      this.#rest = this.#rest.subarray(HEADER_BYTES + length);
      if (crcOf(frame) !== frame.readUInt32BE(5)) throw corrupt(`a frame (${kind}) of the export is damaged`);
      yield decodeFrame(kind, frame.subarray(HEADER_BYTES));
    }
  }

  /** Throws FORMAT_TRUNCATED when the last frame is cut. */
  end(): void {
    if (this.#rest.length > 0) throw new HeadwaterError('FORMAT_TRUNCATED', 'the last frame of the export is cut');
  }
}

function decodeFrame(kind: ExportFrame['kind'], body: Buffer): ExportFrame {
  if (kind === 'batches') return decodeBatches(body);
  const fields = parsed(body);
  if (kind === 'end') return { kind, end: numbersOf(fields, ['batches', 'records', 'bytes']) as unknown as ExportEnd };
  if (kind === 'head') {
    if (fields['format'] !== 'headwater-export') throw corrupt('this is no export of headwater');
    if (fields['version'] !== 1) throw corrupt(`an export of version ${String(fields['version'])}, only 1 is known`);
    return {
      kind,
      head: { format: 'headwater-export', version: 1, node: String(fields['node']), atMs: Number(fields['atMs']) },
    };
  }
  const { topic, topicId, cleanup, durability, whenFull } = fields;
  if (typeof cleanup !== 'string') throw corrupt('a topic of the export without its cleanup');
  if (typeof durability !== 'string') throw corrupt('a topic of the export without its durability');
  if (typeof whenFull !== 'string') throw corrupt('a topic of the export without its whenFull');
  if (typeof topic !== 'string' || typeof topicId !== 'string' || !/^[0-9a-f]{32}$/.test(topicId)) {
    throw corrupt('a partition of the export without a topic');
  }
  const names = ['partition', 'partitions', 'retentionMs', 'retentionBytes', 'from', 'to'];
  return {
    kind,
    partition: {
      topic,
      topicId,
      cleanup,
      durability,
      whenFull,
      ...numbersOf(fields, names),
    } as unknown as ExportPartition,
  };
}

function decodeBatches(body: Buffer): ExportFrame {
  if (body.length < PLACE_BYTES) throw corrupt('batches of the export without their place');
  const from = Number(body.readBigUInt64BE(4));
  const to = Number(body.readBigUInt64BE(12));
  if (!Number.isSafeInteger(to) || from >= to) throw corrupt(`batches of the export from ${from} to ${to}`);
  return { kind: 'batches', number: body.readUInt32BE(0), from, to, batches: body.subarray(PLACE_BYTES) };
}

function parsed(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (cause) {
    throw corrupt('a frame of the export is no JSON', cause);
  }
  throw corrupt('a frame of the export is no JSON object');
}

function numbersOf(fields: Record<string, unknown>, names: readonly string[]): Record<string, number> {
  const pairs = names.map((name) => {
    const value = fields[name];
    if (!Number.isSafeInteger(value)) throw corrupt(`the export has no number for ${name}`);
    return [name, value as number] as const;
  });
  return Object.fromEntries(pairs);
}
