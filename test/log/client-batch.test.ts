// What a batch of a Kafka client has to be, by Kafka's LogValidator, and what the settings of its topic make of it.

import { expect, test } from 'vitest';
import { isHeadwaterError } from '../../src/errors.ts';
import {
  checkBatch,
  compressionOf,
  decodeRecords,
  encodeBatch,
  isLogAppendTime,
  readBatchHeader,
  splitBatches,
  stampOffset,
  stampTimestamps,
} from '../../src/formats/batch.ts';
import { crc32c } from '../../src/formats/checksum.ts';
import { admitBatch, RecordsRefused, type ClientRecords } from '../../src/log/client-batch.ts';
import { DEFAULT_SETTINGS, type TopicSettings } from '../../src/log/log.ts';
import { openRandom, printedSeed, spoil } from '../fuzz/random.ts';
import { goldenNames, goldenSegment } from '../golden/batches.ts';

const NOW_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

function admit(
  batch: Buffer,
  settings: Partial<TopicSettings> = {},
  nowMs: number | undefined = NOW_MS,
): ClientRecords {
  return admitBatch(batch, { ...DEFAULT_SETTINGS, ...settings }, { isRegistered: false, nowMs });
}

/** Records with these times, and their index as key and value. */
function batchOf(...timesMs: number[]): Buffer {
  return encodeBatch(
    timesMs.map((timestampMs, index) => ({
      timestampMs,
      key: Buffer.from(`${index}`),
      value: Buffer.from(`${index}`),
    })),
  );
}

function withCrc(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function outcomeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isHeadwaterError(error)) return error.code;
    throw error;
  }
  return 'taken';
}

test('a batch with which nothing is wrong stays as it came, byte for byte', () => {
  for (const name of goldenNames().filter((each) => /^(kcat|console)-/.test(each))) {
    for (const stored of splitBatches(goldenSegment(name))) {
      const batch = Buffer.from(stored);
      stampOffset(batch, 0, -1);
      const before = Buffer.from(batch);
      const admitted = admit(batch);
      expect(admitted.batch).toBe(batch);
      expect(batch.equals(before)).toBe(true);
    }
  }
});

test('damaged bytes are told from a batch that was made wrongly, which is worth no second try', () => {
  const spoilt = (spoil: (batch: Buffer) => void): Buffer => {
    const batch = batchOf(1, 2);
    spoil(batch);
    return batch;
  };
  const header = (at: number, value: number): Buffer => withCrc(spoilt((batch) => void batch.writeInt32BE(value, at)));
  expect(outcomeOf(() => admit(spoilt((batch) => void (batch[70]! ^= 1))))).toBe('FORMAT_CORRUPT');
  expect(outcomeOf(() => admit(batchOf(1).subarray(0, -1)))).toBe('FORMAT_TRUNCATED');
  expect(outcomeOf(() => admit(spoilt((batch) => void batch.writeInt32BE(9, 23))))).toBe('FORMAT_CORRUPT');
  const wrong: Buffer[] = [
    Buffer.concat([batchOf(1), batchOf(2)]),
    header(23, 5), // lastOffsetDelta
    header(57, 0), // recordCount
    header(57, 7),
    withCrc(spoilt((batch) => void (batch[61] = 0x7f))), // length of the first record
    withCrc(spoilt((batch) => void batch.writeInt16BE(0x20, 21))), // a control batch
    spoilt((batch) => stampOffset(batch, 5, 0)),
    encodeBatch([{ timestampMs: 1, key: null, value: null }], { producerId: 4, producerEpoch: 0, baseSequence: -1 }),
  ];
  expect(wrong.map((batch) => outcomeOf(() => admit(batch)))).toEqual(wrong.map(() => 'RECORD_INVALID'));
});

test('records whose offsets do not count up are named', () => {
  const batch = batchOf(1, 2, 3);
  const [first] = decodeRecords(batch);
  expect(first!.offset).toBe(0);
  // length, attributes, timestamp delta, then the offset delta of the first record: 0 becomes 1.
  batch[64] = 2;
  const fault = faultsOf(() => admit(withCrc(batch)));
  expect(fault).toEqual({ code: 'RECORD_INVALID', faults: [[0, 'offset delta 1 where 0 is next']] });
});

function faultsOf(run: () => unknown): { code: string; faults: [number, string][] } | undefined {
  try {
    run();
  } catch (error) {
    if (!(error instanceof RecordsRefused)) throw error;
    return { code: error.code, faults: error.faults.map(({ index, message }) => [index, message]) };
  }
  return undefined;
}

test('timestamps are bounded where the topic says so, and the records that are outside are named', () => {
  const [early, late] = [NOW_MS - HOUR_MS - 1, NOW_MS + HOUR_MS + 1];
  const batch = (): Buffer => batchOf(NOW_MS, early, NOW_MS - HOUR_MS, late, NOW_MS + HOUR_MS, -1);
  expect(faultsOf(() => admit(batch()))).toBeUndefined();
  const after = faultsOf(() => admit(batch(), { timestampAfterMs: HOUR_MS }));
  expect(after).toEqual({ code: 'TIMESTAMP_INVALID', faults: [[3, expect.stringContaining(`timestamp ${late}`)]] });
  const both = faultsOf(() => admit(batch(), { timestampAfterMs: HOUR_MS, timestampBeforeMs: HOUR_MS }));
  expect(both?.faults.map(([index]) => index)).toEqual([1, 3]);
  // Times that are replaced, and a clock that is not believed, bound nothing.
  const bounds = { timestampAfterMs: 0, timestampBeforeMs: 0 };
  expect(faultsOf(() => admit(batch(), { ...bounds, timestampType: 'LogAppendTime' }))).toBeUndefined();
  expect(
    faultsOf(() => admitBatch(batch(), { ...DEFAULT_SETTINGS, ...bounds }, { isRegistered: false, nowMs: undefined })),
  ).toBeUndefined();
});

