import { describe, expect, test } from 'vitest';
import {
  BatchBuilder,
  batchBytes,
  checkBatch,
  compressionOf,
  decodeRecords,
  encodeBatch,
  isControl,
  isLogAppendTime,
  isTransactional,
  readBatchHeader,
  sliceRecords,
  splitBatches,
  stampOffset,
  stampProducer,
} from '../../src/formats/batch.ts';
import type { LogRecord, NewRecord } from '../../src/formats/batch.ts';
import { crc32c } from '../../src/formats/checksum.ts';
import { goldenNames, goldenSegment } from '../golden/batches.ts';
import { FEW, HEADERS, MANY, TIMES } from '../golden/readings.ts';

const T0 = 1_800_000_000_000;
const corrupt: unknown = expect.objectContaining({ code: 'FORMAT_CORRUPT' });
const truncated: unknown = expect.objectContaining({ code: 'FORMAT_TRUNCATED' });

function record(value: string | null, timestampMs = T0, more: Partial<NewRecord> = {}): NewRecord {
  return { timestampMs, key: null, value: value === null ? null : Buffer.from(value), ...more };
}

/** Ten records, one a second, `value 0` to `value 9`, at offset 100. */
function tenAt100(options: Parameters<typeof encodeBatch>[1] = {}): Buffer {
  const batch = encodeBatch(
    Array.from({ length: 10 }, (_, index) => record(`value ${index}`, T0 + index * 1000)),
    options,
  );
  stampOffset(batch, 100, 3);
  return batch;
}

/** The records of a control batch with one key, in hexadecimal digits. */
function withKey(key: string): NewRecord[] {
  return [record('v', T0, { key: Buffer.from(key, 'hex') })];
}

function values(batch: Buffer): (string | undefined)[] {
  return decodeRecords(batch).map(({ value }) => value?.toString());
}

/** A changed copy, with a right CRC unless told otherwise. */
function changed(batch: Buffer, change: (copy: Buffer) => void, fixCrc = true): Buffer {
  const copy = Buffer.from(batch);
  change(copy);
  if (fixCrc) copy.writeUInt32BE(crc32c(copy.subarray(21)), 17);
  return copy;
}

function plain(records: LogRecord[]): NewRecord[] {
  return records.map(({ timestampMs, key, value, headers }) => ({ timestampMs, key, value, headers }));
}

describe('golden batches of real producers', () => {
  test.each(goldenNames().filter((name) => /^(kcat|console)-/.test(name)))('hold what was sent: %s', (name) => {
    const readings = name.endsWith('-few') ? FEW : MANY;
    const batches = splitBatches(goldenSegment(name));
    const records = batches.flatMap((batch) => decodeRecords(batch));
    for (const batch of batches) expect(compressionOf(checkBatch(batch))).toBe(name.split('-')[1]);
    expect(records.map(({ offset }) => offset)).toEqual(readings.map((_, index) => index));
    expect(records.map(({ key, value }) => ({ key: key?.toString(), value: value?.toString() ?? null }))).toEqual(
      readings,
    );
    for (const { headers } of records) expect(headers).toEqual(HEADERS);
  });

  test.each(['java-times', 'java-plain'])('have times further apart than an int32 and odd headers: %s', (name) => {
    const records = decodeRecords(goldenSegment(name));
    // The last header's value is no text, but its key is.
    expect(plain(records)).toEqual(TIMES);
    expect(checkBatch(goldenSegment(name)).maxTimestampMs).toBe(4_000_000_000_000);
  });

  test('of a LogAppendTime topic give the broker’s time to every record', () => {
    const header = checkBatch(goldenSegment('java-append-time'));
    expect(isLogAppendTime(header)).toBe(true);
    for (const { timestampMs } of decodeRecords(goldenSegment('java-append-time'))) {
      expect(timestampMs).toBe(header.maxTimestampMs);
    }
  });

  test('of transactions end with control batches', () => {
    const batches = splitBatches(goldenSegment('java-transactions'));
    expect(batches.map((batch) => isTransactional(readBatchHeader(batch)))).toEqual([true, true, true, true]);
    expect(batches.map((batch) => isControl(readBatchHeader(batch)))).toEqual([false, true, false, true]);
    expect(plain(decodeRecords(batches[2]!))).toEqual(TIMES);
    expect(decodeRecords(batches[1]!)[0]!.control).toBe('commit');
    expect(decodeRecords(batches[3]!)[0]!.control).toBe('abort');
  });

  test.each(['kcat-none-few', 'console-none-few', 'java-times', 'java-plain', 'java-transactions'])(
    'are written again byte for byte: %s',
    (name) => {
      let count = 0;
      for (const batch of splitBatches(goldenSegment(name))) {
        const header = checkBatch(batch);
        if (compressionOf(header) !== 'none') continue;
        const { producerId, producerEpoch, baseSequence } = header;
        const again = encodeBatch(plain(decodeRecords(batch)), {
          producerId,
          producerEpoch,
          baseSequence,
          isTransactional: isTransactional(header),
          isControl: isControl(header),
        });
        stampOffset(again, header.baseOffset, header.partitionLeaderEpoch);
        expect(again.toString('hex')).toBe(batch.toString('hex'));
        count++;
      }
      expect(count).toBeGreaterThan(0);
    },
  );
});

