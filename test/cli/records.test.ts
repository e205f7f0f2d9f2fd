// produce, consume, topics and status against an HTTP door over a log in memory.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDoor, STATUS, type OpenDoor } from '../http/open-http.ts';
import { until } from '../parts/until.ts';
import { run, type Ran, type Surroundings } from './run-cli.ts';

let door: OpenDoor;
let status = STATUS;

beforeEach(async () => {
  status = STATUS;
  door = await openDoor({ status: () => status });
  await door.log.createTopic('readings', { partitions: 2 });
});

afterEach(() => door.room.close());

function cli(command: string, given: Surroundings = {}): Promise<Ran> {
  const env = { HEADWATER_URL: `http://127.0.0.1:${door.room.address.port}` };
  return run(command.split(' '), { ...given, env });
}

/** A request for each partition waits at its end: a connection alone could still be on its way there. */
function bothWait(): Promise<void> {
  const isHeard = (index: number): boolean => door.log.partition('readings', index).listeners.size > 0;
  return until('both partitions are waited for', () => isHeard(0) && isHeard(1));
}

function numbers(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, index) => `${from + index}\n`).join('');
}

describe('produce and consume', () => {
  test('lines become records, and come back as lines', async () => {
    expect(await cli('produce readings', { input: 'a\n\nb\nlast without end' })).toEqual({ code: 0, out: '', err: '' });
    expect(await cli('consume readings')).toEqual({ code: 0, out: 'a\nb\nlast without end\n', err: '' });
  });

  test('what consume writes as jsonl, produce takes', async () => {
    await cli('produce readings -k pump', { input: Buffer.from([0xff, 0x0a, 0x61, 0x0a]) });
    const { out } = await cli('consume readings -f jsonl');
    await door.log.createTopic('copy', { partitions: 2 });
    expect((await cli('produce copy -f jsonl', { input: out })).code).toBe(0);
    expect((await cli('consume copy -f jsonl')).out).toBe(out.replaceAll('"readings"', '"copy"'));
    expect(out).toContain('"key":"pump"');
    expect(out).toContain('"valueBase64":"/w=="');
  });

  test('more than one request carries is kept in order', async () => {
    const input = numbers(0, 30_000);
    await cli('produce readings', { input });
    expect((await cli('consume readings')).out).toBe(input);
  });

  test.each([
    ['-o 7', numbers(7, 10)],
    ['-o -3', numbers(7, 10)],
    ['-o 2:5', numbers(2, 5)],
    ['-o :2', numbers(0, 2)],
    ['-o -3:-1', numbers(7, 9)],
    ['-o end', ''],
    ['-o @-1h', numbers(0, 10)],
    ['-o start:end -n 2', numbers(0, 2)],
    ['-o @2020-01-31T06:00:00Z', numbers(0, 10)],
  ])('consume %s gives that range', async (options, values) => {
    await cli('produce readings -p 1', { input: numbers(0, 10) });
    expect((await cli(`consume readings -p 1 ${options}`)).out).toBe(values);
  });

  test('all partitions are read, and each has its own range', async () => {
    await cli('produce readings -p 0', { input: numbers(0, 3) });
    await cli('produce readings -p 1', { input: numbers(10, 13) });
    expect((await cli('consume readings -o -1')).out).toBe('2\n12\n');
    await cli('produce readings -p 1', { input: '13\n' });
    expect((await cli('consume readings -o 3:9')).out).toBe('13\n');
    expect(await cli('consume readings -p 7')).toMatchObject({ code: 4 });
  });

  test('follow goes on with what comes, up to the count', async () => {
    await cli('produce readings', { input: 'old\n' });
    let shown = '';
    const following = cli('consume readings --follow -o end -n 2', { onOut: (out) => (shown = out) });
    await bothWait();
    await cli('produce readings', { input: 'new\n' });
    await until('the first is shown', () => shown !== '');
    await cli('produce readings -p 1', { input: 'newer\n' });
    expect(await following).toMatchObject({ code: 0, out: 'new\nnewer\n' });
  });

  test('follow ends with 130 when it is interrupted', async () => {
    const interrupt = new AbortController();
    const following = cli('consume readings --follow', { signal: interrupt.signal });
    await bothWait();
    interrupt.abort();
    expect(await following).toMatchObject({ code: 130, err: '' });
  });

  test('an unknown topic is 4 and says how to make one', async () => {
    const commands = ['consume none', 'produce none', 'topics describe none', 'topics describe ..', 'consume ..'];
    for (const command of [...commands, 'produce .', 'topics delete ..']) {
      const { code, err } = await cli(command, { input: 'a\n' });
      expect(code).toBe(4);
      expect(err).toContain('headwater topics create');
    }
  });

  test('a partition that is not there is 4, and nobody is told to make the topic', async () => {
    for (const command of ['produce readings -p 9', 'consume readings -p 9']) {
      const { code, err } = await cli(command, { input: 'a\n' });
      expect([code, err]).toEqual([4, expect.not.stringContaining('topics create')]);
    }
  });

  test('a key or a partition for all beside records that say their own is a mistake', async () => {
    for (const option of ['-k pump', '-p 1']) {
      const { code, err } = await cli(`produce readings -f jsonl ${option}`, { input: '{"value":"a"}\n' });
      expect([code, err]).toEqual([2, expect.stringContaining('leave out -k and -p')]);
    }
    expect((await cli('consume readings')).out).toBe('');
  });

  test('a line that is no record is named, and how many were kept before it', async () => {
    const { code, err } = await cli('produce readings -f jsonl', { input: '{"value":"a"}\n{"valeu":"b"}\n' });
    expect(code).toBe(2);
    expect(err).toContain('record 2: has no field "valeu"');
  });

  test('numbers and progress are for terminals, data is for pipes', async () => {
    expect((await cli('produce readings', { input: 'a\n', isTerminal: true })).err).toBe('1 records are on the card\n');
    expect(JSON.parse((await cli('produce readings -o json', { input: 'a\n' })).out)).toEqual({
      topic: 'readings',
      records: 1,
    });
  });

  test.each(['-o x', '-o @noon', '-o 1:x', '--follow -o 1:2'])('%s is a mistake that is explained', async (options) => {
    expect((await cli(`consume readings ${options}`)).code).toBe(2);
  });
});