test('of a batch full of faults the first hundred are named, and all are counted', () => {
  const times = Array.from({ length: 150 }, () => 0);
  const settings: Partial<TopicSettings> = { timestampBeforeMs: 1 };
  expect(faultsOf(() => admit(batchOf(...times), settings))?.faults).toHaveLength(100);
  expect(() => admit(batchOf(...times), settings)).toThrow(/^150 of its records/);
});

test('a largest timestamp that is not the largest is put right', () => {
  const batch = batchOf(5, 9, 7);
  stampTimestamps(batch, { isAppendTime: false, maxTimestampMs: 1234 });
  const admitted = admit(batch);
  expect(admitted.header.maxTimestampMs).toBe(9);
  expect(checkBatch(admitted.batch).maxTimestampMs).toBe(9);
});

test('only a node gives append times: a client that says so is not believed, and the own times of records show', () => {
  const batch = batchOf(5, 9, 7);
  stampTimestamps(batch, { isAppendTime: true, maxTimestampMs: 1234 });
  const admitted = admit(batch);
  expect(isLogAppendTime(checkBatch(admitted.batch))).toBe(false);
  expect(admitted.header.maxTimestampMs).toBe(9);
  expect(decodeRecords(admitted.batch).map(({ timestampMs }) => timestampMs)).toEqual([5, 9, 7]);
});

test('a topic has its own compression, whatever producers use; what fits already stays as it is', () => {
  const names = goldenNames().filter((each) => /^(kcat|console)-.*-many$/.test(each));
  expect(names.length).toBeGreaterThan(5);
  for (const name of names) {
    const [stored] = splitBatches(goldenSegment(name));
    for (const compression of ['uncompressed', 'gzip', 'zstd'] as const) {
      const batch = Buffer.from(stored!);
      stampOffset(batch, 0, 0);
      const records = decodeRecords(batch);
      const sent = compressionOf(readBatchHeader(batch));
      const admitted = admit(batch, { compression });
      const wanted = compression === 'uncompressed' ? 'none' : compression;
      expect(compressionOf(checkBatch(admitted.batch))).toBe(wanted);
      expect(decodeRecords(admitted.batch)).toEqual(records);
      expect(admitted.batch === batch).toBe(sent === wanted);
      expect(admitted.header).toMatchObject({
        recordCount: records.length,
        maxTimestampMs: expect.any(Number) as number,
      });
    }
  }
});

test('a topic bounds the size of batches, also of what they become', () => {
  const value = Buffer.alloc(4000, 'x');
  const batch = (): Buffer => encodeBatch([{ timestampMs: 1, key: null, value }], { compression: 'zstd' });
  expect(outcomeOf(() => admit(batch(), { batchBytesMax: 1000 }))).toBe('taken');
  expect(outcomeOf(() => admit(batch(), { batchBytesMax: 50 }))).toBe('RECORD_TOO_LARGE');
  expect(outcomeOf(() => admit(batch(), { batchBytesMax: 1000, compression: 'uncompressed' }))).toBe(
    'RECORD_TOO_LARGE',
  );
});

test('what is taken can be decoded, and what can be decoded is taken, whatever bytes come', () => {
  const random = openRandom(printedSeed('records of clients'));
  const outcomes = { taken: 0, refused: 0 };
  for (let round = 0; round < 3000; round += 1) {
    const headers = [{ key: 'unit', value: random.below(2) === 0 ? null : random.bytes(3) }];
    const records = Array.from({ length: 1 + random.below(4) }, (_, index) => {
      const key = random.below(2) === 0 ? null : random.bytes(random.below(5));
      return { timestampMs: NOW_MS + index, key, value: random.bytes(random.below(9)), headers };
    });
    const whole = encodeBatch(records);
    const spoilt =
      random.below(3) === 0 ? whole : Buffer.concat([whole.subarray(0, 61), spoil(random, whole.subarray(61))]);
    spoilt.writeInt32BE(spoilt.length - 12, 8);
    const batch = withCrc(spoilt);
    const isRight = outcomeOf(() => {
      if (decodeRecords(batch).some(({ offset }, index) => offset !== index))
        throw new RecordsRefused('RECORD_INVALID', '', []);
    });
    const isTaken = outcomeOf(() => admit(batch, { timestampBeforeMs: -1, timestampAfterMs: -1 }));
    expect(isTaken, batch.toString('hex')).toBe(isRight === 'taken' ? 'taken' : 'RECORD_INVALID');
    outcomes[isRight === 'taken' ? 'taken' : 'refused'] += 1;
  }
  expect(outcomes.taken).toBeGreaterThan(500);
  expect(outcomes.refused).toBeGreaterThan(500);
});
