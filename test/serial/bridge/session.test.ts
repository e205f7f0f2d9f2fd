// The rules of firmware-bridge/SPEC.md section 5, 6 and 7, one after the other.

import { expect, test } from 'vitest';
import { connected, data, HELLO, open } from './session-words.ts';

const EPOCH = '80000000';
const NUMBER = 0x8000_0000;

test('a device without an epoch gets one, and a session when it says hello with it', () => {
  const words = open();
  expect(words.hears(HELLO)).toEqual([`WELCOME 1 epoch ${EPOCH} expected 0`]);
  expect(words.hears({ ...HELLO, epoch: NUMBER, nonce: 2 })).toEqual([
    'connected',
    `WELCOME 0 epoch ${EPOCH} expected 0`,
    'TIME 1',
  ]);
});

test('the same epoch is given again as long as no record has come under it', () => {
  const words = open();
  words.hears(HELLO);
  expect(words.hears({ ...HELLO, nonce: 2 })).toEqual([`WELCOME 1 epoch ${EPOCH} expected 0`]);
  words.hears({ ...HELLO, epoch: NUMBER, nonce: 3 });
  words.hears({ type: 'channel', channel: 1, name: 'temp' });
  words.hears(data(0, 'a'));
  expect(words.hears({ ...HELLO, nonce: 4 }).at(-1)).toBe('WELCOME 1 epoch 80000002 expected 0');
});

test('a known epoch goes on where the host stands', () => {
  const words = open({ epoch: 7, next: 100 });
  expect(words.hears({ ...HELLO, epoch: 7, first: 98, end: 110 })[1]).toBe('WELCOME 0 epoch 7 expected 100');
});

test('a first beyond what the host has is a gap', () => {
  const words = open({ epoch: 7, next: 100 });
  expect(words.hears({ ...HELLO, epoch: 7, first: 103, end: 110 }).slice(0, 3)).toEqual([
    'gap 3 from 100 of 7 (missing) -> 7/103',
    'connected',
    'WELCOME 0 epoch 7 expected 103',
  ]);
});

test('sequences wrap', () => {
  const words = open({ epoch: 7, next: 0xffff_ffff });
  words.hears({ ...HELLO, epoch: 7, first: 0xffff_fff0, end: 5 });
  words.hears({ type: 'channel', channel: 1, name: 'temp' });
  expect(words.hears(data(0xffff, 'a', 'b'))).toEqual(['take temp a -> 0', 'take temp b -> 1']);
});

test('an end before what the host has is another store: a new epoch', () => {
  const words = open({ epoch: 7, next: 100 });
  expect(words.hears({ ...HELLO, epoch: 7, first: 0, end: 10 })).toEqual([`WELCOME 1 epoch ${EPOCH} expected 0`]);
});

test('an epoch that another gateway gave is taken over from where the device stands', () => {
  const words = open({ epoch: 7, next: 100 });
  expect(words.hears({ ...HELLO, epoch: 9, first: 50, end: 60 })[1]).toBe('WELCOME 0 epoch 9 expected 50');
});

test('the former epoch is over', () => {
  const words = open({ epoch: 7, next: 100 });
  words.hears({ ...HELLO, lastEpoch: 7, lastEnd: 100 });
  expect(words.hears({ ...HELLO, nonce: 2, epoch: 7, first: 90, end: 101 })).toEqual([
    `WELCOME 1 epoch ${EPOCH} expected 0`,
  ]);
});

test('what a device lost in a reset is a gap of that many, once', () => {
  const words = open({ epoch: 7, next: 100 });
  const hello = { ...HELLO, lastEpoch: 7, lastEnd: 104 };
  expect(words.hears(hello)).toEqual([
    `gap 4 from 100 of 7 (reset) -> ${EPOCH}/0`,
    `WELCOME 1 epoch ${EPOCH} expected 0`,
  ]);
  expect(words.hears({ ...hello, nonce: 2 })).toEqual([`WELCOME 1 epoch ${EPOCH} expected 0`]);
  expect(words.hears({ ...hello, nonce: 3, epoch: NUMBER })[0]).toBe('connected');
});

test('what a device lost in a second reset, before it heard of its new epoch, is a gap of the run before', () => {
  const words = open({ epoch: 7, next: 100 });
  words.hears({ ...HELLO, lastEpoch: 7, lastEnd: 104 });
  const again = { ...HELLO, nonce: 2, lastEpoch: 7, lastEnd: 109 };
  expect(words.hears(again)).toEqual([
    `gap 5 from 104 of 7 (reset) -> ${EPOCH}/0`,
    `WELCOME 1 epoch ${EPOCH} expected 0`,
  ]);
  expect(words.hears(again)).toEqual([`WELCOME 1 epoch ${EPOCH} expected 0`]);
  expect(words.hears({ ...HELLO, nonce: 3, epoch: NUMBER, lastEpoch: 7, lastEnd: 109 })[0]).toBe('connected');
});

