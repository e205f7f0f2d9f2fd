// Compacted topics as the log takes records for them, and keeps their settings.

import { afterEach, expect, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { batchOf, openLogFolder, type OpenLogFolder } from './open-log.ts';

let opened: OpenLogFolder;
afterEach(() => opened.remove());

const keyed = { timestampMs: 1_700_000_000_000, key: Buffer.from('a'), value: Buffer.from('1') };

test('a batch with a record without a key is refused where only the latest of each key stays', async () => {
  opened = await openLogFolder();
  for (const cleanup of ['compact', 'compact,delete'] as const) {
    const [partition] = (await opened.log.createTopic(cleanup.replace(',', '-'), { cleanup })).partitions;
    const mixed = encodeBatch([keyed, { ...keyed, key: null }]);
    await expect(partition!.append(mixed)).rejects.toMatchObject({ code: 'RECORD_INVALID' });
    expect(await partition!.append(encodeBatch([keyed]))).toMatchObject({ baseOffset: 0 });
  }
  const [plain] = (await opened.log.createTopic('plain')).partitions;
  expect(await plain!.append(batchOf(0, 1))).toMatchObject({ baseOffset: 0 });
});

test('settings that contradict themselves are refused, others are kept over a restart', async () => {
  opened = await openLogFolder();
  const wrong = [{ compactionLagMinMs: 5, compactionLagMaxMs: 4 }, { dirtyRatioMin: 1.5 }, { deleteRetentionMs: -1 }];
  for (const settings of wrong) {
    await expect(opened.log.createTopic('t', settings)).rejects.toMatchObject({ code: 'TOPIC_INVALID' });
  }
  const settings = { cleanup: 'compact', deleteRetentionMs: 7, dirtyRatioMin: 0.1, pin: 'none' } as const;
  await opened.log.createTopic('t', settings);
  await opened.reopen();
  expect(opened.log.topic('t')!.settings).toMatchObject(settings);
});
