// Words for tests of one session: a device's frames go in, and what the host says or does comes out, as short texts.

import type { BridgeRecord, Frame, Hello } from '../../../src/formats/bridge-frame.ts';
import type { Input, Memory, Output, Session } from '../../../src/serial/bridge/session-words.ts';
import { createSession, dueAtMs, step } from '../../../src/serial/bridge/session.ts';

export const HELLO: Hello = {
  type: 'hello',
  version: 1,
  versionMin: 1,
  isPolled: false,
  isPersistent: false,
  takesCommands: true,
  boot: 0,
  nonce: 1,
  epoch: 0,
  first: 0,
  end: 0,
  lastEpoch: 0,
  lastEnd: 0,
  uptimeMs: 0,
  frameBytesMax: 256,
  uid: Buffer.from('ab'),
  name: 'test',
  firmware: '1',
};

export interface Words {
  /** Puts a frame in and tells what came out of it. */
  hears(frame: Frame): string[];
  does(input: Input): string[];
  /** Lets time pass, with a tick whenever one is due. */
  waits(ms: number): string[];
  session(): Session;
  limits: { window: number; ackMs: number; isReady: boolean };
}

/** A session with what was found on the card. Random numbers are 0x80000000 and on, so that they can be told. */
export function open(memory?: Memory): Words {
  let session = createSession(memory);
  let nowMs = 1000;
  let draws = 0;
  const limits = { window: 8, ackMs: 100, isReady: true };
  const random = () => (0x8000_0000 + draws++ - 1) / 0xffff_ffff + 1e-12;

  function does(input: Input): string[] {
    const turn = step(session, input, limits, nowMs);
    session = turn.session;
    return turn.outputs.map(words);
  }

  function waits(ms: number): string[] {
    const said: string[] = [];
    const endMs = nowMs + ms;
    for (let due = dueAtMs(session); due <= endMs; due = dueAtMs(session)) {
      nowMs = Math.max(nowMs, due);
      said.push(...does({ kind: 'tick', wall: { wallMs: 5, errorMs: 0 } }));
    }
    nowMs = endMs;
    return said;
  }

  const hears = (frame: Frame) => does({ kind: 'frame', frame, random, wall: { wallMs: 5, errorMs: 0 } });
  return { hears, does, waits, session: () => session, limits };
}

/** Connected at once: epoch 7, the next record is `next`. Channel 1 is named. */
export function connected(next = 0): Words {
  const words = open({ epoch: 7, next });
  words.hears({ ...HELLO, epoch: 7, first: next, end: next });
  words.hears({ type: 'channel', channel: 1, name: 'temp' });
  return words;
}

/** A data frame: records of channel 1 whose payloads are the texts. */
export function data(sequence: number, ...texts: string[]): Frame {
  const records: BridgeRecord[] = texts.map((text) => ({
    boot: undefined,
    channel: 1,
    timeMs: 0,
    payload: Buffer.from(text),
  }));
  return { type: 'data', sequence, records };
}

function words(output: Output): string {
  switch (output.kind) {
    case 'send':
      return said(output.frame);
    case 'take':
      return `take ${output.channel} ${output.record.payload.toString()} -> ${output.memory.next}`;
    case 'gap':
      return `gap ${output.count ?? '?'} from ${output.first} of ${output.epoch.toString(16)} (${output.reason}) -> ${output.memory.epoch.toString(16)}/${output.memory.next}`;
    case 'command':
      return output.outcome.kind === 'answered'
        ? `answer ${output.outcome.status}`
        : `no answer: ${output.outcome.why}`;
    case 'disconnected':
      return `away: ${output.why}`;
    case 'clock':
      return `clock ${output.uptimeMs} sent at ${output.sentAtMs}`;
    case 'repeated':
    case 'beyond':
      return `${output.kind} ${output.count}`;
    default:
      return output.kind;
  }
}

function said(frame: Frame): string {
  switch (frame.type) {
    case 'welcome':
      return `WELCOME ${frame.status} epoch ${frame.epoch.toString(16)} expected ${frame.expected}`;
    case 'ack':
      return `ACK ${frame.committed} ${frame.received} window ${frame.window}`;
    case 'nak':
      return `NAK ${frame.sequence} ${frame.reason === 0 ? 'missing' : 'channel'}`;
    case 'time':
      return `TIME ${frame.id}`;
    case 'command':
      return `COMMAND ${frame.id} ${frame.code}`;
    default:
      return frame.type;
  }
}