test('a loss in an epoch that is not known here is a gap of unknown size, once', () => {
  const words = open({ epoch: 7, next: 100 });
  const hello = { ...HELLO, lastEpoch: 9, lastEnd: 30 };
  expect(words.hears(hello)[0]).toBe(`gap ? from 100 of 7 (unknown) -> ${EPOCH}/0`);
  expect(words.hears({ ...hello, nonce: 2 })).toEqual([`WELCOME 1 epoch ${EPOCH} expected 0`]);
});

test('records of a fresh epoch that were lost before any came are a gap, too, and end that epoch', () => {
  const words = open({ epoch: 7, next: 0 });
  expect(words.hears({ ...HELLO, lastEpoch: 7, lastEnd: 5 })).toEqual([
    `gap 5 from 0 of 7 (reset) -> ${EPOCH}/0`,
    `WELCOME 1 epoch ${EPOCH} expected 0`,
  ]);
});

test('nothing lost in a reset is no gap', () => {
  const words = open({ epoch: 7, next: 100 });
  expect(words.hears({ ...HELLO, lastEpoch: 7, lastEnd: 100 })).toEqual([`WELCOME 1 epoch ${EPOCH} expected 0`]);
});

test('a device that does not know what it lost makes a gap of unknown size, once', () => {
  const words = open({ epoch: 7, next: 100 });
  expect(words.hears(HELLO)).toEqual([
    `gap ? from 100 of 7 (unknown) -> ${EPOCH}/0`,
    `WELCOME 1 epoch ${EPOCH} expected 0`,
  ]);
});

test('a version that is not to be spoken, and a host that is not ready, are refusals', () => {
  const words = open({ epoch: 7, next: 1 });
  expect(words.hears({ ...HELLO, version: 9, versionMin: 2 })).toEqual(['WELCOME 3 epoch 0 expected 0']);
  words.limits.isReady = false;
  expect(words.hears(HELLO)).toEqual(['WELCOME 4 epoch 0 expected 0']);
});

test('a hello that is repeated before the device was heard keeps its key; after it, the session is a new one', () => {
  const words = open({ epoch: 7, next: 1 });
  const hello = { ...HELLO, epoch: 7, first: 1, end: 1 };
  words.hears(hello);
  const key = words.session().connection!.key;
  expect(words.hears(hello)).toEqual(['WELCOME 0 epoch 7 expected 1', 'TIME 2']);
  expect(words.session().connection!.key).toBe(key);
  words.hears({ type: 'ping' });
  expect(words.hears(hello).slice(0, 2)).toEqual(['away: the device said hello again', 'connected']);
  expect(words.session().connection!.key).not.toBe(key);
});

test('records are taken in order and acknowledged as received after 20 ms, as committed after the commit', () => {
  const words = connected(10);
  expect(words.hears(data(10, 'a', 'b'))).toEqual(['take temp a -> 11', 'take temp b -> 12']);
  expect(words.waits(20)).toEqual(['ACK 10 12 window 8']);
  expect(words.does({ kind: 'committed', epoch: 7, sequence: 12 })).toEqual(['ACK 12 12 window 8']);
  expect(words.does({ kind: 'committed', epoch: 7, sequence: 11 })).toEqual([]);
});

test('a device that has used half of its window is told at once what has arrived', () => {
  const words = connected();
  expect(words.hears(data(0, 'a', 'b', 'c'))).toHaveLength(3);
  expect(words.hears(data(3, 'd'))).toEqual(['take temp d -> 4', 'ACK 0 4 window 8']);
});

test('a commit of an epoch that is over acknowledges nothing', () => {
  const words = connected(10);
  expect(words.does({ kind: 'committed', epoch: 6, sequence: 12 })).toEqual([]);
});

test('records that come again are dropped, and the device is told', () => {
  const words = connected(10);
  words.hears(data(10, 'a', 'b'));
  expect(words.hears(data(10, 'a', 'b', 'c'))).toEqual(['take temp c -> 13', 'repeated 2']);
  expect(words.waits(20)).toEqual(['ACK 10 13 window 8']);
});

test('a missing record is asked for, those behind it wait, and all are taken in order', () => {
  const words = connected();
  expect(words.hears(data(2, 'c'))).toEqual(['NAK 0 missing', 'NAK 1 missing']);
  expect(words.hears(data(0, 'a'))).toEqual(['take temp a -> 1']);
  expect(words.hears(data(1, 'b'))).toEqual(['take temp b -> 2', 'take temp c -> 3']);
});

test('a record that stays missing is asked for again each 100 ms while others come', () => {
  const words = connected();
  words.hears(data(1, 'b'));
  expect(words.hears(data(2, 'c'))).toEqual([]);
  words.waits(100);
  expect(words.hears(data(3, 'd'))).toEqual(['NAK 0 missing']);
});

test('nothing beyond the window is kept', () => {
  const words = connected();
  expect(words.hears(data(8, 'i'))).toEqual(['beyond 1']);
  expect(words.hears(data(7, 'h'))).toHaveLength(7);
});

