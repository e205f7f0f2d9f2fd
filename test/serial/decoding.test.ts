// What becomes of a port's frames by its rule: records, the side topic, counts. The rules themselves are in test/decode/.

import { expect, test } from 'vitest';
import type { ClockDoubt } from '../../src/clock.ts';
import { unsureBootIn } from '../../src/formats/batch.ts';
import { openIntake } from '../../src/intake/intake.ts';
import type { FramedRecord, Framing, FramingNeeds, Receipt } from '../../src/serial/framing.ts';
import { fits, type DecodingConfig } from '../../src/serial/decode-settings.ts';
import { withDecoding } from '../../src/serial/decoding.ts';
import { openSerial, type Serial } from '../../src/serial/serial.ts';
import { createTrace } from '../../src/trace.ts';
import { decoderOf } from '../decode/rules.ts';
import { fakeClock, type FakeClock } from '../fakes/clock.ts';
import { gatherLog, type GatherLog } from '../fakes/gather-log.ts';
import { fakePorts } from '../fakes/serial-port.ts';
import { serialPorts } from '../parts/serial-settings.ts';

const path = '/dev/meter';

interface Bench {
  serial: Serial;
  fake: GatherLog;
  clock: FakeClock;
  /** Sends as the device, and commits. */
  send(bytes: Buffer | string): void;
  /** The records of a topic as text. */
  seen(
    topic: string,
  ): { key: string | undefined; value: string; timestampMs: number; headers: Record<string, string> }[];
}

async function bench(settings: Record<string, unknown>): Promise<Bench> {
  const ports = fakePorts();
  const fake = gatherLog();
  const clock = fakeClock();
  const trace = createTrace({ write: () => undefined, clock });
  const intake = openIntake({ log: fake.log, routes: [], nodeName: 'n', clock, trace });
  ports.plug(path);
  const serial = await openSerial({
    ports: serialPorts({ path, topic: 'meter', ...settings }),
    intake,
    clock,
    trace,
    openPort: ports.openPort,
  });
  await new Promise((resolve) => void setImmediate(resolve));
  return {
    serial,
    fake,
    clock,
    send(bytes) {
      ports.send(path, bytes);
      fake.commit();
    },
    seen: (topic) =>
      fake.records(topic).map(({ key, value, timestampMs, headers }) => ({
        key: key?.toString(),
        value: String(value),
        timestampMs,
        headers: Object.fromEntries(headers.map((each) => [each.key, String(each.value)])),
      })),
  };
}

const CSV = {
  csv: {
    columns: [
      { name: 'id', type: 'text' },
      { name: 't', unit: 'degC' },
    ],
    header: 'id,t',
  },
  key: '{id}',
};

test('a line that fits is a record with its key, its units and its port', async () => {
  const { send, seen, clock } = await bench({ decode: CSV });
  send('a,21.50\n');
  expect(seen('meter')).toEqual([
    {
      key: 'a',
      value: '{"id":"a","t":21.50}',
      timestampMs: clock.wallMs(),
      headers: { 'serial.port': 'meter', units: '{"t":"degC"}' },
    },
  ]);
});

test('a line that does not fit is in the side topic as it came, and says why', async () => {
  const { serial, send, seen, clock } = await bench({ decode: CSV });
  send('a,x\nb,1\n');
  expect(seen('meter').map(({ value }) => value)).toEqual(['{"id":"b","t":1}']);
  const reason = 'column 2, t, is "x", which is no number';
  expect(seen('meter.undecoded')).toEqual([
    {
      key: 'meter',
      value: 'a,x',
      timestampMs: clock.wallMs(),
      headers: { 'serial.port': 'meter', 'decode.rule': 'csv of 2 columns', 'decode.reason': reason },
    },
  ]);
  expect(serial.status()[0]).toMatchObject({
    records: 2,
    invalid: 1,
    details: { decoding: { decoded: 1, undecoded: 1, failedTopics: ['meter.undecoded'], lastReason: reason } },
  });
  const counted = serial.metrics().find(({ name }) => name === 'serial_undecoded_total');
  expect(counted?.samples).toEqual([{ labels: { port: 'meter' }, value: 1 }]);
});

test('a rule that fits nothing at all is a problem in the status, and no longer once something fits', async () => {
  const { serial, send } = await bench({ decode: CSV });
  send('x\ny\n');
  const problem = 'none of 2 frames fits the rule for decoding: the line has 1 column and should have 2: "y"';
  expect(serial.status()[0]?.problems).toContain(problem);
  send('a,1\n');
  expect(serial.status()[0]?.problems).not.toContainEqual(expect.stringContaining('none of'));
});

test('another side topic can be named', async () => {
  const { send, seen } = await bench({ decode: { utf8: true, failed: { topic: 'odd' } } });
  send(Buffer.from([0xff, 0x0a, 0x41, 0x0a]));
  expect(seen('meter').map(({ value }) => value)).toEqual(['A']);
  expect(seen('odd')).toHaveLength(1);
});

test('a line of headings makes no record, and is counted', async () => {
  const { serial, send, seen } = await bench({ decode: CSV });
  send('id,t\na,1\nid,t\n');
  expect(seen('meter')).toHaveLength(1);
  expect(serial.status()[0]?.details).toMatchObject({ decoding: { headings: 2, undecoded: 0 } });
});

