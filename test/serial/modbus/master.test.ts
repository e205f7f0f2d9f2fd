// The framing as a whole, on a clock that the test moves: units that answer as it says, what becomes records, and writes.

import { expect, test } from 'vitest';
import type { Command, CommandOrder, Outcome } from '../../../src/commands/commands.ts';
import type { FramedRecord } from '../../../src/serial/framing.ts';
import { openModbusFraming } from '../../../src/serial/modbus-framing.ts';
import { crc16 } from '../../../src/serial/modbus/crc-16.ts';
import type { UnitStatus } from '../../../src/serial/modbus/counts.ts';
import { modbusConfig, type ModbusPort } from '../../../src/serial/modbus/settings.ts';
import { createTrace } from '../../../src/trace.ts';
import { fakeClock } from '../../fakes/clock.ts';
import { serialPorts } from '../../parts/serial-settings.ts';

/** What a unit answers to the data behind its function; undefined: nothing. */
type Speak = (unit: number, code: number, data: Buffer) => Buffer | undefined;

const REGISTERS = [
  { name: 'voltage', table: 'input', address: 0, scale: 0.1, unit: 'V', deadband: 0.5, maxAge: '1m' },
  { name: 'state', table: 'input', address: 1 },
];

const WRITABLE = { id: 1, name: 'u1', registers: [{ name: 'mode', address: 5, writable: true }] };

function sealed(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(crc16(bytes));
  return Buffer.concat([bytes, sum]);
}

/** Units 1 and 2 with two registers each, unless told otherwise. A unit takes 10 ms to answer. */
function bench(settings: object = {}, first?: Speak, isOpen = true) {
  const units = [1, 2].map((id) => ({ id, name: `u${id}`, registers: REGISTERS }));
  const given = { path: '/dev/x', topic: 't', name: 'line', framing: 'modbus-rtu', units, interval: '1s', ...settings };
  const [port] = serialPorts(given);
  const clock = fakeClock();
  const records: FramedRecord[] = [];
  const asked: { atMs: number; unit: number; code: number }[] = [];
  const orders: CommandOrder[] = [];
  const shown: string[] = [];
  const at = { speak: first ?? values(2300, 7), isFull: false, traced: [] as string[] };
  const framing = openModbusFraming(
    modbusConfig(port as ModbusPort, (what) => new Error(what) as never),
    {
      portName: 'line',
      clock,
      trace: createTrace({ write: (line) => void at.traced.push(line), clock }),
      take: (record) => void records.push(record),
      isFull: () => at.isFull,
      write(bytes) {
        const [unit, code] = bytes as unknown as [number, number];
        asked.push({ atMs: clock.monotonicMs(), unit, code });
        const data = at.speak(unit, code, bytes.subarray(2, -2));
        const head = Buffer.of(unit, code);
        if (data !== undefined)
          clock.after(10, () => framing.chunk(sealed(Buffer.concat([head, data])), clock.wallMs()));
        return true;
      },
      showFrame: (way, words) => void shown.push(`${way} ${words()}`),
      follow(order) {
        orders.push(order);
        return { status: () => ({}) as never, stop: () => Promise.resolve() };
      },
    },
    () => 0,
  );
  if (isOpen) framing.opened();
  const statusOf = (unit: number): UnitStatus => (framing.status().details!['units'] as UnitStatus[])[unit - 1]!;
  const told = () => records.splice(0).map(({ key, value }) => `${String(key)} ${String(value)}`);
  const order = (json: object): Promise<Outcome> =>
    orders[0]!.run({ value: Buffer.from(JSON.stringify(json)) } as Command);
  return Object.assign(at, { framing, clock, asked, statusOf, told, order, orders, shown });
}

/** Input registers 0 and 1, and the echo of any write. */
function values(voltage: number, state: number): Speak {
  return (_unit, code, data) =>
    code === 4 ? Buffer.of(4, voltage >> 8, voltage & 255, state >> 8, state & 255) : data.subarray(0, 4);
}

