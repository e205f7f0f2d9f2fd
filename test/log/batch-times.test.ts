// Batches that were stamped while nobody knew the time, in a log on a card: what readers get before and after the time is
// known, over restarts and boots, in sealed segments and in the one that is written; and when they go.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkBatch, encodeBatch, readBatchHeader, stampBoot, unsureBootIn } from '../../src/formats/batch.ts';
import type { Partition } from '../../src/log/log.ts';
import { fakeMachine, type FakeMachine } from '../fakes/machine.ts';
import { until } from '../parts/until.ts';
import { batchOf, openLogFolder, readAll, type OpenLogFolder } from './open-log.ts';

const BUILT = Date.UTC(2026, 0, 1);
const TRUE = Date.UTC(2026, 6, 1);
const [SECOND, MINUTE, HOUR, DAY, YEAR] = [1000, 60_000, 3_600_000, 86_400_000, 31_536_000_000];

let machine: FakeMachine;
let opened: OpenLogFolder;

beforeEach(async () => {
  machine = await fakeMachine({ wallMs: 0, builtMs: BUILT, isLoadedByLog: true });
  opened = await openLogFolder({ times: machine.times, retentionIntervalMs: MINUTE });
});

afterEach(() => opened.remove());

function partition(settings = {}): Promise<Partition> {
  const found = opened.log.topic('t')?.partitions[0];
  return found === undefined
    ? opened.log.createTopic('t', settings).then((topic) => topic.partitions[0]!)
    : Promise.resolve(found);
}

/** Waits for a commit, which itself waits some ms by the clock of the machine: times are told in seconds. */
async function settled<T>(work: Promise<T>): Promise<T> {
  let isSettled = false;
  const end = (): boolean => (isSettled = true);
  work.then(end, end);
  while (!isSettled) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    await machine.pass(1);
  }
  return work;
}

function inSeconds(ms: number): number {
  return Math.round(ms / 1000) * 1000;
}

/** One batch of headwater's own, with the time that it is. */
async function stamp(bytes = 10): Promise<void> {
  const { clock } = machine.times;
  const batch = encodeBatch([{ timestampMs: clock.wallMs(), key: null, value: Buffer.alloc(bytes) }]);
  const boot = clock.doubt?.boot;
  if (boot !== undefined) stampBoot(batch, boot);
  await settled((await partition()).gather({ take: () => batch }).done());
}

async function times(): Promise<number[]> {
  return (await readAll(await partition())).map(({ timestampMs }) => inSeconds(timestampMs));
}

async function becomeKnown(trueMs: number): Promise<void> {
  machine.setWall(trueMs);
  await machine.pass(10 * SECOND);
}

async function restart(): Promise<void> {
  await machine.restart();
  await opened.reopen({ times: machine.times });
}

async function reboot(wallMs?: number): Promise<void> {
  await machine.reboot(wallMs);
  await opened.reopen({ times: machine.times });
}

/** Retention looks, and what it began is over. */
async function look(ms = MINUTE): Promise<void> {
  await machine.pass(ms);
  await new Promise((resolve) => setTimeout(resolve, 30));
}

test('readers see what is known: the time of the boot, then the right time', async () => {
  await machine.pass(5 * SECOND);
  await stamp();
  await machine.pass(5 * SECOND);
  await stamp();
  expect(await times()).toEqual([BUILT + 5 * SECOND, BUILT + 10 * SECOND]);
  await becomeKnown(TRUE);
  await stamp();
  expect(await times()).toEqual([TRUE - 5 * SECOND, TRUE, TRUE + 10 * SECOND]);
});

test('what is put right is a batch as Kafka has it, and the card keeps what it was given', async () => {
  await stamp();
  const before = (await (await partition()).read(0, 1000))[0]!;
  expect(unsureBootIn(before)).toBe(1);
  await becomeKnown(TRUE);
  const [after] = await (await partition()).read(0, 1000);
  const header = readBatchHeader(after!);
  expect(header).toMatchObject({ attributes: 0, baseSequence: -1, producerId: -1, baseOffset: 0 });
  // The CRC is right: another topic takes it.
  const copy = opened.log.ensureTopic('copy').partitions[0]!;
  expect(await settled(copy.append(Buffer.from(after!)))).toMatchObject({ baseOffset: 0 });
  expect(unsureBootIn(before)).toBe(1);
});

test('where records have the time of their commit it is known by then, whatever was known when they came', async () => {
  await partition({ timestampType: 'LogAppendTime' });
  const batch = encodeBatch([{ timestampMs: machine.times.clock.wallMs(), key: null, value: null }]);
  stampBoot(batch, machine.times.clock.doubt!.boot);
  await becomeKnown(TRUE);
  await settled((await partition()).gather({ take: () => batch }).done());
  expect(await times()).toEqual([TRUE + 10 * SECOND]);
  const [stored] = await (await partition()).read(0, 1000);
  expect(unsureBootIn(stored!)).toBeUndefined();
  expect(checkBatch(stored!)).toMatchObject({ attributes: 8, baseSequence: -1, producerId: -1 });
});

