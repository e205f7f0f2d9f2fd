// Memory: at rest, under load, and with a backlog that no upstream takes.

import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../test/parts/kafka.ts';
import { memoryOf, type Memory } from '../measure.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater, type Headwater } from '../servers.ts';
import type { Stand } from '../stand.ts';

const RATE = 8_000;
const FLOOD_PACKET_BYTES = 16_000;
/** Of each of four partitions. */
const RETENTION = '4MiB';

export async function measureRss(stand: Stand): Promise<Section> {
  const restMs = stand.isQuick ? 3_000 : 10_000;
  const loadMs = stand.isQuick ? 5_000 : 30_000;
  const backlogBytes = stand.isQuick ? 200e6 : 2e9;
  const rows: [string, Memory][] = [];
  // Nobody listens there: the mirror tries, and everything waits.
  const options = { dir: stand.makeFolder('rss'), upstream: `127.0.0.1:${await freePort()}` };

  async function rest(headwater: Headwater, name: string): Promise<void> {
    stand.progress(`rss: ${name}`);
    await sleep(restMs);
    rows.push([name, memoryOf(headwater.pid)]);
  }
  async function underLoad(headwater: Headwater, name: string): Promise<void> {
    stand.progress(`rss: ${name}`);
    const load = { port: headwater.port, payload: 'json', rate: RATE, seconds: loadMs / 1000 + 2 } as const;
    const publishing = stand.load(load);
    await Promise.race([sleep(loadMs), publishing]);
    rows.push([name, memoryOf(headwater.pid)]);
    await publishing;
  }

  async function flood(headwater: Headwater): Promise<void> {
    await stand.load({
      port: headwater.port,
      payload: 'random',
      size: FLOOD_PACKET_BYTES,
      window: 20,
      count: Math.ceil(backlogBytes / FLOOD_PACKET_BYTES),
    });
  }
  /** Beside what follows: what a flood costs that leaves nothing behind. */
  async function withoutBacklog(): Promise<void> {
    const headwater = await startHeadwater(stand, { dir: stand.makeFolder('rss-kept'), retention: RETENTION });
    stand.progress(`rss: a flood of ${backlogBytes / 1e9} GB that is not kept`);
    await flood(headwater);
    rows.push([`just after a flood that is not kept`, memoryOf(headwater.pid)]);
    await rest(headwater, `at rest after that flood`);
    await headwater.stop();
  }

  await withoutBacklog();
  let headwater = await startHeadwater(stand, options);
  await rest(headwater, `at rest, after ${restMs / 1000} s`);
  await underLoad(headwater, `at ${RATE} messages/s, after ${loadMs / 1000} s`);
  stand.progress(`rss: a backlog of ${backlogBytes / 1e9} GB`);
  await flood(headwater);
  const { backlog } = (await headwater.status()).mirrors[0]!;
  const gigabytes = (backlog.bytes / 1e9).toFixed(1);
  rows.push([`just after a flood that makes a backlog of ${gigabytes} GB`, memoryOf(headwater.pid)]);
  await rest(headwater, `at rest with that backlog`);
  await underLoad(headwater, `at ${RATE} messages/s with that backlog`);
  await headwater.stop();

  headwater = await startHeadwater(stand, options);
  await rest(headwater, `at rest with that backlog, after a restart`);
  await underLoad(headwater, `at ${RATE} messages/s with that backlog, after a restart`);
  await headwater.stop();
  const mib = (value: number): string => value.toFixed(0);
  const head = ['MiB', 'RSS', 'its own', 'mapped files', 'highest RSS so far'];
  const cells = rows.map(([name, memory]) => [
    name,
    mib(memory.rssMib),
    mib(memory.anonymousMib),
    mib(memory.fileMib),
    mib(memory.peakMib),
  ]);
  const how =
    `A mirror is configured, its upstream is down. A flood is ${gigabytes} GB at full speed in packets of 16 kB; ` +
    `where it is not kept there is no mirror, and four partitions keep ${RETENTION} each.`;
  return { name: 'rss', lines: [how, '', ...table(head, cells)] };
}