test('neighbours are one request, and each register is a record with its key, name, value and measure', () => {
  const { clock, told, asked } = bench();
  clock.advance(100);
  expect(asked.map(({ unit, code }) => [unit, code])).toEqual([
    [1, 4],
    [2, 4],
  ]);
  expect(told()).toEqual([
    'line/u1/voltage {"device":"u1","id":1,"name":"voltage","value":230,"unit":"V"}',
    'line/u1/state {"device":"u1","id":1,"name":"state","value":7}',
    'line/u2/voltage {"device":"u2","id":2,"name":"voltage","value":230,"unit":"V"}',
    'line/u2/state {"device":"u2","id":2,"name":"state","value":7}',
  ]);
});

test('with records: request all registers of a request are one record', () => {
  const { clock, told } = bench({ records: 'request' });
  clock.advance(30);
  expect(told()[0]).toBe('line/u1/input-0 {"device":"u1","id":1,"values":{"voltage":230,"state":7}}');
});

test('polls keep to their interval, without drift', () => {
  const { clock, asked } = bench();
  clock.advance(999_999);
  const mine = asked.filter(({ unit }) => unit === 1);
  expect(mine).toHaveLength(1000);
  for (const [round, { atMs }] of mine.entries()) expect(atMs - round * 1000).toBeLessThan(10);
});

test('within its deadband a value is told only when what was told last is too old', () => {
  const at = bench({ units: [{ id: 1, name: 'u1', registers: REGISTERS.slice(0, 1) }] }, values(2300, 0));
  const numbers = () => at.told().map((text) => Number(/"value":([\d.]+)/.exec(text)![1]));
  const speakFor = (voltage: number) => {
    at.speak = (_unit, _code) => Buffer.of(2, voltage >> 8, voltage & 255);
  };
  speakFor(2300);
  at.clock.advance(2500);
  expect(numbers()).toEqual([230]);
  speakFor(2305);
  at.clock.advance(2000);
  expect(numbers()).toEqual([]);
  speakFor(2306);
  at.clock.advance(1000);
  expect(numbers()).toEqual([230.6]);
  at.clock.advance(59_000);
  expect(numbers()).toEqual([]);
  at.clock.advance(2000);
  expect(numbers()).toEqual([230.6]);
});

test('a unit that does not answer is tried again, told of once, and left alone; the other one is polled all the while', () => {
  const at = bench({ timeout: '200ms' }, (unit, code, data) =>
    unit === 1 ? undefined : values(2300, 7)(unit, code, data),
  );
  at.clock.advance(5000);
  expect(at.statusOf(1)).toMatchObject({ state: 'quarantined', polls: 3, timeouts: 3, answers: 0 });
  expect(at.statusOf(1).quarantinedMs).toBeGreaterThan(5000);
  expect(at.framing.status().problems).toEqual(['unit u1 (1) does not answer, and is tried again in 7 s']);
  expect(at.told().filter((text) => text.includes('u1'))).toEqual([
    'line/u1/voltage {"device":"u1","id":1,"name":"voltage","value":null,"unit":"V","quality":"timeout"}',
    'line/u1/state {"device":"u1","id":1,"name":"state","value":null,"quality":"timeout"}',
  ]);
  at.clock.advance(595_000);
  // Ten minutes: three attempts, and one each after 10, 20, 40, 80, 160 and 300 s at most.
  expect(at.asked.filter(({ unit }) => unit === 1).length).toBeLessThan(10);
  expect(at.statusOf(2).answers).toBeGreaterThan(595);
  expect(at.statusOf(2)).toMatchObject({ state: 'answering', timeouts: 0 });
});

test('a unit that comes back is told of with its first answer, and polled as before', () => {
  const at = bench({ timeout: '200ms' }, () => undefined);
  at.clock.advance(5000);
  at.told();
  at.speak = values(2300, 7);
  at.clock.advance(20_000);
  expect(at.statusOf(1)).toMatchObject({ state: 'answering' });
  const mine = at.told().filter((text) => text.startsWith('line/u1/voltage'));
  expect(mine).toEqual(['line/u1/voltage {"device":"u1","id":1,"name":"voltage","value":230,"unit":"V"}']);
  expect(at.traced.join('\n')).toContain('a Modbus unit answers again port=line unit=u1');
});

