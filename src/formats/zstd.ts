// Compression by zstd, level 1, with a context that is kept. zstdCompressSync makes a stream and a context for each call,
// which costs more than to compress a small batch; to say to a stream "all of this, and the end" is the same call without
// them, and gives the same bytes. Node has no public name for that: where its stream looks different, or the data is
// large, it is zstdCompressSync.

import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';

/** What a stream of node:zlib calls by itself: in two numbers `state` then says what is left of output and input. */
interface Context {
  handle: { writeSync(flush: number, ...inAndOut: [Uint8Array, number, number, Uint8Array, number, number]): void };
  state: Uint32Array;
}

const OUTPUT_BYTES = 128 * 1024;
/** Whatever it holds, data of this size fits the output when compressed: zstd adds a byte to 256 at most, and some. */
const KEPT_BYTES_MAX = 120 * 1024;
const PARAMS = { [constants.ZSTD_c_compressionLevel]: 1 };

let context: Context | undefined;
let output: Buffer | undefined;
let isKept = true;

export function compressZstd(data: Buffer): Buffer {
  return (isKept && data.length <= KEPT_BYTES_MAX ? byKept(data) : undefined) ?? byCall(data);
}

function byCall(data: Buffer): Buffer {
  return zstdCompressSync(data, { params: PARAMS, pledgedSrcSize: data.length });
}

/** Undefined, then and for good, when Node's stream does not do as expected. */
function byKept(data: Buffer): Buffer | undefined {
  context ??= openContext();
  output ??= Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  context?.handle.writeSync(constants.ZSTD_e_end, data, 0, data.length, output, 0, OUTPUT_BYTES);
  const [outputLeft = 0, inputLeft = 0] = context?.state ?? [];
  isKept = outputLeft > 0 && outputLeft < OUTPUT_BYTES && inputLeft === 0;
  return isKept ? Buffer.from(output.subarray(0, OUTPUT_BYTES - outputLeft)) : undefined;
}

function openContext(): Context | undefined {
  const stream = createZstdCompress({ params: PARAMS });
  const handle: unknown = Reflect.get(stream, '_handle');
  const state: unknown = Reflect.get(stream, '_writeState');
  const isKnown = typeof (handle as Partial<Context['handle']> | null)?.writeSync === 'function';
  return isKnown && state instanceof Uint32Array ? { handle: handle as Context['handle'], state } : undefined;
}
