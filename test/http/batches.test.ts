// Batches over HTTP, out of one log and into another: whole, once, in order.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkStoredBatch, encodeBatch, readBatchHeader, splitBatches, stampOffset } from '../../src/formats/batch.ts';
import type { Log } from '../../src/log/log.ts';
import { fakeClock } from '../fakes/clock.ts';
import { until } from '../parts/until.ts';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from '../log/open-log.ts';
import { openDoor, type OpenDoor, type Reply } from './open-http.ts';

const SOURCE = 'ab'.repeat(16);
const BYTES = { 'content-type': 'application/octet-stream' };

let open: OpenLogFolder;
let door: OpenDoor;

beforeEach(async () => {
  open = await openLogFolder();
  door = await openDoor({ log: open.log });
  await open.log.createTopic('readings');
});

afterEach(async () => {
  await door.room.close();
  await open.remove();
});

function partition(log: Log = open.log) {
  return log.topic('readings')!.partitions[0]!;
}

/** A batch as the source has it: with its place in its partition. */
function sourceBatch(first: number, count: number): Buffer {
  const batch = batchOf(first, count);
  stampOffset(batch, first, 0);
  return batch;
}

function importTo(from: number, to: number, ...batches: Buffer[]): Promise<Reply> {
  const path = `/topics/readings/partitions/0/imports?source=${SOURCE}&from=${from}&to=${to}`;
  return door.ask(path, { method: 'POST', headers: BYTES, body: Buffer.concat(batches) });
}

async function imported(): Promise<unknown> {
  return (await door.ask(`/topics/readings/partitions/0/imports?source=${SOURCE}`)).json;
}

async function kept(): Promise<number[]> {
  return numbersOf(await readAll(partition()));
}

test('batches come as they are stored, and where to go on', async () => {
  await partition().append(batchOf(0, 3));
  await partition().append(batchOf(3, 2));
  const whole = await fetch(`http://127.0.0.1:${door.room.address.port}/topics/readings/partitions/0/batches?offset=1`);
  expect(whole.headers.get('headwater-next-offset')).toBe('5');
  expect(whole.headers.get('headwater-high-watermark')).toBe('5');
  const batches = splitBatches(Buffer.from(await whole.arrayBuffer()));
  expect(batches).toEqual(await partition().read(1, 1e6));
  const one = await door.ask('/topics/readings/partitions/0/batches?bytes=1');
  expect(one.headers['headwater-next-offset']).toBe('3');
  const end = await door.ask('/topics/readings/partitions/0/batches?offset=5');
  expect([end.text, end.headers['headwater-next-offset']]).toEqual(['', '5']);
  expect((await door.ask('/topics/readings/partitions/0/batches?offset=6')).status).toBe(416);
});

test('what counts of transactions is exported without a missing offset, and imported as plain records', async () => {
  const it = partition();
  const within = (producerId: number, first: number, baseSequence = 0): Buffer => {
    const records = [first, first + 1].map((each) => ({ timestampMs: 1, key: null, value: Buffer.from(String(each)) }));
    return encodeBatch(records, { producerId, producerEpoch: 0, baseSequence, isTransactional: true });
  };
  await it.append(within(7, 0), true);
  await it.append(within(8, 100), true);
  await it.endTransaction({ producerId: 8, producerEpoch: 0, isCommit: false }).done();
  await it.endTransaction({ producerId: 7, producerEpoch: 0, isCommit: true }).done();
  await it.append(batchOf(2, 1));
  await it.append(within(7, 200, 2), true);
  const port = door.room.address.port;
  const whole = await fetch(`http://127.0.0.1:${port}/topics/readings/partitions/0/batches?committed=1`);
  expect(whole.headers.get('headwater-next-offset')).toBe('7');
  const batches = splitBatches(Buffer.from(await whole.arrayBuffer()));
  const found = batches.map((batch) => [readBatchHeader(batch).baseOffset, checkStoredBatch(batch).lastOffsetDelta]);
  expect(found).toEqual([[0, 1], [2, 1], [4, 0], [5, 0], [6, 0]]); // prettier-ignore
  await open.log.createTopic('other');
  const path = `/topics/other/partitions/0/imports?source=${SOURCE}&from=0&to=7`;
  const answer = await door.ask(path, { method: 'POST', headers: BYTES, body: Buffer.concat(batches) });
  expect(answer.json).toMatchObject({ records: 3 });
  const other = open.log.topic('other')!.partitions[0]!;
  expect(other.lastStableOffset).toBe(3);
  expect(numbersOf(await readAll(other))).toEqual([0, 1, 2]);
  expect((await door.ask('/topics/readings/partitions/0/records?offset=2')).json).toMatchObject({ nextOffset: 7 });
});

test('what is imported twice is kept once', async () => {
  const batches = [sourceBatch(0, 3), sourceBatch(3, 4)];
  expect((await importTo(0, 7, ...batches)).json).toMatchObject({ records: 7, skipped: 0 });
  expect((await importTo(0, 7, ...batches)).json).toEqual({ records: 0, skipped: 7, bytes: 0 });
  expect(await kept()).toEqual(upTo(7));
  expect(await imported()).toEqual({ imported: [[0, 7]] });
});

test('files that overlap inside a batch leave each record once', async () => {
  await importTo(0, 5, sourceBatch(0, 5));
  expect((await importTo(3, 12, sourceBatch(2, 6), sourceBatch(8, 4))).json).toMatchObject({ records: 7, skipped: 3 });
  expect(await kept()).toEqual(upTo(12));
});