test('an exception is no silence: its words are told once, and the unit is well', () => {
  const at = bench();
  at.speak = () => undefined;
  const exception = sealed(Buffer.of(1, 0x84, 2));
  at.speak = (unit, code, data) => {
    if (unit !== 1) return values(2300, 7)(unit, code, data);
    at.clock.after(10, () => at.framing.chunk(Buffer.from(exception), at.clock.wallMs()));
    return undefined;
  };
  at.clock.advance(5500);
  expect(at.statusOf(1)).toMatchObject({
    state: 'answering',
    exceptions: { '2 illegal data address': 6 },
    timeouts: 0,
  });
  expect(at.told().filter((text) => text.includes('exception'))).toHaveLength(2);
});

test('a late answer is not taken for the answer to the next request of the same shape', () => {
  const registers = [
    { name: 'low', address: 0 },
    { name: 'high', address: 100 },
  ];
  const at = bench({ units: [{ id: 1, name: 'u1', registers }], timeout: '100ms' });
  let request = 0;
  at.speak = (unit, code, data) => {
    request += 1;
    const answer = Buffer.of(unit, code, 2, 0, data[1]!);
    // The first is answered 60 ms too late.
    at.clock.after(request === 1 ? 170 : 10, () => at.framing.chunk(sealed(answer), at.clock.wallMs()));
    return undefined;
  };
  at.clock.advance(900);
  expect(at.told().map((text) => text.replace(/.*"name":"(\w+)","value":(\d+).*/, '$1 $2'))).toEqual([
    'low 0',
    'high 100',
  ]);
  expect(at.statusOf(1)).toMatchObject({ timeouts: 1, answers: 2 });
  expect(at.framing.status().details).toMatchObject({ strayBytes: 7 });
});

test('a unit that is always later than its timeout is taken for dead, and its values for nothing', () => {
  const registers = [0, 100, 200].map((address) => ({ name: `r${address}`, address }));
  const settings = { timeout: '100ms', retries: 10, quarantine: '1s', quarantineMax: '1s' };
  const at = bench({ units: [{ id: 1, name: 'u1', registers }], ...settings });
  at.speak = (unit, code, data) => {
    const answer = Buffer.of(unit, code, 2, 0, data[1]!);
    at.clock.after(160, () => at.framing.chunk(sealed(answer), at.clock.wallMs()));
    return undefined;
  };
  at.clock.advance(60_000);
  expect(at.statusOf(1).polls).toBeGreaterThan(50);
  expect(at.statusOf(1).answers).toBe(0);
  expect(at.told().filter((text) => !text.includes('"value":null'))).toEqual([]);
});

test('commands that waited for a start are carried out once the port is open, and not for ever', async () => {
  const at = bench({ units: [WRITABLE], commands: { topic: 'c' } }, values(0, 0), false);
  const early = at.order({ unit: 'u1', name: 'mode', value: 1 });
  at.clock.advance(3000);
  at.framing.opened();
  at.clock.advance(100);
  expect(await early).toEqual({ outcome: 'done' });
  const never = bench({ units: [WRITABLE], commands: { topic: 'c' } }, values(0, 0), false);
  const waits = never.order({ unit: 'u1', name: 'mode', value: 1 });
  never.clock.advance(5001);
  expect(await waits).toEqual({ outcome: 'offline', reason: 'port line is not open' });
  expect(never.clock.timers()).toBe(0);
});

test('while the log is full nobody is asked; what passed is skipped, counted and not made up for', () => {
  const at = bench();
  at.clock.advance(500);
  at.isFull = true;
  at.clock.advance(5000);
  expect(at.asked).toHaveLength(2);
  at.isFull = false;
  at.framing.room!();
  at.clock.advance(100);
  expect(at.asked).toHaveLength(4);
  expect(at.framing.status().details).toMatchObject({ skipped: 8 });
});

test('a command is written once and its outcome told: done, refused by the unit, or unknown', async () => {
  const at = bench({ units: [WRITABLE], commands: { topic: 'c', results: 'r' }, timeout: '100ms' });
  at.speak = (_unit, code, data) => (code === 6 ? data.subarray(0, 4) : Buffer.of(2, 0, 1));
  at.clock.advance(50);
  const done = at.order({ unit: 'u1', name: 'mode', value: 3 });
  at.clock.advance(50);
  expect(await done).toEqual({ outcome: 'done' });
  at.speak = () => undefined;
  const unknown = at.order({ unit: 'u1', name: 'mode', value: 4 });
  at.clock.advance(1000);
  expect(await unknown).toEqual({ outcome: 'unknown', reason: 'sent, and not answered in time' });
  expect(at.asked.filter(({ code }) => code === 6)).toHaveLength(2);
  at.speak = () => {
    at.clock.after(5, () => at.framing.chunk(sealed(Buffer.of(1, 0x86, 4)), at.clock.wallMs()));
    return undefined;
  };
  const refused = at.order({ unit: 'u1', name: 'mode', value: 5 });
  at.clock.advance(1000);
  expect(await refused).toEqual({ outcome: 'refused', reason: 'exception 4 device failure', detail: { code: 4 } });
  expect(await at.order({ unit: 'u1', name: 'mood', value: 5 })).toMatchObject({ outcome: 'invalid' });
});

