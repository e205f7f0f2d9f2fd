// Commands to a device whose session begins anew: one device with a clock that the test moves.

import { expect, test } from 'vitest';
import type { Command, CommandOrder } from '../../../src/commands/commands.ts';
import type { Frame } from '../../../src/formats/bridge-frame.ts';
import { followBridgeCommands } from '../../../src/serial/bridge/commands.ts';
import { openBridgeDevice, wallTime, type BridgeDevice } from '../../../src/serial/bridge/device.ts';
import { createTrace } from '../../../src/trace.ts';
import { fakeClock, type FakeClock } from '../../fakes/clock.ts';
import { HELLO } from './session-words.ts';

interface Bench {
  /** It is on the line. */
  isThere: boolean;
  clock: FakeClock;
  device: BridgeDevice;
  sent: Frame[];
  says(frame: Frame): void;
  run(): ReturnType<CommandOrder['run']>;
}

function bench(): Bench {
  const clock = fakeClock();
  const sent: Frame[] = [];
  const device = openBridgeDevice({
    uid: '6162',
    name: 'relay',
    portName: 'ttyUSB0',
    remembered: undefined,
    keyTemplate: '{device}',
    gapsTopic: 'gaps',
    limits: () => ({ window: 8, ackMs: 100, isReady: true }),
    send: (frame) => void sent.push(frame),
    take: () => undefined,
    keep: (_remembered, then) => then(),
    onSettled: () => undefined,
    clock,
    trace: createTrace({ write: () => undefined }),
  });
  const made = { isThere: true } as Bench;
  let order: CommandOrder | undefined;
  followBridgeCommands(
    { topic: 'orders', resultTopic: 'answers', ageMaxMs: 60_000, timeoutMs: 1000 },
    {
      portName: 'ttyUSB0',
      find: () => (made.isThere ? device : undefined),
      isExpected: () => !made.isThere || device.heardMs() < 5000,
      clock,
      follow(asked) {
        order = asked;
        return undefined as never;
      },
    },
  );
  const value = Buffer.from('{"device": "relay", "code": 1}');
  return Object.assign(made, {
    clock,
    device,
    sent,
    says: (frame: Frame) => device.apply({ kind: 'frame', frame, random: () => 0.5, wall: wallTime(clock) }),
    run: () => order!.run({ value } as Command),
  } satisfies Partial<Bench>);
}

/** Time passes with the ticks that are due. */
async function wait({ clock, device }: Bench, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    clock.advance(100);
    if (device.dueAtMs() <= clock.monotonicMs()) device.apply({ kind: 'tick', wall: wallTime(clock) });
    await new Promise((resolve) => void setImmediate(resolve));
  }
}

test('after a command without an answer the next one waits for the new session, and is its first', async () => {
  const at = bench();
  at.says({ ...HELLO, epoch: 7 });
  const first = at.run();
  await wait(at, 1100);
  expect(await first).toMatchObject({ outcome: 'unknown' });
  const second = at.run();
  await wait(at, 300);
  at.says({ ...HELLO, epoch: 7, nonce: 2 });
  await wait(at, 100);
  expect(at.sent.filter(({ type }) => type === 'command').map((frame) => 'id' in frame && frame.id)).toEqual([1, 1, 1]);
  at.says({ type: 'answer', id: 1, status: 0, payload: Buffer.alloc(0) });
  expect(await second).toMatchObject({ outcome: 'done' });
});

test('a device that does not come back, or was not heard for long, is offline', async () => {
  const at = bench();
  at.says({ ...HELLO, epoch: 7 });
  const first = at.run();
  await wait(at, 1100);
  await first;
  const second = at.run();
  await wait(at, 3100);
  expect(await second).toMatchObject({ outcome: 'offline' });
  await wait(at, 5000);
  expect(await at.run()).toMatchObject({ outcome: 'offline' });
});

test('a command that is read at a start waits for its device', async () => {
  const at = bench();
  at.isThere = false;
  const first = at.run();
  await wait(at, 1000);
  at.isThere = true;
  at.says({ ...HELLO, epoch: 7 });
  await wait(at, 200);
  at.says({ type: 'answer', id: 1, status: 0, payload: Buffer.alloc(0) });
  expect(await first).toMatchObject({ outcome: 'done' });
});
