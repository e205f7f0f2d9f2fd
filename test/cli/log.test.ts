// The log's tools, on a node that runs and on the folder of one that does not: what is sound, what is damaged, and what
// comes out of one log and into another.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Damage } from '../../src/cli/log-verify.ts';
import { encodeBatch } from '../../src/formats/batch.ts';
import type { Partition } from '../../src/log/log.ts';
import { openDoor, STATUS, type OpenDoor } from '../http/open-http.ts';
import { batchOf, numbersOf, openLogFolder, readAll, upTo, type OpenLogFolder } from '../log/open-log.ts';
import { run, type Ran, type Surroundings } from './run-cli.ts';

/** A log of its own, with a door; as a node that runs, or its folder alone. */
interface Site {
  open: OpenLogFolder;
  door: OpenDoor;
  partition(topic?: string, index?: number): Partition;
  /** On the running node. */
  cli(command: string, given?: Surroundings): Promise<Ran>;
  /** Closes the door and the log, so that only the folder is there. */
  stop(): Promise<void>;
}

let sites: Site[];
let files: string;

async function openSite(name: string): Promise<Site> {
  const open = await openLogFolder();
  const door = await openDoor({ log: open.log, status: () => ({ ...STATUS, node: name }) });
  let isOpen = true;
  const site: Site = {
    open,
    door,
    partition: (topic = 'readings', index = 0) => open.log.topic(topic)!.partitions[index]!,
    cli: (command, given = {}) =>
      run(command.split(' '), { ...given, env: { HEADWATER_URL: `http://127.0.0.1:${door.room.address.port}` } }),
    async stop() {
      if (!isOpen) return;
      isOpen = false;
      await door.room.close();
      await open.log.close();
      await open.store.close();
    },
  };
  sites.push(site);
  return site;
}

beforeEach(() => {
  sites = [];
  files = mkdtempSync(join(tmpdir(), 'headwater-files-'));
});

afterEach(async () => {
  for (const site of sites) {
    await site.stop();
    rmSync(site.open.folder, { recursive: true });
  }
  rmSync(files, { recursive: true });
});

/** A site whose topic `readings` has two partitions of 300 and 50 records, in batches of 10. */
async function readings(): Promise<Site> {
  const site = await openSite('pump-7');
  await site.open.log.createTopic('readings', { partitions: 2, retentionMs: -1, durability: 'immediate' });
  for (let first = 0; first < 300; first += 10) await site.partition().append(batchOf(first, 10));
  for (let first = 0; first < 50; first += 10) await site.partition('readings', 1).append(batchOf(first, 10));
  return site;
}

/** Names, sizes and times of all files: what a command that only reads must not change. */
function lookOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((name) => {
      const { size, mtimeMs } = statSync(join(folder, name));
      return `${name} ${size} ${mtimeMs}`;
    });
}