test('over restarts and boots, out of sealed segments and unsealed ones', async () => {
  await stamp(300_000);
  await stamp(300_000);
  await restart();
  await machine.pass(MINUTE);
  await stamp();
  await becomeKnown(TRUE);
  await stamp(300_000);
  const known = [TRUE - MINUTE, TRUE - MINUTE, TRUE, TRUE + 10 * SECOND];
  expect(await times()).toEqual(known);
  expect(opened.store.sealed().length).toBeGreaterThan(0);
  await restart();
  expect(await times()).toEqual(known);
  // Another boot, which does not know the time: what is known of the one before stays.
  await reboot();
  await stamp();
  const unsure = (await times()).at(-1)!;
  expect(await times()).toEqual([...known, unsure]);
  expect(unsure).toBeLessThan(TRUE);
  await becomeKnown(TRUE + DAY);
  expect(await times()).toEqual([...known, TRUE + DAY]);
});

test('a boot that ends before its time was known stays unsure: it keeps its order, and says so', async () => {
  await stamp();
  await reboot();
  await machine.pass(SECOND);
  await stamp();
  await becomeKnown(TRUE);
  expect(await times()).toEqual([BUILT, TRUE]);
  expect(unsureBootIn((await (await partition()).read(0, 1000))[0]!)).toBe(1);
  expect(opened.log.status()).toBeDefined();
  expect(machine.times.status().unknownBoots).toBe(1);
});

test("a client's time stays the client's, whatever the clock", async () => {
  const own = TRUE - YEAR;
  await settled((await partition()).append(batchOf(0, 1, { timestampMs: own })));
  // Nor does a client make a batch of a boot: the mark means nothing that comes from elsewhere.
  const marked = batchOf(1, 1, { timestampMs: own });
  stampBoot(marked, 1);
  await settled((await partition()).append(marked));
  await becomeKnown(TRUE);
  expect(await times()).toEqual([own, own]);
});

test("in a topic with the time of the append a client's batch is put right as well", async () => {
  const t = (await opened.log.createTopic('t', { timestampType: 'LogAppendTime' })).partitions[0]!;
  const { appendTimeMs } = await settled(t.append(batchOf(0, 2, { timestampMs: TRUE - YEAR })));
  expect(inSeconds(appendTimeMs!)).toBe(BUILT);
  expect(await times()).toEqual([BUILT, BUILT]);
  await becomeKnown(TRUE);
  expect(await times()).toEqual([TRUE, TRUE]);
});

test('a search by time finds what was stamped before the time was known', async () => {
  for (let index = 0; index < 4; index++) {
    await stamp(100_000);
    await machine.pass(SECOND);
  }
  // By what they bear as yet.
  expect(await (await partition()).offsetAtTime(BUILT + 1.5 * SECOND)).toMatchObject({ offset: 2 });
  await becomeKnown(TRUE);
  const found = await (await partition()).offsetAtTime(TRUE - 2.5 * SECOND);
  expect({ ...found, timestampMs: inSeconds(found!.timestampMs) }).toEqual({
    offset: 2,
    timestampMs: TRUE - 2 * SECOND,
  });
  expect(await (await partition()).offsetAtTime(TRUE)).toBeUndefined();
  await restart();
  expect(await (await partition()).offsetAtTime(TRUE - 3.5 * SECOND)).toMatchObject({ offset: 1 });
});

test('by age nothing goes while nobody knows the time, and by the right age once it is known', async () => {
  const t = await partition({ retentionMs: HOUR });
  await stamp();
  await look(3 * HOUR);
  expect(t.logStart).toBe(0);
  await stamp();
  await becomeKnown(TRUE);
  await look();
  // The first is three hours old; both lie in one segment, whose newest decides.
  expect(t.logStart).toBe(0);
  await look(HOUR);
  await until('both go', () => t.logStart === 2);
});

test('what a boot stamped whose time is never known goes when it is too old at best', async () => {
  const t = await partition({ retentionMs: HOUR });
  await stamp();
  await reboot();
  await becomeKnown(TRUE);
  const again = await partition();
  await look();
  expect(again.logStart).toBe(t.logStart);
  await look(HOUR);
  await until('it goes', () => again.logStart === 1);
});

test.each([
  ['ahead', YEAR],
  ['back', -YEAR],
])('a jump by years %s deletes nothing and stalls nothing, also over a restart', async (_way, jumpMs) => {
  await becomeKnown(TRUE + YEAR);
  const t = await partition({ retentionMs: HOUR });
  await stamp();
  await look();
  machine.setWall(machine.wallMs() + jumpMs);
  await look(10 * SECOND);
  await stamp();
  await look();
  expect(t.logStart).toBe(0);
  await restart();
  const again = await partition();
  await stamp();
  await look();
  expect(again.logStart).toBe(0);
  expect(again.highWatermark).toBe(3);
  await look(HOUR);
  // Ahead: an hour after the jump all are old by any clock. Back: the first bears a year that is still to come.
  if (jumpMs > 0) await until('all go', () => again.logStart === 3);
  else expect(again.logStart).toBe(0);
});
