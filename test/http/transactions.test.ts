// Transactions over REST and on the command line, on a log in memory.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openTransactions, type Speaker, type Transactions } from '../../src/transactions/transactions.ts';
import { run } from '../cli/run-cli.ts';
import { fakeLog } from '../fakes/log.ts';
import { silent } from '../log/open-log.ts';
import { openDoor, type OpenDoor } from './open-http.ts';

let door: OpenDoor;
let transactions: Transactions;
let speaker: Speaker;

beforeEach(async () => {
  const log = fakeLog();
  await log.createTopic('t', { partitions: 3 });
  const offsets = { settle: () => undefined, producers: () => [] };
  transactions = openTransactions({ log, offsets, clock: systemClock, trace: silent });
  door = await openDoor({ log, transactions });
  const { errorCode: _, ...producer } = await transactions.init('a/b', 60_000);
  speaker = { transactionalId: 'a/b', ...producer };
  transactions.addPartitions(speaker, log.topic('t')!.partitions.slice(1));
  transactions.addGroup(speaker, 'g');
});

afterEach(async () => {
  await door.room.close();
  transactions.close();
});

function cli(line: string) {
  return run(line.split(' '), { env: { HEADWATER_URL: `http://127.0.0.1:${door.room.address.port}` } });
}

test('what is open is listed, described and aborted', async () => {
  const line = { id: 'a/b', state: 'Ongoing', producerId: 1000, producerEpoch: 0, timeoutMs: 60_000, partitions: 2, groups: 1 }; // prettier-ignore
  expect((await door.ask('/transactions')).json).toMatchObject([line]);
  const detail = { ...line, topics: [{ topic: 't', partitions: [1, 2] }], groupIds: ['g'] };
  expect((await door.ask('/transactions/a%2Fb')).json).toMatchObject(detail);
  const { out } = await cli('transactions describe a/b');
  expect(out).toMatch(/a\/b +Ongoing +1000\/0 +0 +60 +2 +1\n[^]*t +1,2\n[^]*GROUP\ng\n/);
  expect(await cli('transactions abort a/b')).toMatchObject({
    code: 2,
    err: expect.stringContaining('--yes') as string,
  });
  expect((await cli('transactions abort a/b --yes')).out).toContain('is aborted');
  expect(transactions.addGroup(speaker, 'g')).toBe(90);
  expect(JSON.parse((await cli('transactions abort a/b -o json')).out)).toEqual({ aborted: false });
  expect((await cli('transactions list')).out).toMatch(/a\/b +CompleteAbort +1000\/1 +- +60 +0 +0\n/);
});

test('an id that is not known is told', async () => {
  expect(await door.ask('/transactions/c')).toMatchObject({ status: 404, json: { error: 'TRANSACTION_UNKNOWN' } });
  expect(await cli('transactions describe c')).toMatchObject({
    code: 4,
    err: expect.stringContaining('list') as string,
  });
  expect((await cli('transactions describe ..')).code).toBe(4);
});
