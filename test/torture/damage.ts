// Bytes of one file of the store are turned over, zeroed or cut off, while the node is down or under its feet; and how many
// records those bytes held, by reading the file before.

import { open, readdir, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '../../src/formats/checksum.ts';
import type { Random } from '../fuzz/random.ts';
import { pause } from '../parts/until.ts';
import { overwrite } from '../store/damage/rows.ts';
import { underLoad, type Round } from './round.ts';
import type { Site } from './site.ts';

interface Wound {
  path: string;
  from: number;
  to: number;
  make(): Promise<void>;
  words: string;
}

const ZERO_BYTES_MAX = 64 * 1024;
const CUT_BYTES_MAX = 64 * 1024;
const BATCH_HEADER_BYTES = 61;
/** LevelDB's log has such a header at least once in each 32 KiB. */
const LOG_BLOCK_BYTES = 32 * 1024;

export async function damageRound(site: Site, random: Random): Promise<Round> {
  await underLoad(site, random);
  // What is there before: where a record was tells whether the gap is right.
  const before = await site.compare('all');
  if (before.differences.length > 0) throw new Error(before.differences.map(({ text }) => text).join('\n'));
  const isLive = random.below(3) === 0;
  if (!isLive) await site.appliance.kill();
  site.damaged = true;
  const folder = join(site.card.folder, 'data');
  const wound = await chooseWound(folder, random);
  const held = await recordsIn(wound);
  site.isEndCut = await reachesEnd(wound);
  await wound.make();
  const what = `${isLive ? 'live: ' : ''}${wound.words}`;
  if (isLive) {
    // It may notice, or end by it; a start finds what it has not noticed.
    await pause(random.below(2_000));
    await site.appliance.kill();
  }
  return { what, recoveryMs: await site.start(), held };
}

/** Half of the wounds go to what holds records. */
async function chooseWound(folder: string, random: Random): Promise<Wound> {
  const all = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((each) => each.isFile() && !/^(LOG|LOG\.old|LOCK|owner)$/.test(each.name))
    .map((each) => join(each.parentPath, each.name))
    .filter((path) => !path.includes('/quarantine/'))
    .toSorted();
  const records = all.filter((path) => /\/segments\/.*\.(ldb|log)$/.test(path));
  const sized = await Promise.all(all.map(async (path) => ({ path, size: (await stat(path)).size })));
  const some = sized.filter(({ size }) => size > 0);
  const chosen = random.pick(random.below(2) === 0 ? some.filter(({ path }) => records.includes(path)) : some);
  return woundOf(chosen.path, chosen.size, folder, random);
}

function woundOf(path: string, size: number, folder: string, random: Random): Wound {
  const name = path.slice(folder.length + 1);
  const at = random.below(size);
  const how = random.pick(['flip', 'zero', 'cut'] as const);
  if (how === 'cut') {
    const from = size - 1 - random.below(Math.min(size, CUT_BYTES_MAX));
    return { path, from, to: size, make: () => truncate(path, from), words: `${name} cut at ${from} of ${size}` };
  }
  const to = how === 'flip' ? at + 1 : Math.min(size, at + 1 + random.below(ZERO_BYTES_MAX));
  return {
    path,
    from: at,
    to,
    make: () => (how === 'zero' ? overwrite(path, at, Buffer.alloc(to - at)) : flip(path, at, 1 << random.below(8))),
    words: how === 'flip' ? `a bit of ${name} at ${at} of ${size}` : `${name} zeroed from ${at} to ${to} of ${size}`,
  };
}

async function flip(path: string, at: number, mask: number): Promise<void> {
  const file = await open(path, 'r');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.close();
  await overwrite(path, at, Buffer.of(byte[0]! ^ mask));
}

/** Of a write-ahead log: nothing is left behind the wound that would show that it is one. */
async function reachesEnd({ path, to }: Wound): Promise<boolean> {
  if (!path.endsWith('.log')) return false;
  const bytes = await readFile(path);
  return bytes.subarray(to).every((each) => each === 0);
}

/** Records of the batches of which some bytes lie in the wound. A write-ahead log cuts batches into fragments. */
async function recordsIn({ path, from, to }: Wound): Promise<number> {
  if (!/\.(ldb|log)$/.test(path)) return 0;
  const bytes = await readFile(path);
  const isLog = path.endsWith('.log');
  let records = 0;
  for (let at = bytes.indexOf(2, 16) - 16; at >= 0 && at < to; at = bytes.indexOf(2, at + 17) - 16) {
    const batch = batchAt(bytes, at, isLog);
    if (batch === undefined) continue;
    const fragments = isLog ? Math.ceil(batch.bytes / LOG_BLOCK_BYTES) * 7 : 0;
    const end = at + batch.bytes + fragments;
    if (end > from) records += batch.records;
    at = Math.max(at, end - 17);
  }
  return records;
}

/** What looks like a batch of the log: version 2, numbers that fit one another, and a right checksum where it is not cut. */
function batchAt(bytes: Buffer, at: number, isCut: boolean): { bytes: number; records: number } | undefined {
  if (at + BATCH_HEADER_BYTES > bytes.length || bytes.readUInt32BE(at) !== 0) return undefined;
  // formats/batch.ts has the drawing; it throws for what is none.
  const [batchLength, attributes, last] = [
    bytes.readInt32BE(at + 8),
    bytes.readUInt16BE(at + 21),
    bytes.readInt32BE(at + 23),
  ];
  const records = bytes.readInt32BE(at + 57);
  const isOne =
    batchLength >= BATCH_HEADER_BYTES - 12 &&
    batchLength < 2 ** 21 &&
    records > 0 &&
    records === last + 1 &&
    attributes < 64 &&
    (isCut || crc32c(bytes.subarray(at + 21, at + 12 + batchLength)) === bytes.readUInt32BE(at + 17));
  return isOne ? { bytes: batchLength + 12, records } : undefined;
}
