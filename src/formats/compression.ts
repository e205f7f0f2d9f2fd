// The five compressions of a record batch, by the number in its attributes. headwater writes none, gzip and zstd and
// reads all five. Synchronous: at batch sizes the asynchronous form costs the main thread as much.
// Every decoder takes any bytes and gives at most bytesMax bytes or FORMAT_CORRUPT.

import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import { corrupt } from './bytes.ts';
import { decodeLz4 } from './lz4.ts';
import { decodeSnappy } from './snappy.ts';
import { compressZstd } from './zstd.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** What headwater writes itself. */
export type WrittenCompression = 'none' | 'gzip' | 'zstd';

const NAMES: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** The compression with that number in the attributes of a batch. Throws FORMAT_CORRUPT for 5 to 7. */
export function compressionOfId(id: number): Compression {
  const name = NAMES[id];
  if (name === undefined) throw corrupt(`unknown compression ${id}`);
  return name;
}

/** The number of a compression in the attributes of a batch. */
export function idOfCompression(name: Compression): number {
  return NAMES.indexOf(name);
}

/** Compresses; `none` gives `data` itself. zstd at level 1: three times gzip's speed at the same size. */
export function compress(compression: WrittenCompression, data: Buffer): Buffer {
  if (compression === 'none') return data;
  if (compression === 'gzip') return gzipSync(data);
  return compressZstd(data);
}

/** Undoes any of the five. Throws FORMAT_CORRUPT for broken data and for more than `bytesMax` bytes of output. */
export function decompress(compression: Compression, data: Buffer, bytesMax: number): Buffer {
  if (compression === 'none') return data;
  if (compression === 'gzip') return byZlib('gzip', gunzipSync, data, bytesMax);
  if (compression === 'zstd') return byZlib('zstd', zstdDecompressSync, data, bytesMax);
  return compression === 'snappy' ? decodeSnappy(data, bytesMax) : decodeLz4(data, bytesMax);
}

type Decoder = (data: Buffer, options: { maxOutputLength: number }) => Buffer;

function byZlib(name: string, decode: Decoder, data: Buffer, bytesMax: number): Buffer {
  try {
    return decode(data, { maxOutputLength: bytesMax });
  } catch (error) {
    throw corrupt(`${name} data is broken or above ${bytesMax} bytes`, error);
  }
}