describe('verify', () => {
  test('a sound log, on a running node and offline; and the folder is not touched', async () => {
    const site = await readings();
    const live = await site.cli('log verify');
    expect(live.out).toMatch(/^sound: 2 partitions, 35 batches, 350 records, /);
    await site.stop();
    const before = lookOf(site.open.folder);
    const offline = await run(['log', 'verify', '-o', 'json', '--data', site.open.folder]);
    expect(offline.code).toBe(0);
    expect(JSON.parse(offline.out)).toMatchObject({ ok: true, partitions: 2, batches: 35, records: 350, damage: [] });
    expect(lookOf(site.open.folder)).toEqual(before);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('headwater-shadow-'))).toEqual([]);
  });

  test('a damaged batch is told with its offsets, the others are checked', async () => {
    const site = await readings();
    await spoil(site, 120);
    const { code, out } = await site.cli('log verify readings -o json');
    expect(code).toBe(10);
    const { ok, batches, damage } = JSON.parse(out) as { ok: boolean; batches: number; damage: unknown[] };
    expect([ok, batches]).toEqual([false, 34]);
    expect(damage).toEqual([
      { topic: 'readings', partition: 0, from: 120, to: 130, what: expect.stringContaining('CRC') as string },
    ]);
    expect((await site.cli('log verify')).out).toMatch(/readings +0 +120 +129 .*CRC.*\n\nDAMAGED: 2 partitions/);
  });

  test('what cannot be read at all is passed over, to the next that can', async () => {
    const site = await readings();
    const partition = site.partition();
    const read = partition.read.bind(partition);
    const { HeadwaterError } = await import('../../src/errors.ts');
    partition.read = async (offset, bytesMax) => {
      const batches = await read(offset, bytesMax);
      const first = Math.floor(offset / 10);
      // Batches of 70 to 139 lie in a table file that is broken.
      if (batches.some((_batch, index) => first + index >= 7 && first + index < 14)) {
        throw new HeadwaterError('STORE_CORRUPT', 'the table file is broken');
      }
      return batches;
    };
    const { code, out } = await site.cli('log verify -o json');
    expect(code).toBe(10);
    const { records, damage } = JSON.parse(out) as { records: number; damage: object[] };
    expect(damage).toEqual([{ topic: 'readings', partition: 0, from: 70, to: 140, what: 'the table file is broken' }]);
    expect(records).toBe(350 - 70);
  });

  test('a card that is damaged is looked at as it is: what is sound is counted, and no byte of it is changed', async () => {
    const site = await openSite('pump-7');
    await site.open.log.createTopic('readings', { retentionMs: -1 });
    for (let first = 0; first < 400; first += 10) await site.partition().append(batchOf(first, 10, { bytes: 3000 }));
    await site.stop();
    const tables = readdirSync(join(site.open.folder, 'segments'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ldb'))
      .map((name) => join(site.open.folder, 'segments', name));
    const [first = ''] = tables.toSorted();
    const bytes = readFileSync(first);
    bytes[Math.floor(bytes.length / 2)]! ^= 0xff;
    writeFileSync(first, bytes);
    const before = lookOf(site.open.folder);
    const { code, out } = await run(['log', 'verify', 'readings', '-o', 'json', '--data', site.open.folder]);
    expect(code).toBe(10);
    const { records, damage } = JSON.parse(out) as { records: number; damage: Damage[] };
    expect(damage.map(({ what }) => what)).toEqual([expect.stringMatching(/^lost: segment \d+: .*wrong checksum/)]);
    const lost = damage.reduce((sum, { from, to }) => sum + to - from, 0);
    expect(lost).toBeGreaterThan(0);
    expect(records).toBe(400 - lost);
    expect(lookOf(site.open.folder)).toEqual(before);
  });

  test('a table that nobody names is not written through a link', async () => {
    const site = await readings();
    await site.stop();
    // LevelDB gives this number to the table that it makes of its log when it is opened.
    const folder = join(site.open.folder, 'segments', '00000001');
    const orphan = join(folder, '000005.ldb');
    for (let number = 4; number < 9; number += 1) {
      const path = join(folder, `00000${number}.ldb`);
      if (!existsSync(path)) writeFileSync(path, 'half of a table');
    }
    const before = lookOf(site.open.folder);
    expect((await run(['log', 'verify', '--data', site.open.folder])).out).toContain('350 records');
    expect(lookOf(site.open.folder)).toEqual(before);
    expect(readFileSync(orphan, 'utf8')).toBe('half of a table');
  });

  test('a terminal sees how far it is', async () => {
    const site = await openSite('pump-7');
    await site.open.log.createTopic('readings');
    for (let first = 0; first < 20; first += 1) await site.partition().append(batchOf(first, 1, { bytes: 500_000 }));
    const slow = site.partition();
    const read = slow.read.bind(slow);
    slow.read = async (...range) => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      return read(...range);
    };
    const { err } = await site.cli('log verify', { isTerminal: true });
    expect(err.split('\r\u001b[K')[1]).toMatch(/^verified [\d.]+ [kM]B, \d+ %, /);
  });

  test('a folder that a node has open is left alone, with the reason', async () => {
    const site = await readings();
    const { code, err } = await run(['log', 'verify', '--data', site.open.folder]);
    expect(code).toBe(75);
    expect(err).toContain(`in use by process ${process.pid}`);
    expect(err).toContain('without --data');
  });

  test('a folder that holds no log is a mistake of usage', async () => {
    const { code, err } = await run(['log', 'verify', '--data', files]);
    expect([code, err]).toEqual([2, expect.stringContaining('holds no log of headwater')]);
  });
});

/** Turns a bit in the batch that holds `offset`, on its way to whoever reads. */
async function spoil(site: Site, offset: number): Promise<void> {
  const partition = site.partition();
  const spoilt = (batch: Buffer): Buffer => {
    if (Number(batch.readBigInt64BE(0)) !== offset) return batch;
    const copy = Buffer.from(batch);
    copy[70]! ^= 1;
    return copy;
  };
  for (const way of ['read', 'readStable'] as const) {
    const read = partition[way].bind(partition);
    partition[way] = async (from, bytesMax) => (await read(from, bytesMax)).map(spoilt);
  }
}

