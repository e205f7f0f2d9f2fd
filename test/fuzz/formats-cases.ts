// Fuzzing of batches and compressions, for the short and the long suite: any bytes decode to a value or to FORMAT_TRUNCATED or
// FORMAT_CORRUPT, within the limit of size that was given; and what is encoded decodes to what it was.

import assert from 'node:assert';
import { setImmediate } from 'node:timers/promises';
import {
  checkBatch,
  decodeRecords,
  encodeBatch,
  readBatchHeader,
  sliceRecords,
  splitBatches,
  stampOffset,
  stampProducer,
} from '../../src/formats/batch.ts';
import type { NewRecord } from '../../src/formats/batch.ts';
import { crc32c, crc32cByTables } from '../../src/formats/checksum.ts';
import { decompress } from '../../src/formats/compression.ts';
import type { Compression } from '../../src/formats/compression.ts';
import { isHeadwaterError } from '../../src/errors.ts';
import { goldenNames, goldenSegment } from '../golden/batches.ts';
import { spoil } from './random.ts';
import type { Random } from './random.ts';

const CODECS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const DECODED_BYTES_MAX = 1 << 20;

/** The value of `decode`, or undefined when it throws what a decoder may throw. Fails with the bytes when it throws more. */
function valueOf<T>(bytes: Buffer, decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (isHeadwaterError(error, 'FORMAT_TRUNCATED') || isHeadwaterError(error, 'FORMAT_CORRUPT')) return undefined;
    throw new Error(`neither a value nor a FORMAT error for ${bytes.toString('hex')}`, { cause: error });
  }
}

/**
 * Calls `round` so often. The event loop turns in between, as it does in a server: node:zlib frees what a failed call
 * held (16 KiB) in the next turn only.
 */
export async function repeat(rounds: number, round: () => void): Promise<void> {
  for (let count = 1; count <= rounds; count++) {
    round();
    if (count % 100 === 0) await setImmediate();
  }
}

/** All that is good to spoil: golden batches and a few of our own. */
export function goodBatches(random: Random): Buffer[] {
  const golden = goldenNames().flatMap((name) => splitBatches(goldenSegment(name)));
  const own = (['none', 'gzip', 'zstd', 'auto'] as const).map((compression) =>
    encodeBatch(anyRecords(random), { compression, producerId: 7, producerEpoch: 0, baseSequence: 5 }),
  );
  // Small ones are spoilt more thoroughly in the same time.
  return [...golden.filter((batch) => batch.length < 10_000), ...own];
}

/** Some records with everything that may be in one. */
export function anyRecords(random: Random): NewRecord[] {
  return Array.from({ length: 1 + random.below(20) }, () => ({
    timestampMs: random.pick([0, -1, 1_800_000_000_000 + random.below(5000), random.below(2 ** 52), -(2 ** 40)]),
    key: anyBytes(random),
    value: anyBytes(random),
    headers: Array.from({ length: random.pick([0, 0, 1, 3]) }, () => ({
      key: random.pick(['', 'a', 'größe', '__proto__', '😀'.repeat(20)]),
      value: anyBytes(random),
    })),
  }));
}

function anyBytes(random: Random): Buffer | null {
  const length = random.pick([-1, 0, 1, 20, 63, 64, 127, 128, 2000]);
  if (length < 0) return null;
  return random.below(2) === 0 ? random.bytes(length) : Buffer.alloc(length, 'a');
}

/** Gives spoilt or random bytes to every decoder of a batch. Returns how many of them were still right. */
export function fuzzBatch(random: Random, good: readonly Buffer[]): number {
  const bytes = random.below(20) === 0 ? random.bytes(random.below(300)) : spoil(random, random.pick(good));
  // Most wrongs end at the CRC or at the length, so these are mostly made right, as an attacker would.
  if (random.below(4) > 0 && bytes.length >= 61) {
    bytes.writeInt32BE(bytes.length - 12, 8);
    bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  }
  valueOf(bytes, () => readBatchHeader(bytes));
  for (const batch of valueOf(bytes, () => splitBatches(bytes)) ?? []) {
    valueOf(bytes, () => decodeRecords(batch, DECODED_BYTES_MAX));
  }
  const records = valueOf(bytes, () => decodeRecords(bytes, DECODED_BYTES_MAX));
  const header = valueOf(bytes, () => checkBatch(bytes));
  if (header === undefined) return 0;
  const from = header.baseOffset + random.below(header.recordCount);
  const slice = valueOf(bytes, () => sliceRecords(bytes, from));
  if (slice !== undefined) valueOf(bytes, () => checkBatch(slice));
  const stamped = stampProducer(bytes, { producerId: 1, producerEpoch: 2, baseSequence: 3 });
  assert.equal(checkBatch(stamped).recordCount, header.recordCount);
  stampOffset(stamped, 2 ** 53 - 1, 1);
  checkBatch(stamped);
  return records === undefined ? 0 : 1;
}

/** Compressed records to spoil, by their compression. */
export function goodCompressed(good: readonly Buffer[]): [Compression, Buffer][] {
  return good.map((batch) => [CODECS[readBatchHeader(batch).attributes & 7]!, batch.subarray(61)]);
}

/** Gives spoilt bytes, and those of another compression, to a decoder, and looks at the size of what comes out. */
export function fuzzDecompress(random: Random, good: readonly [Compression, Buffer][]): void {
  const [name, whole] = random.pick(good);
  const bytes = random.below(20) === 0 ? random.bytes(random.below(100)) : spoil(random, whole);
  const codec = random.below(20) === 0 ? random.pick(CODECS) : name;
  const bytesMax = random.pick([1, 100, 10_000, DECODED_BYTES_MAX]);
  const value = valueOf(bytes, () => decompress(codec, bytes, bytesMax));
  if (value !== undefined && codec !== 'none') {
    assert.ok(value.length <= bytesMax, `${value.length} bytes of at most ${bytesMax} for ${bytes.toString('hex')}`);
  }
}

/** Encodes random records in a random way, and compares what is decoded, sliced and stamped with them. */
export function roundTrip(random: Random): void {
  const records = anyRecords(random);
  const compression = random.pick(['none', 'gzip', 'zstd', 'auto'] as const);
  const batch = encodeBatch(records, { compression, producerId: 2 ** 45, producerEpoch: 3, baseSequence: 0 });
  const baseOffset = random.pick([0, 1, 2 ** 31, 2 ** 52]);
  stampOffset(batch, baseOffset, 0);
  assert.equal(checkBatch(batch).recordCount, records.length);
  assert.equal(crc32cByTables(batch.subarray(21)), readBatchHeader(batch).crc);
  const expected = records.map((record, index) => ({ offset: baseOffset + index, ...record }));
  assert.deepEqual(decodeRecords(batch), expected);
  const first = random.below(records.length);
  const end = first + 1 + random.below(records.length - first);
  const slice = sliceRecords(batch, baseOffset + first, baseOffset + end);
  assert.equal(checkBatch(slice).baseSequence, first);
  assert.deepEqual(decodeRecords(slice), expected.slice(first, end));
}
