// What a card is worn by: bytes written to the device for each byte of payload, while retention removes old segments.

import { makeDisk } from '../disk.ts';
import { writtenBytesOf } from '../measure.ts';
import { table, type Section } from '../report.ts';
import { startHeadwater, whenBallasted, type Headwater } from '../servers.ts';
import type { LoadOptions, LoadResult, Stand } from '../stand.ts';

/** Small, so that segments go all the time; a partition keeps so much of each run. */
const RETENTION = '4MiB';
const DISK_MIB = 2_000;
/** Retention looks every 30 s: slower than a machine can, so that a run meets it. */
const BYTES_PER_SECOND = 8e6;

interface Case {
  name: string;
  load: Omit<LoadOptions, 'port'>;
}

interface Readings {
  written: number;
  commits: number;
  commitBytes: number;
  diskBytes: number;
}

interface Wear {
  load: LoadResult;
  devicePerByte: number | undefined;
  processPerByte: number;
  commits: number;
  commitBytes: number;
  diskBytes: number;
}

export async function measureWear(stand: Stand): Promise<Section> {
  const payloadBytes = stand.isQuick ? 50e6 : 500e6;
  const count = Math.round(payloadBytes / 120);
  const per = (size: number): { rate?: number } => (stand.isQuick ? {} : { rate: BYTES_PER_SECOND / size });
  const seconds = stand.isQuick ? 5 : 60;
  const cases: Case[] = [
    { name: 'random, 120 bytes', load: { payload: 'random', count, ...per(120) } },
    { name: 'random, 1000 bytes', load: { payload: 'random', size: 1000, count: payloadBytes / 1000, ...per(1000) } },
    { name: 'JSON readings', load: { payload: 'json', count, ...per(120) } },
    { name: `JSON readings, 8000/s for ${seconds} s`, load: { payload: 'json', rate: 8_000, seconds } },
    { name: `JSON readings, 200/s for ${seconds} s`, load: { payload: 'json', rate: 200, seconds } },
  ];
  const results: Wear[] = [];
  for (const each of cases) {
    stand.progress(`wear: ${each.name}`);
    results.push(await measureCase(stand, each, results.length));
  }
  const isOwn = results.every(({ devicePerByte }) => devicePerByte !== undefined);
  const head = [
    '',
    'payload MB',
    'device bytes per payload byte',
    "the process's own share",
    'batches per payload byte',
    'commits',
    'KB a commit',
    'left on disk, MB',
  ];
  const rows = results.map((wear, index) => [
    cases[index]!.name,
    (wear.load.payloadBytes / 1e6).toFixed(1),
    (wear.devicePerByte ?? wear.processPerByte).toFixed(2),
    wear.processPerByte.toFixed(2),
    (wear.commitBytes / wear.load.payloadBytes).toFixed(2),
    String(wear.commits),
    (wear.commitBytes / wear.commits / 1e3).toFixed(1),
    (wear.diskBytes / 1e6).toFixed(0),
  ]);
  const how = isOwn
    ? 'Sectors written to an ext4 of its own on a loop device (/proc/diskstats), with its journal.'
    : "Bytes that the process wrote (write_bytes in /proc), without the file system's journal: only root can mount a disk of its own.";
  const pace = stand.isQuick ? 'At full speed where no rate is named.' : 'At 8 MB/s where no rate is named.';
  return {
    name: 'wear',
    lines: [`${how} ${pace} Four partitions that keep ${RETENTION} each; burst used up.`, '', ...table(head, rows)],
  };
}

async function measureCase(stand: Stand, { load }: Case, index: number): Promise<Wear> {
  const disk = makeDisk(stand, `wear-${index}`, DISK_MIB);
  const dir = disk === undefined ? stand.makeFolder(`wear-${index}`) : `${disk.folder}/data`;
  const headwater = await startHeadwater(stand, { dir, burst: '0ms', retention: RETENTION });
  await whenBallasted(headwater);
  const before = await readings(headwater);
  const deviceBefore = disk?.writtenBytes();
  const result = await stand.load({ ...load, port: headwater.port });
  const deviceBytes = disk === undefined ? undefined : disk.writtenBytes() - deviceBefore!;
  const after = await readings(headwater);
  await headwater.stop();
  disk?.remove();
  return {
    load: result,
    devicePerByte: deviceBytes === undefined ? undefined : deviceBytes / result.payloadBytes,
    processPerByte: (after.written - before.written) / result.payloadBytes,
    commits: after.commits - before.commits,
    commitBytes: after.commitBytes - before.commitBytes,
    diskBytes: after.diskBytes,
  };
}

async function readings(headwater: Headwater): Promise<Readings> {
  const { log } = await headwater.status();
  const { count, bytes } = log.commits;
  return { written: writtenBytesOf(headwater.pid), commits: count, commitBytes: bytes, diskBytes: log.diskBytes };
}
