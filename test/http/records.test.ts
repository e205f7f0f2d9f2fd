// Topics and records over REST.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { until } from '../parts/until.ts';
import { JSON_BODY, LINES_BODY, openDoor, type OpenDoor, type Reply } from './open-http.ts';

let door: OpenDoor;

beforeEach(async () => {
  door = await openDoor();
  await door.log.createTopic('readings', { partitions: 2 });
});

afterEach(() => door.room.close());

function post(path: string, body: string, headers: Record<string, string> = JSON_BODY): Promise<Reply> {
  return door.ask(path, { method: 'POST', headers, body });
}

async function keep(...values: string[]): Promise<void> {
  const timestampMs = 1_700_000_000_000;
  for (const value of values) {
    await door.log.partition('readings').append(encodeBatch([{ timestampMs, key: null, value: Buffer.from(value) }]));
  }
}

async function read(query: string, partition = 0): Promise<{ records: Record<string, unknown>[]; nextOffset: number }> {
  const { json } = await door.ask(`/topics/readings/partitions/${partition}/records${query}`);
  return json as { records: Record<string, unknown>[]; nextOffset: number };
}

function valuesOf({ records }: { records: Record<string, unknown>[] }): unknown[] {
  return records.map(({ value }) => value);
}

describe('topics', () => {
  test('a topic is made, listed, described and deleted', async () => {
    const made = await post('/topics', '{"name":"boiler","partitions":3,"retentionMs":86400000}');
    expect([made.status, made.json]).toEqual([
      201,
      {
        name: 'boiler',
        partitions: 3,
        records: 0,
        bytes: 0,
        retentionMs: 86_400_000,
        retentionBytes: -1,
        cleanup: 'delete',
        deleteRetentionMs: 86_400_000,
        compactionLagMinMs: 0,
        compactionLagMaxMs: -1,
        dirtyRatioMin: 0.5,
        pin: 'mirrored',
        durability: 'synced',
        whenFull: 'refuse',
        compression: 'producer',
        timestampType: 'CreateTime',
        timestampBeforeMs: -1,
        timestampAfterMs: -1,
        batchBytesMax: -1,
      },
    ]);
    expect(((await door.ask('/topics')).json as { name: string }[]).map(({ name }) => name)).toEqual([
      'boiler',
      'readings',
    ]);
    const described = (await door.ask('/topics/boiler')).json as { each: unknown[] };
    expect(described.each[2]).toEqual({ partition: 2, logStart: 0, highWatermark: 0, bytes: 0 });
    expect((await door.ask('/topics/boiler', { method: 'DELETE' })).json).toEqual({ deleted: 'boiler' });
    expect((await door.ask('/topics/boiler')).status).toBe(404);
    const relaxed = await post('/topics', '{"name":"draughts","durability":"relaxed"}');
    expect(relaxed.json).toMatchObject({ durability: 'relaxed' });
    const latest = await post('/topics', '{"name":"latest","cleanup":"compact","pin":"none","dirtyRatioMin":0.2}');
    expect(latest.json).toMatchObject({ cleanup: 'compact', pin: 'none', dirtyRatioMin: 0.2 });
    expect((await post('/topics', '{"name":"odd","cleanup":"sometimes"}')).status).toBe(400);
    const wrong = await post('/topics', '{"name":"doors","durability":"soon"}');
    expect(wrong.status).toBe(400);
    expect(JSON.stringify(wrong.json)).toContain('durability: synced or immediate or relaxed');
  });

  test.each([
    ['{"name":"readings"}', 409],
    ['{"name":"a b"}', 400],
    ['{}', 400],
    ['[]', 400],
    ['{"name":"a","partition":3}', 400],
    ['{"name":"a","partitions":"3"}', 400],
    ['{"name":', 400],
  ])('creating %s is answered %i', async (body, status) => {
    expect((await post('/topics', body)).status).toBe(status);
  });
});