describe('the builder', () => {
  test('gives base offset 0, leader epoch 0, no producer, and a right CRC', () => {
    const builder = new BatchBuilder();
    builder.add(T0 + 5, Buffer.from('k'), Buffer.from('v'), [{ key: 'h', value: null }]);
    builder.add(T0 + 9, null, null);
    builder.add(T0, null, Buffer.from('w'));
    const { bytes } = builder;
    expect([builder.count, builder.maxTimestampMs]).toEqual([3, T0 + 9]);
    const batch = builder.build();
    expect(batch.length).toBe(bytes);
    expect(checkBatch(batch)).toMatchObject({
      baseOffset: 0,
      partitionLeaderEpoch: 0,
      attributes: 0,
      lastOffsetDelta: 2,
      baseTimestampMs: T0 + 5,
      maxTimestampMs: T0 + 9,
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      recordCount: 3,
    });
    expect(decodeRecords(batch).map(({ offset, timestampMs }) => [offset, timestampMs])).toEqual([
      [0, T0 + 5],
      [1, T0 + 9],
      [2, T0],
    ]);
  });

  test('copies what it is given at once', () => {
    const value = Buffer.from('before');
    const builder = new BatchBuilder();
    builder.add(T0, null, value);
    value.fill('x');
    expect(values(builder.build())).toEqual(['before']);
  });

  test('encodes many and large records alike', () => {
    const records = Array.from({ length: 3000 }, (_, index) => record('v'.repeat(index), T0 - index));
    const batch = encodeBatch(records);
    expect(checkBatch(batch).maxTimestampMs).toBe(T0);
    expect(plain(decodeRecords(batch))).toEqual(records.map((each) => ({ ...each, headers: [] })));
  });

  test('compresses as told, and by itself only what is worth it', () => {
    const text = [record('text '.repeat(1000))];
    const noise = Buffer.from(Uint8Array.from({ length: 4000 }, (_, index) => (Math.sin(index) * 1e6) & 0xff));
    const cases = [
      ['none', 'none', text],
      ['gzip', 'gzip', text],
      ['zstd', 'zstd', text],
      ['auto', 'zstd', text],
      ['auto', 'none', [record('text '.repeat(100))]],
      ['auto', 'none', [{ ...record(''), value: noise }]],
    ] as const;
    for (const [compression, expected, records] of cases) {
      const batch = encodeBatch(records, { compression, producerId: 9, producerEpoch: 1, baseSequence: 7 });
      expect(checkBatch(batch)).toMatchObject({ producerId: 9, producerEpoch: 1, baseSequence: 7 });
      expect(compressionOf(readBatchHeader(batch))).toBe(expected);
      expect(decodeRecords(batch)[0]!.value).toEqual(records[0].value);
    }
  });

  test('refuses a timestamp that is not exact', () => {
    expect(() => new BatchBuilder().build()).toThrow(/record/);
    expect(() => encodeBatch([record('a', 0), record('b', 2 ** 60)])).toThrow(/2\^53/);
    expect(() => encodeBatch([record('a', Number.NaN)])).toThrow(/2\^53/);
  });
});