test('commands go first, and never hold up the polls', async () => {
  const at = bench({ units: [WRITABLE], commands: { topic: 'c' }, interval: '10ms' });
  at.speak = (_unit, code, data) => (code === 6 ? data.subarray(0, 4) : Buffer.of(2, 0, 1));
  const all = Promise.all(Array.from({ length: 20 }, () => at.order({ unit: 'u1', name: 'mode', value: 3 })));
  at.clock.advance(2000);
  expect(await all).toHaveLength(20);
  const firstFew = at.asked.slice(2, 22).map(({ code }) => code);
  expect(firstFew.filter((code) => code === 6)).toHaveLength(10);
});

test('a port that is lost: the write under way is unknown, those that wait were not sent, and every register says so', async () => {
  const at = bench({ units: [WRITABLE], commands: { topic: 'c' } });
  at.speak = (_unit, code) => (code === 6 ? undefined : Buffer.of(2, 0, 1));
  at.clock.advance(50);
  const [sent, waits] = [1, 2].map((value) => at.order({ unit: 'u1', name: 'mode', value }));
  at.clock.advance(20);
  at.told();
  at.framing.lost();
  expect(await sent).toEqual({ outcome: 'unknown', reason: 'sent, and the port was lost' });
  expect(await waits).toEqual({ outcome: 'offline', reason: 'port line was lost' });
  expect(await at.order({ unit: 'u1', name: 'mode', value: 3 })).toMatchObject({ outcome: 'offline' });
  expect(at.told()).toEqual(['line/u1/mode {"device":"u1","id":1,"name":"mode","value":null,"quality":"port lost"}']);
  expect(at.clock.timers()).toBe(0);
});

test('the answer of a command has what its sender knows it by', () => {
  const { orders } = bench({ units: [WRITABLE], commands: { topic: 'c', results: 'r', maxAge: '2m' } });
  expect(orders[0]).toMatchObject({ name: 'serial/line', topic: 'c', resultTopic: 'r', ageMaxMs: 120_000 });
  const value = Buffer.from('{"id":"x7","unit":"u1","name":"mode","value":1}');
  expect(orders[0]!.echo({ value } as Command)).toEqual({ id: 'x7', unit: 'u1', name: 'mode' });
});

test('who looks on at the line is shown requests and answers in words', () => {
  const { clock, shown } = bench();
  clock.advance(100);
  expect(shown.slice(0, 2)).toEqual(['sent unit 1: read input 0 to 1', 'received unit 1: 08fc 0007']);
});

test('metrics have a sample for each unit', () => {
  const { clock, framing } = bench();
  clock.advance(100);
  const answers = framing.metrics!().find(({ name }) => name === 'modbus_answers_total');
  expect(answers?.samples).toEqual([
    { labels: { unit: 'u1' }, value: 1 },
    { labels: { unit: 'u2' }, value: 1 },
  ]);
});

test('the status has a line for each unit: what it answered, what it did not, when it was heard', () => {
  const silent: Speak = (unit, code, data) => (unit === 1 ? values(2300, 7)(unit, code, data) : undefined);
  const { clock, framing } = bench({}, silent);
  clock.advance(1600);
  const [first, second] = framing.status().devices!;
  expect(first).toMatchObject({ name: 'u1', state: 'answering', frames: 2, damaged: 0, again: 0 });
  expect(first!.heardMs).toBeGreaterThan(0);
  expect(second).toMatchObject({ name: 'u2', state: 'failing', frames: 0 });
  expect(second!.again).toBeGreaterThan(0);
  expect(second).not.toHaveProperty('heardMs');
});
