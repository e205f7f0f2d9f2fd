import { afterEach, expect, test } from 'vitest';
import { systemClock, type Clock, type ClockDoubt } from '../../src/clock.ts';
import { openCommands, type Commands, type CommandOrder, type Following } from '../../src/commands/commands.ts';
import { openIntake } from '../../src/intake/intake.ts';
import { batchOf, openLogFolder, readAll, silent, type OpenLogFolder } from '../log/open-log.ts';
import { until } from '../parts/until.ts';

interface Site {
  opened: OpenLogFolder;
  commands: Commands;
  send(value: string, timestampMs?: number): Promise<void>;
  answers(): Promise<Record<string, unknown>[]>;
  /** As after a kill: the rooms are opened anew on what the card holds. */
  restart(): Promise<void>;
}

const ended: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).toReversed()) await end();
});

async function site(clock: Clock = systemClock): Promise<Site> {
  const opened = await openLogFolder();
  ended.push(() => opened.remove());
  const made = {} as Site;
  const intake = () => openIntake({ log: opened.log, routes: [], nodeName: 'n', clock, trace: silent });
  const open = () => openCommands({ log: opened.log, intake: intake(), clock, trace: silent });
  ended.push(() => made.commands.close());
  return Object.assign(made, {
    opened,
    commands: open(),
    async send(value: string, timestampMs = clock.wallMs()) {
      const record = { topic: 'orders', key: Buffer.from('k'), value: Buffer.from(value), timestampMs };
      await intake().accept(record).done();
    },
    async answers() {
      const topic = opened.log.topic('results');
      const records = topic === undefined ? [] : await readAll(topic.partitions[0]!);
      return records.map(({ value }) => JSON.parse(String(value)) as Record<string, unknown>);
    },
    async restart() {
      await made.commands.close();
      await opened.reopen();
      made.commands = open();
    },
  });
}

/** An order that notes what it was asked for. `run` may never settle. */
function order(ran: string[], more: Partial<CommandOrder> = {}): CommandOrder {
  return {
    name: 'serial/boiler',
    topic: 'orders',
    resultTopic: 'results',
    ageMaxMs: 60_000,
    echo: (command) => ({ id: String(command.value) }),
    async run(command) {
      ran.push(String(command.value));
      return { outcome: 'done', detail: { wrote: 1 } };
    },
    ...more,
  };
}

/** Until the follower has found its place: what comes from here on is its own. */
async function placed({ opened }: Site, following: Following): Promise<Following> {
  const [partition] = opened.log.topic('orders')!.partitions;
  await until('a position is kept', () => opened.log.positions.get('command/serial/boiler', partition!) !== undefined);
  return following;
}

test('a command is carried out once and answered in the same order, with what its sender knows it by', async () => {
  const at = await site();
  const ran: string[] = [];
  const following = await placed(at, at.commands.follow(order(ran)));
  for (const value of ['a', 'b', 'c']) await at.send(value);
  await until('three answers', async () => (await at.answers()).length === 3);
  expect(ran).toEqual(['a', 'b', 'c']);
  expect((await at.answers())[1]).toEqual({
    id: 'b',
    outcome: 'done',
    wrote: 1,
    command: { topic: 'orders', partition: 0, offset: 1 },
  });
  expect(following.status()).toMatchObject({ outcomes: { done: 3 }, waiting: 0, lost: 0 });
});

test('what was in the topic before it was ever followed is left alone, what came while nobody listened is not', async () => {
  const at = await site();
  const ran: string[] = [];
  await at.send('before');
  await placed(at, at.commands.follow(order(ran)));
  await at.send('first');
  await until('it ran', () => ran.length === 1);
  await at.restart();
  await at.send('meanwhile');
  at.commands.follow(order(ran));
  await until('it ran', () => ran.length === 2);
  expect(ran).toEqual(['first', 'meanwhile']);
});

test('a command that a crash caught in between is answered unknown, and never carried out again', async () => {
  const at = await site();
  const ran: string[] = [];
  const { promise, resolve } = Promise.withResolvers<never>();
  ended.push(async () => resolve(undefined as never));
  await placed(
    at,
    at.commands.follow(
      order(ran, {
        run(command) {
          ran.push(String(command.value));
          return promise;
        },
      }),
    ),
  );
  await at.send('x');
  await until('it is under way', () => ran.length === 1);
  // What the card holds at this moment is what a kill would leave: a second log on it finds the position and no mark.
  const [partition] = at.opened.log.topic('orders')!.partitions;
  const kept = at.opened.log.positions.get('command/serial/boiler', partition!);
  expect(kept).toEqual({ offset: 1, state: { open: 0 } });
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  const after = openCommands({
    log: at.opened.log,
    intake: openIntake({ log: at.opened.log, routes: [], nodeName: 'n', clock, trace: silent }),
    clock,
    trace: silent,
  });
  ended.push(() => after.close());
  after.follow(order(ran));
  await until('an answer', async () => (await at.answers()).length === 1);
  expect(await at.answers()).toMatchObject([{ id: 'x', outcome: 'unknown' }]);
  expect(ran).toEqual(['x']);
});

