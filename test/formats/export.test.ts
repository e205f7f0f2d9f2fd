// Files that carry batches: round trip, in chunks of any size; whatever is damaged or cut is told apart.
import { expect, test } from 'vitest';
import { isHeadwaterError } from '../../src/errors.ts';
import { encodeExportFrame, ExportReader, type ExportFrame } from '../../src/formats/export.ts';
import { openRandom } from '../fuzz/random.ts';

const FRAMES: ExportFrame[] = [
  { kind: 'head', head: { format: 'headwater-export', version: 1, node: 'pump-7', atMs: 1_700_000_000_000 } },
  {
    kind: 'partition',
    partition: {
      topic: 'readings',
      topicId: 'ab'.repeat(16),
      partition: 0,
      partitions: 4,
      retentionMs: -1,
      retentionBytes: -1,
      cleanup: 'compact,delete',
      durability: 'synced',
      whenFull: 'refuse',
      from: 0,
      to: 2 ** 40,
    },
  },
  { kind: 'batches', number: 0, from: 0, to: 2 ** 40, batches: Buffer.from('some batches') },
  { kind: 'end', end: { batches: 1, records: 7, bytes: 12 } },
];

const FILE = Buffer.concat(FRAMES.map(encodeExportFrame));

function read(file: Buffer, chunkBytes = file.length): ExportFrame[] {
  const reader = new ExportReader();
  const frames: ExportFrame[] = [];
  for (let at = 0; at < file.length; at += chunkBytes) {
    for (const frame of reader.push(Buffer.from(file.subarray(at, at + chunkBytes)))) frames.push(frame);
  }
  reader.end();
  return frames;
}

test.each([1, 7, 64, FILE.length])('what is written is read, in chunks of %i bytes', (chunkBytes) => {
  expect(read(FILE, chunkBytes)).toEqual(FRAMES);
});

test('each bit that is turned is noticed', () => {
  for (let at = 0; at < FILE.length; at++) {
    const damaged = Buffer.from(FILE);
    damaged[at]! ^= 1 << (at % 8);
    expect(() => read(damaged), `byte ${at}`).toThrow(/export/);
  }
});

test('a cut file gives the frames before the cut, and says that it is cut', () => {
  for (let length = 1; length < FILE.length; length++) {
    const isAtFrame = [1, 2, 3].some(
      (count) => Buffer.concat(FRAMES.slice(0, count).map(encodeExportFrame)).length === length,
    );
    if (isAtFrame) expect(read(FILE.subarray(0, length)).at(-1)?.kind).not.toBe('end');
    else expect(() => read(FILE.subarray(0, length))).toThrow('is cut');
  }
});

test('random bytes are no export', () => {
  const random = openRandom(11);
  for (let round = 0; round < 2000; round++) {
    try {
      read(random.bytes(1 + random.below(80)));
      expect.unreachable();
    } catch (error) {
      expect(isHeadwaterError(error, 'FORMAT_CORRUPT') || isHeadwaterError(error, 'FORMAT_TRUNCATED')).toBe(true);
    }
  }
});

test('what another version may mean is not guessed', () => {
  const other = {
    kind: 'head',
    head: { format: 'headwater-export', version: 2, node: 'a', atMs: 1 },
  } as unknown as ExportFrame;
  expect(() => read(encodeExportFrame(other))).toThrow('only 1 is known');
});
