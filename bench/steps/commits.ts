// What the commit's interval costs the card at each rate, beside a plain file that the same records are appended to and
// beside mosquitto's own persistence; and what a slow card leaves of the throughput.

import { execFileSync } from 'node:child_process';
import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { makeDisk, type Disk } from '../disk.ts';
import { cpuSecondsOf } from '../measure.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater, startMosquitto, whenBallasted } from '../servers.ts';
import { missing, type Stand } from '../stand.ts';

const sync = promisify(fdatasync);

const RATES = [20, 200, 2_000, 20_000];
const INTERVALS_MS = [1, 100, 1_000];
const RECORD_BYTES = 120;
const DISK_MIB = 600;
const SYNC_MS = 20;

export async function measureCommits(stand: Stand): Promise<Section> {
  const seconds = stand.isQuick ? 5 : 30;
  const rows: string[][] = [];
  for (const rate of stand.isQuick ? [200] : RATES) {
    stand.progress(`commits: ${rate}/s`);
    const cells = INTERVALS_MS.flatMap((ms) => [
      headwaterAt(stand, rate, ms, seconds),
      fileAt(stand, rate, ms, seconds),
    ]);
    const perByte = await Promise.all([...cells, mosquittoAt(stand, rate, seconds)]);
    rows.push([`${rate}`, ...perByte.map((each) => each?.toFixed(each < 10 ? 2 : 0) ?? 'not measured')]);
  }
  const heads = INTERVALS_MS.flatMap((ms) => [`headwater, ${ms} ms`, `file, ${ms} ms`]);
  const slow = await onSlowCard(stand, stand.isQuick ? 4 : 10);
  return {
    name: 'commits',
    lines: [
      `Device bytes per payload byte, JSON readings of ${RECORD_BYTES} bytes for ${seconds} s, each on an ext4 of its own with its journal, ` +
        `all of a row beside each other. headwater's burst is used up; the file is appended to and synced as often; mosquitto ` +
        `queues for a session that is away and saves each second, and syncs nothing before it acknowledges.`,
      '',
      ...table(['records/s', ...heads, 'mosquitto'], rows),
      '',
      `Each sync made ${SYNC_MS} ms longer, as on a card; readings over 100 connections, each with a window of 20, for as long as it takes.`,
      '',
      ...table(['', 'acknowledged/s', 'p50 ms', 'p99 ms', 'CPU us/record'], slow),
    ],
  };
}

async function headwaterAt(stand: Stand, rate: number, ms: number, seconds: number): Promise<number | undefined> {
  return onDisk(stand, `headwater-${rate}-${ms}`, async (disk) => {
    const dir = join(disk.folder, 'data');
    const headwater = await startHeadwater(stand, { dir, interval: `${ms}ms`, burst: '0ms', retention: '4MiB' });
    await whenBallasted(headwater);
    const before = disk.writtenBytes();
    const { payloadBytes } = await stand.load({ port: headwater.port, payload: 'json', rate, seconds });
    const perByte = (disk.writtenBytes() - before) / payloadBytes;
    await headwater.stop();
    return perByte;
  });
}

/** What is due is appended and synced, again and again, no oftener than each `ms`. */
function fileAt(stand: Stand, rate: number, ms: number, seconds: number): Promise<number | undefined> {
  return onDisk(stand, `file-${rate}-${ms}`, async (disk) => {
    const before = disk.writtenBytes();
    const fd = openSync(join(disk.folder, 'file'), 'a');
    const startedMs = performance.now();
    let records = 0;
    for (let nowMs = 0; nowMs < seconds * 1e3; nowMs = performance.now() - startedMs) {
      const due = Math.floor((nowMs / 1e3) * rate) - records;
      if (due > 0) {
        writeSync(fd, Buffer.alloc(due * RECORD_BYTES, 'r'));
        await sync(fd);
        records += due;
      }
      const tookMs = performance.now() - startedMs - nowMs;
      await sleep(Math.max(due > 0 ? 0 : 1, ms - tookMs));
    }
    closeSync(fd);
    return (disk.writtenBytes() - before) / (records * RECORD_BYTES);
  });
}

function mosquittoAt(stand: Stand, rate: number, seconds: number): Promise<number | undefined> {
  return onDisk(stand, `mosquitto-${rate}`, async (disk) => {
    const mosquitto = await startMosquitto(stand, disk.folder);
    keepSession(mosquitto.port);
    const before = disk.writtenBytes();
    const { payloadBytes } = await stand.load({ port: mosquitto.port, payload: 'json', rate, seconds });
    const perByte = (disk.writtenBytes() - before) / payloadBytes;
    await mosquitto.stop();
    return perByte;
  });
}

/** Leaves a session that wants all of it and is away. */
function keepSession(port: number): void {
  const args = ['-p', String(port), '-i', 'away', '-c', '-q', '1', '-t', 'plant/#', '-E'];
  try {
    execFileSync('mosquitto_sub', args, { stdio: 'pipe' });
  } catch (error) {
    throw missing('mosquitto_sub', 'mosquitto-clients', error);
  }
}

async function onDisk(
  stand: Stand,
  name: string,
  measure: (disk: Disk) => Promise<number>,
): Promise<number | undefined> {
  const disk = makeDisk(stand, `commits-${name}`, DISK_MIB);
  if (disk === undefined) return undefined;
  const perByte = await measure(disk);
  disk.remove();
  return perByte;
}

async function onSlowCard(stand: Stand, seconds: number): Promise<string[][]> {
  const shim = join(stand.makeFolder('slow-sync'), 'slow-sync.so');
  execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', shim, join(import.meta.dirname, '../slow-sync.c'), '-ldl']);
  const rows: string[][] = [];
  for (const [name, burst] of [
    ['burst used up', '0ms'],
    ['with credit', '1h'],
  ] as const) {
    stand.progress(`commits: a slow card, ${name}`);
    const dir = stand.makeFolder(`slow-${burst}`);
    const env = { LD_PRELOAD: shim, SYNC_MS: String(SYNC_MS) };
    const headwater = await startHeadwater(stand, { dir, burst, env });
    const before = cpuSecondsOf(headwater.pid);
    const options = { payload: 'json', connections: 100, window: 20, seconds } as const;
    const load = await stand.load({ port: headwater.port, ...options });
    const cpuUs = ((cpuSecondsOf(headwater.pid) - before) / load.acked) * 1e6;
    await headwater.stop();
    rows.push([name, load.perSecond.toFixed(0), load.p50Ms.toFixed(1), load.p99Ms.toFixed(1), cpuUs.toFixed(1)]);
  }
  return rows;
}