test('a full host takes what its last window allowed, and nothing beyond', () => {
  const words = connected();
  words.limits.window = 0;
  expect(words.hears({ type: 'ping' })).toEqual(['ACK 0 0 window 0']);
  const texts = 'abcdefghij'.split('');
  expect(words.hears(data(0, ...texts)).slice(-3)).toEqual(['take temp h -> 8', 'beyond 2', 'ACK 0 8 window 0']);
  words.limits.window = 2;
  expect(words.does({ kind: 'window' })).toEqual(['ACK 0 8 window 2']);
  expect(words.hears(data(8, 'i', 'j', 'k'))).toEqual([
    'take temp i -> 9',
    'take temp j -> 10',
    'beyond 1',
    'ACK 0 10 window 2',
  ]);
});

test('a channel without a name is asked for, and the record is not taken', () => {
  const words = connected();
  const record = { boot: undefined, channel: 2, timeMs: 0, payload: Buffer.from('x') };
  expect(words.hears({ type: 'data', sequence: 0, records: [record] })).toEqual(['NAK 0 channel']);
  words.hears({ type: 'channel', channel: 2, name: 'level' });
  expect(words.hears({ type: 'data', sequence: 0, records: [record] })).toEqual(['take level x -> 1']);
});

test('a skip is a gap, behind which what was kept is taken', () => {
  const words = connected();
  words.hears(data(3, 'd'));
  expect(words.hears({ type: 'skip', first: 3 })).toEqual([
    'gap 3 from 0 of 7 (skipped) -> 7/3',
    'take temp d -> 4',
    'ACK 0 4 window 8',
  ]);
  expect(words.hears({ type: 'skip', first: 2 })).toEqual([]);
});

test('a quiet session is kept alive, and one that is not heard for 15 s is over', () => {
  const words = connected();
  // The first says what is committed: WELCOME does not.
  expect(words.waits(14_999).filter((said) => said.startsWith('ACK'))).toHaveLength(3);
  expect(words.waits(1)).toContain('away: it was not heard for 15 s');
  expect(words.hears({ type: 'ping' })).toEqual([]);
});

test('the time is told at once, each 10 s until three answers came, then each minute', () => {
  const words = connected();
  for (const id of [1, 2, 3]) {
    expect(words.hears({ type: 'echo', id, uptimeMs: 77 })[0]).toMatch(/^clock 77/);
    const said = words.waits(10_000);
    if (id < 3) expect(said).toContain(`TIME ${id + 1}`);
    else expect(said.filter((one) => one.startsWith('TIME'))).toEqual([]);
  }
  expect(words.hears({ type: 'echo', id: 1, uptimeMs: 77 })).toEqual([]);
});

test('a command is repeated until its answer, with the same id', () => {
  const words = connected();
  expect(words.does({ kind: 'command', code: 3, payload: Buffer.alloc(0), timeoutMs: 2000 })).toEqual(['COMMAND 1 3']);
  expect(words.waits(500)).toContain('COMMAND 1 3');
  expect(words.hears({ type: 'answer', id: 2, status: 0, payload: Buffer.alloc(0) })).toEqual([]);
  expect(words.hears({ type: 'answer', id: 1, status: 0, payload: Buffer.alloc(0) })).toEqual(['answer 0']);
  expect(words.hears({ type: 'answer', id: 1, status: 0, payload: Buffer.alloc(0) })).toEqual([]);
});

test('a command without an answer ends as unknown, and the next one waits for a session whose numbers begin again', () => {
  const words = connected();
  words.does({ kind: 'command', code: 3, payload: Buffer.alloc(0), timeoutMs: 1200 });
  expect(words.waits(1200).slice(-3)).toEqual([
    'no answer: no answer came in time',
    'away: it did not answer a command',
    'who',
  ]);
  words.hears({ ...HELLO, nonce: 2, epoch: 7, first: 0, end: 0 });
  expect(words.does({ kind: 'command', code: 3, payload: Buffer.alloc(0), timeoutMs: 1200 })).toEqual(['COMMAND 1 3']);
});

test('a command is not sent again in another session', () => {
  const words = connected();
  words.does({ kind: 'command', code: 3, payload: Buffer.alloc(0), timeoutMs: 9000 });
  const said = words.hears({ ...HELLO, nonce: 2, epoch: 7, first: 0, end: 0 });
  expect(said[0]).toBe('no answer: the device said hello again');
  expect(words.waits(9000).filter((one) => one.startsWith('COMMAND'))).toEqual([]);
});

test('a second command has to wait for the first', () => {
  const words = connected();
  words.does({ kind: 'command', code: 3, payload: Buffer.alloc(0), timeoutMs: 9000 });
  expect(words.does({ kind: 'command', code: 4, payload: Buffer.alloc(0), timeoutMs: 9000 })).toEqual([
    'no answer: another command is under way',
  ]);
});

test('a step leaves the session that it was given as it was', () => {
  const words = connected();
  const before = words.session();
  const copy = structuredClone({ ...before, connection: { ...before.connection, hello: undefined } });
  words.hears(data(2, 'c'));
  words.hears(data(0, 'a'));
  expect({ ...before, connection: { ...before.connection, hello: undefined } }).toEqual(copy);
});
