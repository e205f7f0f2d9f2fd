// CRC-32C (Castagnoli), the checksum of record batches: by @node-rs/crc32 where its native part loads, by our own tables
// where it does not. zlib.crc32 is another polynomial.

import { createRequire } from 'node:module';
import { messageOf } from '../errors.ts';

type Crc = (data: Uint8Array, seed: number) => number;

// Reflected form of the polynomial 0x1EDC6F41.
const POLYNOMIAL = 0x82f6_3b78;

/** Eight tables of 256: table k holds the effect of a byte that k more bytes follow. */
function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!;
    tables[at] = (before >>> 8) ^ tables[before & 0xff]!;
  }
  return tables;
}

let tables: Int32Array | undefined;

/** CRC-32C in JavaScript, eight bytes a step. Same contract as `crc32c`. */
export function crc32cByTables(data: Uint8Array, seed = 0): number {
  const t = (tables ??= makeTables());
  let crc = ~seed;
  let at = 0;
  for (const end = data.length - 7; at < end; at += 8) {
    const low = crc ^ (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24));
    crc =
      t[1792 + (low & 0xff)]! ^
      t[1536 + ((low >>> 8) & 0xff)]! ^
      t[1280 + ((low >>> 16) & 0xff)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + data[at + 4]!]! ^
      t[512 + data[at + 5]!]! ^
      t[256 + data[at + 6]!]! ^
      t[data[at + 7]!]!;
  }
  for (; at < data.length; at++) crc = (crc >>> 8) ^ t[(crc ^ data[at]!) & 0xff]!;
  return ~crc >>> 0;
}

/** The native function, or why there is none. */
function loadNative(): { crc?: Crc; reason?: string } {
  try {
    const native = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: Crc };
    return { crc: native.crc32c };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}

const native = loadNative();

/** Why CRC-32C runs in JavaScript here; undefined where the native part loaded. */
export const crc32cFallbackReason: string | undefined = native.reason;

/**
 * CRC-32C of `data` as an unsigned number. `seed` is the CRC of what stands before it:
 * crc32c(both) === crc32c(second, crc32c(first)).
 */
export const crc32c: (data: Uint8Array, seed?: number) => number =
  native.crc === undefined ? crc32cByTables : withDefaultSeed(native.crc);

function withDefaultSeed(crc: Crc): (data: Uint8Array, seed?: number) => number {
  return (data, seed = 0) => crc(data, seed);
}