describe('checking', () => {
  test('finds every changed byte that the CRC covers', () => {
    const batch = tenAt100();
    for (let at = 16; at < batch.length; at++) {
      const copy = changed(batch, (bytes) => (bytes[at]! ^= 0x10), false);
      expect(() => checkBatch(copy), `byte ${at}`).toThrow(corrupt);
    }
    const stamped = changed(batch, (bytes) => stampOffset(bytes, 2 ** 40, 77), false);
    expect(checkBatch(stamped)).toMatchObject({ baseOffset: 2 ** 40, partitionLeaderEpoch: 77 });
  });

  test('wants one whole batch: cut is truncated, more is corrupt', () => {
    const batch = tenAt100();
    for (const length of [0, 11, 16, 60, batch.length - 1]) {
      expect(() => checkBatch(batch.subarray(0, length))).toThrow(truncated);
    }
    expect(() => checkBatch(Buffer.concat([batch, batch]))).toThrow(corrupt);
    expect(() => checkBatch(Buffer.concat([batch, Buffer.alloc(1)]))).toThrow(corrupt);
  });

  test('wants version 2, a sane length, a known compression, and records without gaps', () => {
    const wrongs: ((bytes: Buffer) => void)[] = [
      (bytes) => (bytes[16] = 1),
      (bytes) => bytes.writeInt32BE(-1, 8),
      (bytes) => bytes.writeInt32BE(48, 8),
      (bytes) => bytes.writeInt16BE(5, 21),
      (bytes) => bytes.writeInt32BE(10, 23),
      (bytes) => bytes.writeInt32BE(9, 57),
      (bytes) => bytes.fill(0, 57, 61).fill(0xff, 23, 27),
      (bytes) => bytes.fill(0x7f, 27, 35),
    ];
    for (const wrong of wrongs) {
      const batch = changed(tenAt100(), wrong);
      expect(() => checkBatch(batch), wrong.toString()).toThrow(corrupt);
    }
  });
});

describe('decoding', () => {
  test('a count, a length or a null that cannot be is corrupt, and takes no memory', () => {
    const batch = encodeBatch([record('abc', T0, { headers: [{ key: 'h', value: null }] })]);
    // length 61, attributes 62, timestamp 63, offset 64, key 65, value 66-69, headers 70, header 71-72, its value 73.
    const wrongs: ((bytes: Buffer) => void)[] = [
      (bytes) => bytes.writeInt32BE(2 ** 31 - 1, 57),
      (bytes) => bytes.writeInt32BE(-1, 57),
      (bytes) => bytes.writeInt32BE(0, 57),
      (bytes) => (bytes[61]! += 2),
      (bytes) => (bytes[61]! -= 2),
      (bytes) => (bytes[64] = 1),
      (bytes) => (bytes[66] = 3),
      (bytes) => (bytes[70] = 1),
      (bytes) => (bytes[70] = 100),
      (bytes) => (bytes[71] = 1),
    ];
    for (const wrong of wrongs) {
      expect(() => decodeRecords(changed(batch, wrong)), wrong.toString()).toThrow(corrupt);
    }
  });

  test('records above the limit of the caller are corrupt', () => {
    const batch = encodeBatch([record('a'.repeat(100_000))], { compression: 'zstd' });
    expect(() => decodeRecords(batch, 50_000)).toThrow(corrupt);
    expect(decodeRecords(batch, 101_000).length).toBe(1);
  });

  test('a control record needs a type, and other types than the known are told', () => {
    const options = { isControl: true };
    expect(decodeRecords(encodeBatch(withKey('00000000'), options))[0]!.control).toBe('abort');
    expect(decodeRecords(encodeBatch(withKey('00000001'), options))[0]!.control).toBe('commit');
    expect(decodeRecords(encodeBatch(withKey('00000002'), options))[0]!.control).toBe('other');
    expect(() => decodeRecords(encodeBatch(withKey('0000'), options))).toThrow(corrupt);
    expect(() => decodeRecords(encodeBatch([record('v')], options))).toThrow(corrupt);
  });
});