describe('dump', () => {
  test('one line a batch, from where it is asked for', async () => {
    const site = await readings();
    await site.partition().append(batchOf(300, 3, { producerId: 7, producerEpoch: 1, baseSequence: 0 }));
    const { out, code } = await site.cli('log dump readings -p 0 --offset 285:');
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toEqual([
      expect.stringMatching(/^readings\/0 {2}280\.\.289 {2}10 records, \d+ B, none, 2023-11-14T22:13:20\.000Z\.\./),
      expect.stringMatching(/^readings\/0 {2}290\.\.299 /),
      expect.stringMatching(/^readings\/0 {2}300\.\.302 {2}3 records, .*, producer 7\/1 from 0$/),
    ]);
  });

  test('as JSON with the records, offline', async () => {
    const site = await readings();
    const records = [{ timestampMs: 5, key: null, value: Buffer.from('v'), headers: [{ key: 'node', value: null }] }];
    await site.partition('readings', 1).append(encodeBatch(records));
    await site.stop();
    const { out } = await run([
      'log',
      'dump',
      'readings',
      '-o',
      'json',
      '-r',
      '--offset',
      '-1',
      '-p',
      '1',
      '--data',
      site.open.folder,
    ]);
    expect(JSON.parse(out)).toMatchObject({
      topic: 'readings',
      partition: 1,
      baseOffset: 50,
      lastOffset: 50,
      compression: 'none',
      each: [{ offset: 50, timestampMs: 5, keyBytes: null, valueBytes: 1, headers: ['node'] }],
    });
  });

  test('so many and no more, and damage where it is', async () => {
    const site = await readings();
    expect((await site.cli('log dump readings -n 3')).out.split('\n')).toHaveLength(4);
    await spoil(site, 10);
    expect((await site.cli('log dump readings --offset :30')).out).toContain('readings/0  10..19  DAMAGED: ');
  });
});