test("while nobody knows the time, a device's own is kept apart from what is put right later", async () => {
  const time = { field: 'ts', unit: 'ms' };
  const { fake, send, seen, clock } = await bench({ decode: { csv: { columns: [{ name: 'ts' }] }, time } });
  const doubt: ClockDoubt = { boot: 7, bootId: '5f1d', upMs: () => 0, records: 0 };
  Object.assign(clock, { doubt });
  const arrivedMs = clock.wallMs();
  send(`${arrivedMs - 5000}\n12\n`);
  expect(fake.batches('meter').map(unsureBootIn)).toEqual([undefined, 7]);
  expect(seen('meter').map(({ headers }) => 'headwater.clock' in headers)).toEqual([false, true]);
});

test('a record has the time of its field where that can be believed', async () => {
  const time = { field: 'ts', unit: 'ms' };
  const { serial, send, seen, clock } = await bench({ decode: { csv: { columns: [{ name: 'ts' }] }, time } });
  const arrivedMs = clock.wallMs();
  send(`${arrivedMs - 5000}\n12\n`);
  const [first, second] = seen('meter');
  expect(first).toMatchObject({ timestampMs: arrivedMs - 5000, headers: { 'serial.port': 'meter' } });
  expect(second?.timestampMs).toBe(arrivedMs);
  expect(second?.headers['time.doubt']).toMatch(/^ts is "12", .* before its arrival$/);
  expect(serial.status()[0]?.details).toMatchObject({ decoding: { decoded: 2, doubtedTimes: 1 } });
});

test('frames of other framings are decoded as well', async () => {
  const struct = {
    endian: 'big',
    fields: [
      { name: 'id', type: 'u8' },
      { name: 'w', type: 'i16', scale: 0.1 },
    ],
  };
  const { send, seen } = await bench({ framing: 'fixed', length: 3, decode: { struct, key: '{port}/{id}' } });
  send(Buffer.from([7, 0xff, 0xfe, 8, 0, 215]));
  expect(seen('meter').map(({ key, value }) => [key, value])).toEqual([
    ['meter/7', '{"id":7,"w":-0.2}'],
    ['meter/8', '{"id":8,"w":21.5}'],
  ]);
});

test('without a rule the bytes stay as they are', async () => {
  const { serial, send, seen } = await bench({});
  send('a,1\n');
  expect(seen('meter').map(({ value }) => value)).toEqual(['a,1']);
  expect(serial.status()[0]?.details).toBeUndefined();
});

/** What a framing's records become, as they are handed on. */
function handedOn(records: FramedRecord[], channels: DecodingConfig['channels'] = []): FramedRecord[] {
  const taken: FramedRecord[] = [];
  const clock = fakeClock();
  const trace = createTrace({ write: () => undefined, clock });
  const needs = { portName: 'p', clock, trace, take: (record: FramedRecord) => void taken.push(record) };
  let take: FramingNeeds['take'] | undefined;
  withDecoding({ topic: undefined, decoder: decoderOf(CSV), channels }, needs as unknown as FramingNeeds, (inner) => {
    take = inner.take;
    return {} as Framing;
  });
  for (const record of records) take!(record);
  return taken;
}

test('what the device is owed for a record goes with it, whatever becomes of it', () => {
  const receipt: Receipt = { marks: () => [['seq', Buffer.from('1')]], settled: () => undefined };
  const frame = { timestampMs: 1, receipt };
  const [good, bad, heading] = handedOn([
    { ...frame, value: Buffer.from('a,1') },
    { ...frame, value: Buffer.from('a') },
    { ...frame, value: Buffer.from('id,t') },
  ]);
  expect(good).toMatchObject({ receipt, key: Buffer.from('a') });
  expect(bad).toMatchObject({ receipt, topic: 'boiler.undecoded' });
  // A device that waits for an acknowledgement gets it: its line is kept, though it is no reading.
  expect(heading).toMatchObject({ receipt, topic: 'boiler.undecoded', value: Buffer.from('id,t') });
});

test('what is no frame of the device is not decoded', () => {
  const gap = { value: Buffer.from('{"gap":3}'), timestampMs: 1, isDecoded: true };
  expect(handedOn([gap])).toEqual([gap]);
});

test('a channel has its own rule, topic and side topic; the first pattern that fits decides', () => {
  const decoder = decoderOf({ struct: { fields: [{ name: 't', type: 'i8' }] }, key: '{channel}' });
  const channels = [
    { pattern: 'env/raw', topic: 'raw', decoder: undefined },
    { pattern: 'env/*', topic: 'climate', decoder },
  ];
  const frame = { value: Buffer.from([21]), timestampMs: 1 };
  const [env, raw, other, bad] = handedOn(
    [
      { ...frame, channel: 'env/t1' },
      { ...frame, channel: 'env/raw' },
      { ...frame, channel: 'x', value: Buffer.from('a,1') },
      { ...frame, channel: 'env/t2', value: Buffer.alloc(2) },
    ],
    channels,
  );
  expect(env).toMatchObject({ topic: 'climate', value: Buffer.from('{"t":21}'), key: Buffer.from('env/t1') });
  expect(raw).toMatchObject({ topic: 'raw', value: frame.value });
  expect(other).toMatchObject({ value: Buffer.from('{"id":"a","t":1}') });
  expect(other?.topic).toBeUndefined();
  expect(bad).toMatchObject({ topic: decoder.failedTopic, value: Buffer.alloc(2) });
});

test.each<[string, string, boolean]>([
  ['env/t', 'env/t', true],
  ['env/t', 'env/t1', false],
  ['*', '', true],
  ['env/*', 'env/', true],
  ['env/*', 'en', false],
  ['*/t', 'env/t', true],
  ['a*b*c', 'a-bb-c', true],
  ['a*b*c', 'acb', false],
  ['ab*ba', 'aba', false],
])('the pattern %s on %s: %s', (pattern, name, isFit) => {
  expect(fits(pattern, name)).toBe(isFit);
});