test('an answer that is on the card is not given again when the position is older than it', async () => {
  const at = await site();
  const ran: string[] = [];
  await placed(at, at.commands.follow(order(ran)));
  await at.send('x');
  await until('an answer', async () => (await at.answers()).length === 1);
  // As a kill leaves it before the position is written lazily: the durable one says that the command is under way.
  await at.commands.close();
  const [partition] = at.opened.log.topic('orders')!.partitions;
  await at.opened.log.positions.set('command/serial/boiler', partition!, { offset: 1, state: { open: 0 } }, true);
  await at.restart();
  at.commands.follow(order(ran));
  await at.send('y');
  await until('the next answer', async () => (await at.answers()).length === 2);
  expect((await at.answers()).map(({ id, outcome }) => [id, outcome])).toEqual([
    ['x', 'done'],
    ['y', 'done'],
  ]);
});

test('a command that is too old is answered expired, and one that throws unknown', async () => {
  const at = await site();
  const ran: string[] = [];
  const following = await placed(
    at,
    at.commands.follow(order(ran, { run: () => Promise.reject(new Error('the relay is stuck')) })),
  );
  await at.send('old', systemClock.wallMs() - 61_000);
  await at.send('new');
  await until('two answers', async () => (await at.answers()).length === 2);
  expect(await at.answers()).toMatchObject([
    { id: 'old', outcome: 'expired', reason: 'it was 61 s old when it was read, 60 s is the most' },
    { id: 'new', outcome: 'unknown', reason: 'the relay is stuck' },
  ]);
  expect(following.status().outcomes).toMatchObject({ expired: 1, unknown: 1 });
});

test('commands that are removed after they were read are lost, and not carried out', async () => {
  const at = await site();
  const ran: string[] = [];
  const isSent = Promise.withResolvers<void>();
  const remove = order(ran, {
    async run(command) {
      ran.push(String(command.value));
      if (command.offset === 0) await isSent.promise;
      // By now the one behind it has been read with it.
      if (command.offset === 1) await at.opened.log.topic('orders')!.partitions[0]!.deleteRecords(3);
      return { outcome: 'done' };
    },
  });
  const following = await placed(at, at.commands.follow(remove));
  for (const value of ['a', 'b', 'c']) await at.send(value);
  isSent.resolve();
  await until('they are removed', () => ran.includes('b'));
  await at.send('d');
  await until('the next one ran', () => ran.includes('d'));
  expect(ran).toEqual(['a', 'b', 'd']);
  expect(following.status().lost).toBe(1);
});

test('the commands of others are passed over; without a topic for answers they are counted', async () => {
  const at = await site();
  const ran: string[] = [];
  const mine = order(ran, { isMine: (command) => String(command.value).startsWith('m'), resultTopic: undefined });
  const following = await placed(at, at.commands.follow(mine));
  for (const value of ['yours', 'mine', 'theirs', 'mine too']) await at.send(value);
  await until('both ran', () => following.status().outcomes.done === 2);
  expect(ran).toEqual(['mine', 'mine too']);
  expect(await at.answers()).toEqual([]);
});

test('a topic that is deleted and made again is followed from its beginning', async () => {
  const at = await site();
  const ran: string[] = [];
  await placed(at, at.commands.follow(order(ran)));
  await at.send('a');
  await until('it ran', () => ran.length === 1);
  await at.opened.log.deleteTopic('orders');
  await at.send('b');
  await until('the new one ran', () => ran.length === 2);
  expect(ran).toEqual(['a', 'b']);
});

test('partitions that a topic gets meanwhile are followed, too', async () => {
  const at = await site();
  const ran: string[] = [];
  await placed(at, at.commands.follow(order(ran)));
  await at.opened.log.alterTopic('orders', { partitions: 3 });
  for (const [index, { index: partition }] of at.opened.log.topic('orders')!.partitions.entries()) {
    const { opened } = at;
    const intake = openIntake({ log: opened.log, routes: [], nodeName: 'n', clock: systemClock, trace: silent });
    const value = Buffer.from(`of ${partition}`);
    await intake.accept({ topic: 'orders', partition, key: Buffer.from('k'), value }).done();
    await until('it ran', () => ran.length === index + 1);
  }
  expect(ran).toEqual(['of 0', 'of 1', 'of 2']);
});

test('while nobody knows the time, what came before the start is not carried out: nobody knows how old it is', async () => {
  const doubt: ClockDoubt = { boot: 7, bootId: '5f1d', upMs: (stampMs) => stampMs, records: 0 };
  const ran: string[] = [];
  const there = await site({ ...systemClock, doubt });
  await there.opened.log.createTopic('orders');
  await placed(there, there.commands.follow(order(ran)));
  // By the clock of another machine, which knows the time.
  const [partition] = there.opened.log.topic('orders')!.partitions;
  await partition!.append(batchOf(1, 1, { timestampMs: Date.now() }));
  await until('what comes while it runs is carried out', () => ran.length === 1);
  await there.commands.close();
  await partition!.append(batchOf(2, 1, { timestampMs: Date.now() }));
  await there.restart();
  there.commands.follow(order(ran));
  await there.send('stamped by this boot');
  await until('all are answered', async () => (await there.answers()).length === 3);
  expect(ran).toEqual(['1', 'stamped by this boot']);
  expect((await there.answers()).map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ['done', undefined],
    ['expired', 'nobody knows how old it is: the clock is not set yet'],
    ['done', undefined],
  ]);
});
