// Another headwater as the upstream: its Kafka door, its log, its memory of producers.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openGroups } from '../../src/groups/groups.ts';
import { openKafka, type Kafka } from '../../src/kafka/kafka.ts';
import { openTransactions } from '../../src/transactions/transactions.ts';
import { numbersOf, openLogFolder, readAll, silent, upTo, type OpenLogFolder } from '../log/open-log.ts';
import { openLink, type Link } from '../parts/link.ts';
import { openEdge, type Edge } from './real-upstream.ts';

const PARTITIONS = [0, 1];

let far: OpenLogFolder;
let door: Kafka;
let link: Link;
let edge: Edge;
beforeEach(async () => {
  far = await openLogFolder();
  door = await openKafka({ listen: { host: '127.0.0.1', port: 0 }, ...needs() });
  link = await openLink(`127.0.0.1:${door.port}`);
  await openDoor(door.port);
  edge = await openEdge({ bootstrap: [`127.0.0.1:${link.port}`] });
  await edge.folder.log.createTopic('t', { partitions: 2 });
});
afterEach(async () => {
  await edge.close();
  await link.close();
  await door.close();
  await far.remove();
});

/** Tells clients to come by way of the link. */
async function openDoor(port: number): Promise<void> {
  await door.close();
  door = await openKafka({
    listen: { host: '127.0.0.1', port },
    advertise: { host: '127.0.0.1', port: link.port },
    ...needs(),
  });
}

function needs() {
  const shared = { log: far.log, clock: systemClock, trace: silent };
  const groups = openGroups(shared);
  const offsets = { settle: groups.settle, producers: groups.stagedBy };
  return { ...shared, groups, transactions: openTransactions({ ...shared, offsets }) };
}

async function load(turns: number, disturb: (turn: number) => Promise<void> | void): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    await Promise.all(PARTITIONS.map((partition) => edge.append('t', 100, { partition, each: 20 })));
    await disturb(turn);
  }
  await edge.drained();
}

async function expectAll(count: number): Promise<void> {
  for (const partition of far.log.topic('pump-7.t')!.partitions) {
    expect(numbersOf(await readAll(partition))).toEqual(upTo(count));
  }
}

test('records arrive once through a link that is reset at random', async () => {
  await load(20, async (turn) => {
    if (turn % 2 === 0) link.resetAfter(Math.random() * 3_000);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  });
  await expectAll(2_000);
});

test('records arrive once when the upstream is started again, and when this side is', async () => {
  await load(6, async (turn) => {
    if (turn % 2 === 1) {
      await edge.restart();
      return;
    }
    const { port } = door;
    await door.close();
    await far.reopen();
    await openDoor(port);
  });
  await expectAll(600);
});
