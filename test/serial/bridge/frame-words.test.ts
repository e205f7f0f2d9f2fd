// Frames of the bridge in the words that `serial monitor` shows.
import { expect, test } from 'vitest';
import type { Frame } from '../../../src/formats/bridge-frame.ts';
import { frameWords } from '../../../src/serial/bridge/frame-words.ts';
import { HELLO } from './session-words.ts';

const WELCOME = { type: 'welcome', version: 1, nonce: 1, key: 5, frameBytesMax: 1024, ackMs: 200, window: 64 } as const;
const payload = Buffer.from('21.5');
const FRAMES: [Frame, string][] = [
  [{ ...HELLO, uid: Buffer.of(1, 2), end: 3 }, 'HELLO from 0102 test 1: no epoch, 3 waiting'],
  [
    { ...HELLO, uid: Buffer.of(1), name: '', firmware: '', epoch: 16, first: 4, end: 9, lastEpoch: 7, lastEnd: 12 },
    'HELLO from 01: epoch 00000010, 4 to 9 waiting; had epoch 00000007 up to 12',
  ],
  [{ ...WELCOME, status: 0, epoch: 16, expected: 4 }, 'WELCOME go on from 4, window 64, epoch 00000010'],
  [{ ...WELCOME, status: 1, epoch: 16, expected: 0 }, 'WELCOME take this epoch, epoch 00000010'],
  [{ ...WELCOME, status: 2, epoch: 0, expected: 0 }, 'WELCOME refused, connected elsewhere'],
  [{ type: 'who', version: 1 }, 'WHO is there'],
  [
    {
      type: 'data',
      sequence: 7,
      records: [
        { boot: undefined, channel: 0, timeMs: 70, payload },
        { boot: 2, channel: 5, timeMs: 9, payload: Buffer.of(1) },
      ],
    },
    'DATA 7: level, 4 bytes at 70 ms; channel 5, 1 byte at 9 ms of boot 2',
  ],
  [{ type: 'channel', channel: 0, name: 'level' }, 'CHANNEL 0 is level'],
  [{ type: 'skip', first: 9 }, 'SKIP to 9'],
  [{ type: 'echo', id: 1, uptimeMs: 50 }, 'ECHO 1: its clock is 50 ms'],
  [{ type: 'answer', id: 2, status: 0, payload }, 'ANSWER 2: status 0, 4 bytes'],
  [{ type: 'ping' }, 'PING'],
  [{ type: 'ack', committed: 7, received: 8, window: 64 }, 'ACK committed 7, received 8, window 64'],
  [{ type: 'nak', sequence: 8, reason: 0 }, 'NAK 8: missing'],
  [{ type: 'nak', sequence: 8, reason: 1 }, 'NAK 8: its channel has no name'],
  [{ type: 'time', id: 1, wallMs: 0, errorMs: 1000 }, 'TIME 1: 1970-01-01T00:00:00.000Z, within 1000 ms'],
  [{ type: 'command', id: 2, code: 3, payload }, 'COMMAND 2: code 3, 4 bytes'],
];

test.each(FRAMES)('%j', (frame, words) => {
  expect(frameWords(frame, new Map([[0, 'level']]))).toBe(words);
});

test('a time that no date can be is no reason to throw', () => {
  expect(frameWords({ type: 'time', id: 1, wallMs: 1e16, errorMs: 0 })).toBe(
    'TIME 1: 10000000000000000 ms, within 0 ms',
  );
});