test('an older file that comes after a newer one is not lost', async () => {
  await importTo(5, 9, sourceBatch(5, 4));
  await importTo(0, 9, sourceBatch(0, 5), sourceBatch(5, 4));
  expect(await kept()).toEqual([5, 6, 7, 8, 0, 1, 2, 3, 4]);
  expect(await imported()).toEqual({ imported: [[0, 9]] });
});

test('two imports of the same at a time keep it once', async () => {
  const answers = await Promise.all([1, 2, 3].map(() => importTo(0, 50, sourceBatch(0, 50))));
  const records = answers.map(({ json }) => (json as { records: number }).records);
  expect(records.toSorted((a, b) => b - a)).toEqual([50, 0, 0]);
  expect(await kept()).toEqual(upTo(50));
});

test('the mark is on the card with the records', async () => {
  await importTo(0, 3, sourceBatch(0, 3));
  await door.room.close();
  await open.reopen();
  door = await openDoor({ log: open.log });
  expect(await imported()).toEqual({ imported: [[0, 3]] });
  expect((await importTo(0, 3, sourceBatch(0, 3))).json).toMatchObject({ records: 0, skipped: 3 });
  expect(await kept()).toEqual(upTo(3));
});

test('an import is held back while the card catches up, and told when it does not', async () => {
  const clock = fakeClock();
  const busy = await openDoor({ clock });
  await busy.log.createTopic('readings');
  busy.log.setFull(true);
  const post = (): Promise<Reply> =>
    busy.ask(`/topics/readings/partitions/0/imports?source=${SOURCE}&from=0&to=3`, {
      method: 'POST',
      headers: BYTES,
      body: sourceBatch(0, 3),
    });
  const idle = clock.timers();
  const held = post();
  await until('it waits', () => clock.timers() > idle);
  expect(busy.log.partition('readings').batches).toHaveLength(0);
  busy.log.setFull(false);
  expect((await held).json).toMatchObject({ records: 3 });
  busy.log.setFull(true);
  const late = post();
  await until('it waits', () => clock.timers() > idle);
  clock.advance(20_000);
  expect(await late).toMatchObject({ status: 503, json: { error: 'LOG_FULL' } });
  busy.log.setFull(false);
  await busy.room.close();
});

test('another source, and a topic that was made anew, begin at nothing', async () => {
  await importTo(0, 3, sourceBatch(0, 3));
  const other = `/topics/readings/partitions/0/imports?source=${'cd'.repeat(16)}&from=0&to=3`;
  await door.ask(other, { method: 'POST', headers: BYTES, body: sourceBatch(0, 3) });
  expect(await kept()).toEqual([0, 1, 2, 0, 1, 2]);
  await open.log.deleteTopic('readings');
  await open.log.createTopic('readings');
  expect((await importTo(0, 3, sourceBatch(0, 3))).json).toMatchObject({ records: 3 });
  // Marks of the topic that is gone are gone, too.
  await open.log.probe(0);
  expect([...open.log.marks('import/')]).toHaveLength(1);
});

test('batches of an idempotent producer are not taken for its retries', async () => {
  const batch = batchOf(0, 3, { producerId: 9, producerEpoch: 0, baseSequence: 0 });
  await partition().append(Buffer.from(batch));
  expect((await importTo(0, 3, batch)).json).toMatchObject({ records: 3 });
  expect(await kept()).toEqual([0, 1, 2, 0, 1, 2]);
});

test('a batch that a compaction has thinned out is taken with what is left', async () => {
  const batch = encodeBatch([{ timestampMs: 5, key: null, value: Buffer.from('7'), headers: [] }]);
  // Offsets 0 to 3 of which the first is left: the CRC covers the delta.
  const thinned = Buffer.from(batch);
  thinned.writeInt32BE(3, 23);
  const { crc32c } = await import('../../src/formats/checksum.ts');
  thinned.writeUInt32BE(crc32c(thinned.subarray(21)), 17);
  expect((await importTo(0, 4, thinned)).json).toMatchObject({ records: 1, skipped: 0 });
  expect(await kept()).toEqual([7]);
  expect(await imported()).toEqual({ imported: [[0, 4]] });
});

test.each([
  ['a damaged byte', (batch: Buffer) => void (batch[70]! ^= 1), 'RECORD_INVALID'],
  ['offsets outside of the range', (batch: Buffer) => stampOffset(batch, 9, 0), 'RECORD_INVALID'],
])('%s: nothing of it is kept', async (_what, spoil, code) => {
  const batch = sourceBatch(3, 2);
  spoil(batch);
  expect(await importTo(0, 5, sourceBatch(0, 3), batch)).toMatchObject({ status: 400, json: { error: code } });
  expect(await kept()).toEqual([]);
  expect(await imported()).toEqual({ imported: [] });
});

test('what is no octet-stream is refused: a page of another site could have sent it', async () => {
  const path = `/topics/readings/partitions/0/imports?source=${SOURCE}&from=0&to=3`;
  const { status } = await door.ask(path, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' });
  expect(status).toBe(400);
});

test('a cut body is refused', async () => {
  const { status, json } = await importTo(0, 5, sourceBatch(0, 3), sourceBatch(3, 2).subarray(0, 40));
  expect([status, json]).toEqual([400, { error: 'RECORD_INVALID', message: 'the last batch is cut' }]);
});

test.each([
  ['', 'source must be'],
  [`source=${SOURCE}`, 'from and to'],
  [`source=${SOURCE}&from=5&to=5`, 'to must be'],
  [`source=x`, 'source must be'],
  [`source=${SOURCE}&form=0`, 'is no parameter'],
])('%j is told what it lacks', async (query, said) => {
  const { status, text } = await door.ask(`/topics/readings/partitions/0/imports?${query}`, {
    method: 'POST',
    headers: BYTES,
  });
  expect(status).toBe(400);
  expect(text).toContain(said);
});