describe('splitting', () => {
  test('gives whole batches and drops a last one that is cut', () => {
    const batch = tenAt100();
    const two = Buffer.concat([batch, batch]);
    expect(splitBatches(two).length).toBe(2);
    expect(splitBatches(two.subarray(0, two.length - 1)).length).toBe(1);
    expect(splitBatches(two.subarray(0, batch.length + 5)).length).toBe(1);
    expect(splitBatches(Buffer.alloc(0))).toEqual([]);
    expect(batchBytes(two, batch.length)).toBe(batch.length);
    expect(() => splitBatches(changed(batch, (bytes) => bytes.writeInt32BE(0, 8)))).toThrow(corrupt);
  });
});

describe('stamping', () => {
  test('for an upstream leaves the batch as it is and gives a right copy', () => {
    const batch = changed(tenAt100({ compression: 'zstd', isTransactional: true }), (bytes) => (bytes[22]! |= 8));
    const before = batch.toString('hex');
    const stamp = { producerId: 2 ** 40 + 1, producerEpoch: 12, baseSequence: 2 ** 31 - 1 };
    const copy = stampProducer(batch, stamp);
    expect(batch.toString('hex')).toBe(before);
    expect(checkBatch(copy)).toMatchObject({ ...stamp, baseOffset: 0, partitionLeaderEpoch: -1, attributes: 4 });
    expect(values(copy)).toEqual(values(batch));
    expect(copy.subarray(57).equals(batch.subarray(57))).toBe(true);
  });
});

describe('a slice', () => {
  test.each(['none', 'gzip', 'zstd'] as const)('keeps offsets, times and compression: %s', (compression) => {
    const batch = tenAt100({ compression, producerId: 5, producerEpoch: 2, baseSequence: 2 ** 31 - 2 });
    const slice = sliceRecords(batch, 103, 106);
    expect(checkBatch(slice)).toMatchObject({
      baseOffset: 103,
      partitionLeaderEpoch: 3,
      lastOffsetDelta: 2,
      maxTimestampMs: T0 + 5000,
      producerId: 5,
      producerEpoch: 2,
      baseSequence: 1,
    });
    expect(compressionOf(readBatchHeader(slice))).toBe(compression);
    expect(decodeRecords(slice)).toEqual(decodeRecords(batch).slice(3, 6));
    expect(values(sliceRecords(batch, 108))).toEqual(['value 8', 'value 9']);
    expect(sliceRecords(batch, 0).subarray(61).equals(batch.subarray(61))).toBe(true);
  });

  test('of golden batches is what was sent: snappy and lz4 become zstd, odd headers stay', () => {
    for (const codec of ['snappy', 'lz4']) {
      const slice = sliceRecords(goldenSegment(`console-${codec}-many`), 1400);
      expect(compressionOf(checkBatch(slice))).toBe('zstd');
      expect(values(slice)).toEqual(MANY.slice(1400).map(({ value }) => value));
    }
    expect(plain(decodeRecords(sliceRecords(goldenSegment('java-times'), 2)))).toEqual(TIMES.slice(2));
    const appendTime = sliceRecords(goldenSegment('java-append-time'), 1, 2);
    expect(decodeRecords(appendTime)).toEqual(decodeRecords(goldenSegment('java-append-time')).slice(1, 2));
  });

  test('of records that contradict themselves is corrupt', () => {
    // Two records of eight bytes: length, attributes, timestamp, offset, key, value of one byte, headers.
    const batch = encodeBatch([record('a', T0), record('b', T0)]);
    const wrongs: ((bytes: Buffer) => void)[] = [
      // The first record's offset delta: 2, -1.
      (bytes) => (bytes[64] = 4),
      (bytes) => (bytes[64] = 1),
      // Its length: one that ends before its offset delta, one that reaches beyond the batch.
      (bytes) => (bytes[61] = 4),
      (bytes) => (bytes[61] = 120),
      // The last time there can be, and one more millisecond.
      (bytes) => bytes.fill(Buffer.from('001fffffffffffff', 'hex'), 27, 35).fill(2, 63, 64),
    ];
    for (const wrong of wrongs) {
      expect(() => sliceRecords(changed(batch, wrong), 0), wrong.toString()).toThrow(corrupt);
    }
  });

  test('without a record is corrupt', () => {
    expect(() => sliceRecords(tenAt100(), 110)).toThrow(corrupt);
    expect(() => sliceRecords(tenAt100(), 0, 100)).toThrow(corrupt);
  });
});
