// LevelDB's log files (its write-ahead log, and the MANIFEST), read without LevelDB, which may abort on damage and drops
// records without a word. After doc/log_format.md of LevelDB 1.20:
//
//   a file is blocks of 32 KiB, a block is fragments; less than 7 bytes at its end are padding
//   crc u32LE | length u16LE | type u8: 1 full, 2 first, 3 middle, 4 last | length bytes
//
// The CRC-32C is over type and bytes, masked. A record of the write-ahead log is a write batch:
//
//   sequence u64LE | count u32LE | count times: type u8 (1 put, 0 delete) | key | value, with a put
//
// with keys and values behind their lengths as varints.

import type { FileHandle } from 'node:fs/promises';
import { allocateAlone, ByteReader, corrupt } from '../../formats/bytes.ts';
import { crc32c } from '../../formats/checksum.ts';

const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const LAST = 4;

/** A key as it was written or deleted; views of a buffer that is not used again. */
export interface Entry {
  key: Buffer;
  /** Undefined: deleted. */
  value: Buffer | undefined;
  /** The higher one is the later one. */
  sequence: number;
}

export interface LogFaults {
  /** Bytes that are not as they were written, with sound ones behind them. */
  damage?: string;
  /** The very end is cut. Before a sync has ended a power cut leaves it so. */
  tail?: string;
  /** Records are lost of which nothing is known. */
  isBlind?: boolean;
}

export interface LogRecord {
  bytes: Buffer;
  /** False when a checksum is wrong: some of the bytes are not what was written. */
  isSure: boolean;
}

/** The records of a log file that are there as a whole; what is wrong with it is noted in `faults`. */
export async function* readLogRecords(file: FileHandle, faults: LogFaults): AsyncGenerator<LogRecord, void, void> {
  let parts: Buffer[] | undefined;
  let isSure = true;
  let cut: string | undefined;
  for (let start = 0; ; start += BLOCK_BYTES) {
    const block = await readAt(file, start, BLOCK_BYTES);
    if (block === undefined) {
      faults.damage ??= `bytes from ${start} on can't be read`;
      faults.isBlind = true;
      parts = undefined;
      continue;
    }
    for (const { type, bytes, isRight, at } of fragmentsOf(block)) {
      if (bytes === undefined) {
        cut ??= `a record is cut at ${start + at}`;
        parts = undefined;
        continue;
      }
      // Sound bytes behind what is cut.
      if (isRight && cut !== undefined) {
        faults.damage ??= cut;
        faults.isBlind = true;
      }
      if (!isRight) faults.damage ??= `wrong checksum at ${start + at}`;
      if (type === FULL || type === FIRST) [parts, isSure] = [[], true];
      isSure &&= isRight;
      if (parts === undefined) {
        if (isRight) {
          faults.damage ??= `the beginning of a record is lost before ${start + at}`;
          faults.isBlind = true;
        }
        continue;
      }
      parts.push(bytes);
      if (type !== FULL && type !== LAST) continue;
      yield { bytes: parts.length === 1 ? bytes : Buffer.concat(parts), isSure };
      parts = undefined;
    }
    if (block.length < BLOCK_BYTES) break;
  }
  cut ??= parts === undefined ? undefined : 'the last record is cut';
  if (cut !== undefined) faults.tail = cut;
}

interface Fragment {
  type: number;
  at: number;
  isRight: boolean;
  /** Undefined: they are not all there. */
  bytes: Buffer | undefined;
}

function* fragmentsOf(block: Buffer): Generator<Fragment, void, void> {
  let at = 0;
  for (;;) {
    if (block.length - at < HEADER_BYTES) {
      const isCut = block.length < BLOCK_BYTES && at < block.length;
      if (isCut) yield { type: 0, at, isRight: false, bytes: undefined };
      return;
    }
    const length = block.readUInt16LE(at + 4);
    const type = block[at + 6]!;
    // Room that was set aside for later fragments.
    if (type === 0 && length === 0) return;
    const end = at + HEADER_BYTES + length;
    if (end > block.length || type < FULL || type > LAST) {
      // A length that can't be leads nowhere; the next block begins anew.
      yield { type: 0, at, isRight: false, bytes: undefined };
      return;
    }
    const isRight = crc32c(block.subarray(at + 6, end)) === unmask(block.readUInt32LE(at));
    yield { type, at, isRight, bytes: block.subarray(at + HEADER_BYTES, end) };
    at = end;
  }
}

/** The puts and deletes of a record of the write-ahead log. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT. */
export function* readWriteBatch(record: Buffer): Generator<Entry, void, void> {
  const reader = new ByteReader(record);
  const first = readSequence(record, reader.skip(8));
  const count = record.readUInt32LE(reader.skip(4));
  for (let index = 0; index < count; index += 1) {
    const type = reader.uint8();
    const key = readBytes(reader);
    // Zeros where entries were would be deletes of nothing.
    if (key.length === 0) throw corrupt('an entry without a key');
    yield { key, value: type === 1 ? readBytes(reader) : undefined, sequence: first + index };
  }
  if (reader.remaining > 0) throw corrupt(`${reader.remaining} bytes behind the last entry`);
}

/** Bytes behind their length, as a view. */
export function readBytes(reader: ByteReader): Buffer {
  const length = reader.unsignedVarint();
  const at = reader.skip(length);
  return reader.buffer.subarray(at, at + length);
}

const TAG_BYTES = 8;

/** A key of a table without LevelDB's own bytes behind it. */
export function userKey(internal: Buffer): Buffer {
  return internal.subarray(0, Math.max(0, internal.length - TAG_BYTES));
}

/** LevelDB's sequences have 56 bits; what is beyond 2^53-1 is none of ours, and only the order of them counts. */
function readSequence(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

/** LevelDB keeps CRCs turned, as a CRC over bytes that hold CRCs is none. */
export function unmask(masked: number): number {
  const turned = (masked - 0xa282ead8) >>> 0;
  return ((turned >>> 17) | (turned << 15)) >>> 0;
}

/** Up to `length` bytes; undefined where the card can't read them. */
export async function readAt(
  file: FileHandle,
  position: number,
  length: number,
  allocate = allocateAlone,
): Promise<Buffer | undefined> {
  const bytes = allocate(length);
  try {
    const { bytesRead } = await file.read(bytes, 0, length, position);
    return bytes.subarray(0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
}