describe('reading', () => {
  test('from an offset, from the start, the last ones, the end, and from a time on', async () => {
    await keep('a', 'b', 'c', 'd');
    expect(valuesOf(await read('?offset=1'))).toEqual(['b', 'c', 'd']);
    expect(valuesOf(await read('?offset=start&count=2'))).toEqual(['a', 'b']);
    expect(valuesOf(await read('?offset=-1'))).toEqual(['d']);
    expect(valuesOf(await read('?offset=-99'))).toEqual(['a', 'b', 'c', 'd']);
    expect(valuesOf(await read('?offset=end'))).toEqual([]);
    expect(valuesOf(await read('?offset=@0'))).toEqual(['a', 'b', 'c', 'd']);
    expect(valuesOf(await read('?offset=@1800000000000'))).toEqual([]);
  });

  test('the answer says where to go on, and going on meets every record once', async () => {
    await keep('a', 'b', 'c', 'd', 'e');
    const seen: unknown[] = [];
    for (let offset = 0; offset < 5;) {
      const part = await read(`?offset=${offset}&count=2`);
      seen.push(...valuesOf(part));
      offset = part.nextOffset;
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('a limit of bytes gives one record at least', async () => {
    await keep('a'.repeat(1000), 'b');
    expect(valuesOf(await read('?bytes=10'))).toEqual(['a'.repeat(1000)]);
  });

  test('as JSON lines the place to go on stands in the headers', async () => {
    await keep('a', 'b');
    const reply = await door.ask('/topics/readings/partitions/0/records?count=1', {
      headers: { accept: 'application/x-ndjson' },
    });
    expect(reply.text).toBe(
      '{"topic":"readings","partition":0,"offset":0,"timestamp":1700000000000,"key":null,"value":"a"}\n',
    );
    expect(reply.headers['headwater-offset']).toBe('0');
    expect(reply.headers['headwater-next-offset']).toBe('1');
    expect(reply.headers['headwater-high-watermark']).toBe('2');
  });

  test('a reader that waits is answered by the next record', async () => {
    const waiting = read('?offset=end&wait=20000');
    // A connection alone is no reader yet: its request may still be on the way, and would find the record there already.
    await until('the reader waits', () => door.log.partition('readings').listeners.size > 0);
    await keep('late');
    expect(valuesOf(await waiting)).toEqual(['late']);
  });

  test('a reader that waits in vain gets nothing, and no listener is left behind', async () => {
    expect(valuesOf(await read('?offset=end&wait=20'))).toEqual([]);
  });

  test.each([
    ['?offset=9', 416],
    ['?offset=x', 400],
    ['?count=0', 400],
    ['?count=1e3', 400],
    ['?wait=99999999', 400],
    ['?ofset=3', 400],
    ['?format=xml', 400],
  ])('%s is answered %i', async (query, status) => {
    expect((await door.ask(`/topics/readings/partitions/0/records${query}`)).status).toBe(status);
  });

  test('an unknown topic or partition is 404', async () => {
    for (const path of ['/topics/none/partitions/0/records', '/topics/readings/partitions/7/records']) {
      expect((await door.ask(path)).status).toBe(404);
    }
  });
});

describe('appending', () => {
  test('JSON lines are kept in order, and read back as they were', async () => {
    const lines = [
      '{"key":"k","value":"text","timestamp":1700000000001,"headers":[{"key":"node","value":"pump-7"}],"partition":1}',
      '{"keyBase64":"/w==","valueBase64":"AP8=","timestamp":2,"partition":1}',
      '{"value":{"t":21.5},"partition":1}',
    ];
    const reply = await post('/topics/readings/records', `${lines.join('\n')}\n`, LINES_BODY);
    expect(reply.json).toEqual({ records: 3, kept: [{ partition: 1, baseOffset: 0, count: 3 }] });
    const { records } = await read('', 1);
    expect(records[0]).toEqual({
      topic: 'readings',
      partition: 1,
      offset: 0,
      timestamp: 1_700_000_000_001,
      key: 'k',
      value: 'text',
      headers: [{ key: 'node', value: 'pump-7' }],
    });
    expect(records[1]).toMatchObject({ keyBase64: '/w==', valueBase64: 'AP8=' });
    expect(records[2]).toMatchObject({ key: null, value: '{"t":21.5}' });
  });

  test('what was read as lines can be written again', async () => {
    await keep('a', 'b');
    const lines = (await door.ask('/topics/readings/partitions/0/records?format=jsonl')).text;
    await door.log.createTopic('copy');
    expect((await post('/topics/copy/records', lines, LINES_BODY)).status).toBe(200);
    const copied = (await door.ask('/topics/copy/partitions/0/records?format=jsonl')).text;
    expect(copied).toBe(lines.replaceAll('"readings"', '"copy"'));
  });

  test('a key always goes to the same partition, no key to the first', async () => {
    const body = JSON.stringify(['a', 'b', 'c', 'd'].map((key) => ({ key, value: '' })));
    await post('/topics/readings/records', body);
    const before = [door.log.partition('readings', 0).highWatermark, door.log.partition('readings', 1).highWatermark];
    await post('/topics/readings/records', body);
    expect(door.log.partition('readings', 0).highWatermark).toBe(before[0]! * 2);
    expect(before[0]! * before[1]!).toBeGreaterThan(0);
    await post('/topics/readings/records', '{"value":"no key"}');
    expect(door.log.partition('readings', 0).highWatermark).toBe(before[0]! * 2 + 1);
  });

  test('no answer before the commit', async () => {
    const commit = door.log.hold();
    let isAnswered = false;
    const reply = post('/topics/readings/records', '{"value":"a"}').finally(() => (isAnswered = true));
    await until('the record is appended', () => door.log.partition('readings').waiting > 0);
    // Asked later and answered: a reply to the first would be here.
    for (let round = 0; round < 3; round += 1) await door.ask('/topics/readings');
    expect(isAnswered).toBe(false);
    commit.release();
    expect((await reply).json).toEqual({ records: 1, kept: [{ partition: 0, baseOffset: 0, count: 1 }] });
  });

  test('many large records become several batches', async () => {
    const body = JSON.stringify(Array.from({ length: 3 }, (_, index) => ({ value: String(index).repeat(400_000) })));
    expect((await post('/topics/readings/records', body)).status).toBe(200);
    expect(door.log.partition('readings').batches).toHaveLength(3);
    expect(valuesOf(await read('?bytes=2097152')).map((value) => (value as string)[0])).toEqual(['0', '1', '2']);
  });

  test.each([
    ['5', 'must be an object'],
    ['{"valeu":"x"}', 'no field \\"valeu\\"'],
    ['{"partition":7}', 'has no partition'],
    ['{"partition":-1}', 'partition must be'],
    ['{"timestamp":"now"}', 'timestamp must be'],
    ['{"value":"x","valueBase64":"eA=="}', 'both value and valueBase64'],
    ['{"valueBase64":"%"}', 'not base64'],
    ['{"headers":{"a":"b"}}', 'headers must be a list'],
    ['{"headers":[{"value":"b"}]}', 'must have a key'],
    ['[{"value":"good"},{"bad":1}]', 'record 2'],
  ])('%s is refused whole, saying %s', async (body, said) => {
    const reply = await post('/topics/readings/records', body);
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.status).toBeLessThan(500);
    expect(reply.text).toContain(said);
    expect(door.log.partition('readings').highWatermark).toBe(0);
  });

  test('an unknown topic is 404, not a new topic', async () => {
    expect((await post('/topics/none/records', '{"value":"x"}')).status).toBe(404);
  });
});

test('records and bytes are counted both ways, as they lie in the log and as they are written out', async () => {
  await post('/topics/readings/records', '[{"value":"a"},{"value":"b","partition":1}]');
  await post('/topics/readings/records', '{"partition":9}');
  const { text } = await door.ask('/topics/readings/partitions/0/records?format=jsonl');
  await door.ask('/topics/readings/partitions/1/records?offset=end');
  const stored = door.log.partition('readings', 0).bytes + door.log.partition('readings', 1).bytes;
  const appended = { records: 2, bytes: stored };
  const read = { records: 1, bytes: text.trimEnd().length };
  expect(door.room.status()).toMatchObject({ appended, read });
  const metrics = (await door.ask('/metrics')).text;
  for (const [name, { records, bytes }] of Object.entries({ appended, read })) {
    expect(metrics).toContain(`\nheadwater_http_${name}_records_total ${records}\n`);
    expect(metrics).toContain(`\nheadwater_http_${name}_bytes_total ${bytes}\n`);
  }
});
