import { expect, test } from 'vitest';
import {
  checkStoredBatch,
  encodeBatch,
  isControl,
  readBatchHeader,
  splitBatches,
  stampOffset,
} from '../../src/formats/batch.ts';
import { encodeAbsence, encodeMarker } from '../../src/formats/marker.ts';
import { goldenSegment } from '../golden/batches.ts';

test('a marker is what Apache Kafka writes, byte for byte', () => {
  const golden = splitBatches(goldenSegment('java-transactions')).filter((batch) => isControl(readBatchHeader(batch)));
  expect(golden).toHaveLength(2);
  for (const [index, batch] of golden.entries()) {
    const { producerId, producerEpoch, baseTimestampMs, baseOffset, partitionLeaderEpoch } = readBatchHeader(batch);
    const marker = encodeMarker({ producerId, producerEpoch, isCommit: index === 0 }, baseTimestampMs);
    stampOffset(marker, baseOffset, partitionLeaderEpoch);
    expect(marker.toString('hex')).toBe(batch.toString('hex'));
  }
});

test('what stands for an aborted batch has its offsets and none of its records', () => {
  const records = ['a', 'b', 'c'].map((value) => ({ timestampMs: 5, key: null, value: Buffer.from(value) }));
  const batch = encodeBatch(records, { producerId: 7, producerEpoch: 2, baseSequence: 0, isTransactional: true });
  stampOffset(batch, 40, 3);
  const absence = encodeAbsence(readBatchHeader(batch));
  const header = checkStoredBatch(absence);
  expect(header).toMatchObject({ baseOffset: 40, lastOffsetDelta: 2, recordCount: 1, producerId: 7, producerEpoch: 2 });
  expect(isControl(header)).toBe(true);
});