describe('export and import', () => {
  const path = (name: string): string => join(files, name);

  async function kept(site: Site, topic = 'readings', index = 0): Promise<number[]> {
    return numbersOf(await readAll(site.partition(topic, index)));
  }

  test('from a card that was carried to town into a node there, once, however often', async () => {
    const site = await readings();
    await site.open.log.alterTopic('readings', { cleanup: 'compact,delete' });
    await site.stop();
    const before = lookOf(site.open.folder);
    const exported = await run(['log', 'export', path('a.hwx'), '--data', site.open.folder]);
    expect(exported).toMatchObject({ code: 0, out: expect.stringContaining('2 partitions, 350 records') as string });
    expect(lookOf(site.open.folder)).toEqual(before);
    const town = await openSite('town');
    const first = await town.cli(`log import ${path('a.hwx')} -o json`);
    expect(JSON.parse(first.out)).toMatchObject({ isWhole: true, partitions: 2, records: 350, skipped: 0 });
    const second = await town.cli(`log import ${path('a.hwx')} -o json`);
    expect(JSON.parse(second.out)).toMatchObject({ records: 0, skipped: 350 });
    expect(await kept(town)).toEqual(upTo(300));
    expect(await kept(town, 'readings', 1)).toEqual(upTo(50));
    const settings = { partitions: 2, retentionMs: -1, cleanup: 'compact,delete', durability: 'immediate' };
    expect(town.partition().topic.settings).toMatchObject(settings);
  });

  test('a later export brings what is new', async () => {
    const site = await readings();
    await site.cli(`log export ${path('a.hwx')} readings`);
    await site.partition().append(batchOf(300, 5));
    await site.cli(`log export ${path('b.hwx')}`);
    const town = await openSite('town');
    await town.cli(`log import ${path('a.hwx')}`);
    expect((await town.cli(`log import ${path('b.hwx')}`)).out).toMatch(/: 5 records, .*; 350 were here already\n$/);
    expect(await kept(town)).toEqual(upTo(305));
  });

  test('a file that was cut while it was copied: what is there comes in, it is said, and repeated it is whole', async () => {
    const site = await readings();
    await site.cli(`log export ${path('a.hwx')}`);
    const whole = readFileSync(path('a.hwx'));
    const town = await openSite('town');
    // In the middle of the batches of the second partition.
    writeFileSync(path('cut.hwx'), whole);
    truncateSync(path('cut.hwx'), whole.length - 500);
    const cut = await town.cli(`log import ${path('cut.hwx')}`);
    expect([cut.code, cut.err]).toEqual([1, expect.stringContaining('Copy it again and repeat, nothing is doubled')]);
    expect(await kept(town)).toEqual(upTo(300));
    expect((await town.cli(`log import ${path('a.hwx')}`)).code).toBe(0);
    expect(await kept(town)).toEqual(upTo(300));
    expect(await kept(town, 'readings', 1)).toEqual(upTo(50));
  });

  test('a file is verified without any log', async () => {
    const site = await readings();
    await site.cli(`log export ${path('a.hwx')}`);
    const sound = await run(['log', 'verify', '--file', path('a.hwx'), '-o', 'json']);
    expect([sound.code, JSON.parse(sound.out)]).toMatchObject([
      0,
      { ok: true, partitions: 2, records: 350, damage: [] },
    ]);
    const whole = readFileSync(path('a.hwx'));
    writeFileSync(path('cut.hwx'), whole.subarray(0, -500));
    const cut = await run(['log', 'verify', '--file', path('cut.hwx')]);
    expect([cut.code, cut.out]).toEqual([10, expect.stringContaining('the file is cut')]);
    whole[whole.length - 300]! ^= 1;
    writeFileSync(path('bad.hwx'), whole);
    const bad = await run(['log', 'verify', '--file', path('bad.hwx')]);
    expect([bad.code, bad.out]).toEqual([10, expect.stringContaining('is damaged')]);
  });

  test('into a folder of a node that does not run, under another name', async () => {
    const site = await readings();
    await site.cli(`log export ${path('a.hwx')}`);
    const town = await openSite('town');
    await town.stop();
    const args = ['log', 'import', path('a.hwx'), '--rename', '{node}.{topic}', '--data', town.open.folder];
    expect((await run(args)).out).toContain('350 records');
    expect((await run(args)).out).toContain('350 were here already');
    const { out } = await run(['topics', 'list', '-o', 'json', '--data', town.open.folder]);
    expect(JSON.parse(out)).toMatchObject([{ name: 'pump-7.readings', partitions: 2, records: 350 }]);
    const consumed = await run(['consume', 'pump-7.readings', '-p', '1', '--data', town.open.folder]);
    expect(consumed.out).toBe(
      upTo(50)
        .map((each) => `${each}\n`)
        .join(''),
    );
  });

  test('records that are older than the retention here are told of: they would go soon', async () => {
    const site = await readings();
    await site.cli(`log export ${path('a.hwx')}`);
    const town = await openSite('town');
    // They are of 2023.
    await town.open.log.createTopic('readings', { partitions: 2, retentionMs: 86_400_000 });
    const { code, err } = await town.cli(`log import ${path('a.hwx')}`);
    expect([code, err]).toEqual([0, expect.stringContaining('raise topics.readings.retention')]);
    expect((await town.cli(`log import ${path('a.hwx')}`)).err).toBe('');
  });

  test('as JSON lines, for produce', async () => {
    const site = await readings();
    expect((await site.cli(`log export ${path('a.jsonl')} readings -f jsonl`)).code).toBe(0);
    const town = await openSite('town');
    await town.open.log.createTopic('readings', { partitions: 2 });
    await town.cli('produce readings -f jsonl', { input: readFileSync(path('a.jsonl')) });
    expect(await kept(town, 'readings', 1)).toEqual(upTo(50));
    expect(await site.cli(`log export ${path('b.jsonl')} -f jsonl`)).toMatchObject({
      code: 2,
      err: expect.stringContaining('name one') as string,
    });
  });

  test('what is damaged is left out and said, and can come in later from elsewhere', async () => {
    const site = await readings();
    await site.cli(`log export ${path('sound.hwx')}`);
    await spoil(site, 120);
    const { code, err } = await site.cli(`log export ${path('a.hwx')}`);
    expect([code, err]).toEqual([10, expect.stringContaining('left out: readings/0 from offset 120 to 129')]);
    const town = await openSite('town');
    await town.cli(`log import ${path('a.hwx')}`);
    expect(await kept(town)).toHaveLength(290);
    await town.cli(`log import ${path('sound.hwx')}`);
    expect((await kept(town)).toSorted((a, b) => a - b)).toEqual(upTo(300));
  });

  test('what cannot be done is told with what to do', async () => {
    const site = await readings();
    await site.cli(`log export ${path('a.hwx')}`);
    expect(await site.cli(`log export ${path('a.hwx')}`)).toMatchObject({
      code: 2,
      err: expect.stringContaining('is there already') as string,
    });
    expect(await site.cli(`log export ${path('none/a.hwx')}`)).toMatchObject({
      code: 2,
      err: expect.stringContaining("can't be written") as string,
    });
    expect(await site.cli(`log export ${path('b.hwx')} nothing`)).toMatchObject({ code: 4 });
    expect(readdirSync(files)).toEqual(['a.hwx']);
    expect(await site.cli(`log import ${path('b.hwx')}`)).toMatchObject({
      code: 2,
      err: expect.stringContaining("can't be read") as string,
    });
    writeFileSync(path('text'), 'just a text file');
    expect(await site.cli(`log import ${path('text')}`)).toMatchObject({
      code: 1,
      err: expect.stringContaining('no export of headwater') as string,
    });
    const town = await openSite('town');
    await town.open.log.createTopic('readings');
    const few = await town.cli(`log import ${path('a.hwx')}`);
    expect([few.code, few.err]).toEqual([2, expect.stringContaining('set topics.readings.partitions to 2')]);
    expect(await town.cli(`log import ${path('a.hwx')} --rename {nod}`)).toMatchObject({ code: 2 });
  });
});