describe('topics', () => {
  test('create, list, describe', async () => {
    expect((await cli('topics create boiler -p 3 --retention 1d --retention-bytes 2MiB')).code).toBe(0);
    const { out } = await cli('topics list');
    expect(out.split('\n')[1]).toMatch(/^boiler +3 +0 +0 +1d +2MiB +synced +refuse$/);
    expect(JSON.parse((await cli('topics list -o json')).out)).toHaveLength(2);
    expect((await cli('topics describe boiler')).out).toMatch(/FIRST OFFSET[^]*\n +2 +0 +0 +0 +0\n/);
    expect((await cli('topics create boiler')).code).toBe(1);
    expect((await cli('topics create other --retention 5')).code).toBe(2);
    expect((await cli('topics create other --durability relaxed')).out).toMatch(/ relaxed +refuse\n$/);
    expect((await cli('topics create newest --when-full drop-oldest')).out).toMatch(/ drop-oldest\n$/);
    expect((await cli('topics alter newest --when-full refuse --retention 1d')).out).toMatch(/ 1d .* refuse\n$/);
    expect((await cli('topics alter nothing --when-full refuse')).code).toBe(4);
    const { code, err } = await cli('topics create third --durability soon');
    expect([code, err]).toEqual([2, expect.stringContaining('durability: synced or immediate or relaxed')]);
  });

  test('delete asks for a yes', async () => {
    await cli('produce readings', { input: 'a\n' });
    const { code, err } = await cli('topics delete readings');
    expect([code, err]).toEqual([2, expect.stringContaining('its 1 records would be gone for ever')]);
    expect((await cli('topics delete readings --yes')).code).toBe(0);
    expect(door.log.topic('readings')).toBeUndefined();
  });
});

describe('status', () => {
  test('it answers the three questions', async () => {
    const { code, out } = await cli('status');
    expect(code).toBe(0);
    for (const said of ['pump-7: headwater 1.2.3', 'healthy', 'mqtt', 'no mirror is configured'])
      expect(out).toContain(said);
    expect(JSON.parse((await cli('status -o json')).out)).toEqual(STATUS);
  });

  test('a node that is not healthy ends it with 10, and says why', async () => {
    status = { ...STATUS, health: { ok: false, reasons: ['the card is full'] } };
    const { code, out } = await cli('status');
    expect(code).toBe(10);
    expect(out).toContain('! the card is full');
  });

  test('watching outlasts a node that goes away', async () => {
    const interrupt = new AbortController();
    await door.room.close();
    const watching = cli('status --watch', { signal: interrupt.signal, onOut: () => interrupt.abort() });
    expect(await watching).toMatchObject({ code: 130, out: expect.stringContaining('no headwater answers') as string });
    door = await openDoor();
  });

  test('watching goes on until it is interrupted', async () => {
    const interrupt = new AbortController();
    const { code, out } = await cli('status --watch', { signal: interrupt.signal, onOut: () => interrupt.abort() });
    expect(code).toBe(130);
    expect(out).toContain('healthy');
  });
});
