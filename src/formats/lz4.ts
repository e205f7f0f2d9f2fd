// Decoder for LZ4 frames (lz4_Frame_format.md 1.6), as Kafka's clients write them: independent or linked blocks, with or
// without block checksums, content size and content checksum. The checksums are passed over, since the CRC of the batch
// covers every byte; dictionaries are refused.
//
//   frame  04 22 4D 18 | FLG | BD | [content size u64LE] | header checksum u8 | block... | 0 u32LE | [checksum u32LE]
//   block  size u32LE (top bit: stored as it is) | data | [checksum u32LE]
//   data   (token: literals << 4 | match - 4) | [more literals] | literals | distance u16LE | [more match] ...

import { ByteReader, corrupt } from './bytes.ts';
import { copyBack } from './snappy.ts';

const MAGIC = 0x184d_2204;

// A byte of a length field stands for at most 255 bytes of output, so a block cannot give more than that.
const RATIO_MAX = 255;

interface Frame {
  hasBlockChecksum: boolean;
  hasContentChecksum: boolean;
  blockBytesMax: number;
}

/** Output that grows as blocks are decoded, never beyond `bytesMax`. */
interface Output {
  buffer: Buffer;
  length: number;
  bytesMax: number;
}

/** Decodes one frame or several in a row. Throws FORMAT_TRUNCATED, FORMAT_CORRUPT, also above `bytesMax`. */
export function decodeLz4(data: Buffer, bytesMax: number): Buffer {
  const reader = new ByteReader(data);
  const output: Output = { buffer: Buffer.allocUnsafe(Math.min(bytesMax, data.length * 4)), length: 0, bytesMax };
  do {
    decodeFrame(reader, output);
  } while (reader.remaining > 0);
  return output.buffer.subarray(0, output.length);
}

function decodeFrame(reader: ByteReader, output: Output): void {
  const frame = readFrameHeader(reader);
  for (;;) {
    const word = uint32LE(reader);
    if (word === 0) break;
    const data = reader.bytes(word & 0x7fff_ffff);
    if (word > 0x7fff_ffff) appendStored(data, frame, output);
    else appendBlock(data, frame, output);
    if (frame.hasBlockChecksum) reader.skip(4);
  }
  if (frame.hasContentChecksum) reader.skip(4);
}

function readFrameHeader(reader: ByteReader): Frame {
  if (uint32LE(reader) !== MAGIC) throw corrupt('not an LZ4 frame');
  const flags = reader.uint8();
  const sizeCode = (reader.uint8() >> 4) & 7;
  if (flags >> 6 !== 1) throw corrupt(`LZ4 frame of version ${flags >> 6}`);
  if ((flags & 1) === 1) throw corrupt('LZ4 frame with a dictionary');
  if (sizeCode < 4) throw corrupt(`LZ4 block size code ${sizeCode}`);
  if ((flags & 8) !== 0) reader.skip(8);
  reader.skip(1);
  return {
    hasBlockChecksum: (flags & 16) !== 0,
    hasContentChecksum: (flags & 4) !== 0,
    blockBytesMax: 1 << (8 + 2 * sizeCode),
  };
}

function uint32LE(reader: ByteReader): number {
  return reader.buffer.readUInt32LE(reader.skip(4));
}

function makeRoom(output: Output, count: number): void {
  const wanted = output.length + count;
  if (wanted <= output.buffer.length) return;
  const larger = Buffer.allocUnsafe(Math.max(wanted, Math.min(output.bytesMax, output.buffer.length * 2)));
  output.buffer.copy(larger, 0, 0, output.length);
  output.buffer = larger;
}

function tooLarge(output: Output): Error {
  return corrupt(`LZ4 data is above its block size or ${output.bytesMax} bytes`);
}

function appendStored(data: Buffer, frame: Frame, output: Output): void {
  if (data.length > Math.min(frame.blockBytesMax, output.bytesMax - output.length)) throw tooLarge(output);
  makeRoom(output, data.length);
  data.copy(output.buffer, output.length);
  output.length += data.length;
}

function appendBlock(data: Buffer, frame: Frame, output: Output): void {
  const room = Math.min(frame.blockBytesMax, output.bytesMax - output.length);
  makeRoom(output, Math.min(room, data.length * RATIO_MAX));
  const reader = new ByteReader(data);
  const end = output.length + room;
  while (reader.remaining > 0) {
    const token = reader.uint8();
    const literals = reader.bytes(lengthOf(reader, token >> 4));
    if (literals.length > end - output.length) throw tooLarge(output);
    literals.copy(output.buffer, output.length);
    output.length += literals.length;
    // The last sequence of a block ends with its literals.
    if (reader.remaining === 0) return;
    const distance = reader.uint8() | (reader.uint8() << 8);
    const length = lengthOf(reader, token & 15) + 4;
    if (length > end - output.length) throw tooLarge(output);
    copyBack(output.buffer, output.length, distance, length);
    output.length += length;
  }
}

/** A length of four bits; 15 is continued by bytes up to the first that is not 255. */
function lengthOf(reader: ByteReader, nibble: number): number {
  let length = nibble;
  if (nibble < 15) return length;
  for (;;) {
    const byte = reader.uint8();
    length += byte;
    if (byte !== 255) return length;
  }
}
