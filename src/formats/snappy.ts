// Decoder for snappy, raw and in the frames of xerial's snappy-java, which Kafka's Java clients write.
//
//   raw     length of the output (unsigned varint) | element...
//           element: tag (low two bits: 0 literal, 1-3 copy from 1, 2 or 4 bytes of distance) | rest
//   xerial  82 'SNAPPY' 00 | version int32 | oldest version int32 | (size int32 | raw)...
//
// Prebuilt native decoders die on some ARM cores, and a mirror needs this only for foreign batches: hence our own.

import { ByteReader, corrupt } from './bytes.ts';

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

// A three-byte element gives at most 64 bytes, so a larger claim is refused before memory is taken for it.
const RATIO_MAX = 22;

/** Decodes either form. Throws FORMAT_CORRUPT, FORMAT_TRUNCATED, and FORMAT_CORRUPT above `bytesMax`. */
export function decodeSnappy(data: Buffer, bytesMax: number): Buffer {
  if (data.length < XERIAL_HEADER_BYTES || !data.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    return decodeRaw(data, bytesMax);
  }
  const reader = new ByteReader(data, XERIAL_HEADER_BYTES);
  const blocks: Buffer[] = [];
  let room = bytesMax;
  while (reader.remaining > 0) {
    const block = decodeRaw(reader.bytes(reader.int32()), room);
    room -= block.length;
    blocks.push(block);
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks);
}

function decodeRaw(data: Buffer, bytesMax: number): Buffer {
  const reader = new ByteReader(data);
  const size = reader.unsignedVarint();
  if (size > bytesMax) throw corrupt(`snappy data is above ${bytesMax} bytes`);
  if (size > data.length * RATIO_MAX) throw corrupt(`snappy data claims ${size} bytes out of ${data.length}`);
  const output = Buffer.allocUnsafe(size);
  let written = 0;
  while (reader.remaining > 0) {
    const tag = reader.uint8();
    const length = (tag & 3) === 0 ? literalLength(reader, tag) : copyLength(tag);
    if (length > size - written) throw corrupt('snappy data gives more than it claims');
    if ((tag & 3) === 0) {
      reader.bytes(length).copy(output, written);
    } else {
      copyBack(output, written, copyDistance(reader, tag), length);
    }
    written += length;
  }
  if (written !== size) throw corrupt(`snappy data gives ${written} bytes, claims ${size}`);
  return output;
}

function literalLength(reader: ByteReader, tag: number): number {
  const short = tag >> 2;
  return (short < 60 ? short : littleEndian(reader, short - 59)) + 1;
}

function copyLength(tag: number): number {
  return (tag & 3) === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
}

function copyDistance(reader: ByteReader, tag: number): number {
  if ((tag & 3) === 1) return ((tag >> 5) << 8) | reader.uint8();
  return littleEndian(reader, (tag & 3) === 2 ? 2 : 4);
}

function littleEndian(reader: ByteReader, size: number): number {
  return reader.buffer.readUIntLE(reader.skip(size), size);
}

/** Copies `length` bytes from `distance` back, which may overlap what is written: then they repeat. */
export function copyBack(output: Buffer, at: number, distance: number, length: number): void {
  const from = at - distance;
  if (distance === 0 || from < 0) throw corrupt(`copy from ${distance} back at ${at}`);
  if (distance >= length) {
    output.copyWithin(at, from, from + length);
    return;
  }
  for (let k = 0; k < length; k++) output[at + k] = output[from + k]!;
}
