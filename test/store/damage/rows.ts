// The table of damage: what happens to a LevelDB folder on a card that fails, and what may be lost by it. LevelDB itself
// answers most of these with silence, an empty database or an abort.

import { open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Damage {
  name: string;
  /** Of a segment that is sealed, of the one that is written, or of any. */
  of: 'sealed' | 'unsealed' | 'any';
  /** Damages the folder of a segment that holds one-record batches, `offset` among them. */
  make: (folder: string, offset: number) => Promise<void>;
  /** Batches of the segment that are lost: so many at most, or all of them. */
  lostMax: number | 'all';
  /** So many at least, or the damage did not hit. */
  lostMin: number;
}

export const DAMAGES: Damage[] = [
  { name: 'a byte in a value', of: 'sealed', make: (f, offset) => flip(f, '.ldb', offset, 90), lostMin: 1, lostMax: 1 },
  { name: 'a byte in a key', of: 'sealed', make: (f, offset) => flip(f, '.ldb', offset, -9), lostMin: 1, lostMax: 1 },
  {
    name: 'a byte in the write-ahead log',
    of: 'unsealed',
    make: (f, offset) => flip(f, '.log', offset, 90),
    lostMin: 1,
    lostMax: 10,
  },
  { name: 'MANIFEST cut by 10 bytes', of: 'any', make: (f) => cut(f, /^MANIFEST/, 10), lostMin: 0, lostMax: 0 },
  { name: 'MANIFEST missing', of: 'any', make: (f) => remove(f, /^MANIFEST/), lostMin: 0, lostMax: 0 },
  { name: 'CURRENT missing', of: 'any', make: (f) => remove(f, /^CURRENT$/), lostMin: 0, lostMax: 0 },
  { name: 'CURRENT empty', of: 'any', make: (f) => writeFile(join(f, 'CURRENT'), ''), lostMin: 0, lostMax: 0 },
  { name: 'a table missing', of: 'any', make: (f) => remove(f, /\.ldb$/), lostMin: 10, lostMax: 30 },
  { name: 'all tables missing', of: 'sealed', make: removeTables, lostMin: 50, lostMax: 'all' },
  { name: 'the write-ahead log missing', of: 'unsealed', make: (f) => remove(f, /\.log$/), lostMin: 1, lostMax: 40 },
  { name: 'a bad footer', of: 'any', make: (f) => zero(f, -48, 48), lostMin: 0, lostMax: 0 },
  { name: 'a bad index', of: 'any', make: (f) => zero(f, -60, 10), lostMin: 0, lostMax: 0 },
  { name: 'a table zeroed for 24 KB', of: 'any', make: (f) => zero(f, 10_000, 24 * 1024), lostMin: 8, lostMax: 20 },
  { name: 'a table zeroed as a whole', of: 'any', make: (f) => zero(f, 0, Infinity), lostMin: 10, lostMax: 30 },
  { name: 'a table cut to a half', of: 'any', make: (f) => cut(f, /\.ldb$/, 30_000), lostMin: 5, lostMax: 30 },
  { name: 'the folder missing', of: 'any', make: (f) => rm(f, { recursive: true }), lostMin: 10, lostMax: 'all' },
];

/** The first file of that kind. */
async function fileOf(folder: string, pattern: RegExp): Promise<string> {
  const name = (await readdir(folder)).toSorted().find((each) => pattern.test(each));
  if (name === undefined) throw new Error(`no ${pattern} in ${folder}`);
  return join(folder, name);
}

/** Turns a byte over, `at` bytes from where the batch of that offset begins. */
async function flip(folder: string, ending: string, offset: number, at: number): Promise<void> {
  const base = Buffer.alloc(8);
  base.writeBigInt64BE(BigInt(offset));
  for (const name of await readdir(folder)) {
    if (!name.endsWith(ending)) continue;
    const path = join(folder, name);
    const bytes = await readFile(path);
    for (let found = bytes.indexOf(base); found !== -1; found = bytes.indexOf(base, found + 1)) {
      // A batch of version 2 is there, and no key.
      if (bytes[found + 16] !== 2 || bytes.readUInt32BE(found + 57) !== 1) continue;
      await overwrite(path, found + at, Buffer.of(bytes[found + at]! ^ 0x10));
      return;
    }
  }
  throw new Error(`offset ${offset} is in no ${ending} of ${folder}`);
}

async function zero(folder: string, from: number, count: number): Promise<void> {
  const path = await fileOf(folder, /\.ldb$/);
  const { size } = await stat(path);
  const start = from < 0 ? size + from : from;
  await overwrite(path, start, Buffer.alloc(Math.min(count, size - start)));
}

export async function overwrite(path: string, at: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}

async function cut(folder: string, pattern: RegExp, bytes: number): Promise<void> {
  const path = await fileOf(folder, pattern);
  await truncate(path, (await stat(path)).size - bytes);
}

async function remove(folder: string, pattern: RegExp): Promise<void> {
  await rm(await fileOf(folder, pattern));
}

async function removeTables(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (name.endsWith('.ldb')) await rm(join(folder, name));
}
