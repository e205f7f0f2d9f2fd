// headwater as the master of a Modbus line whose units are pymodbus, an implementation that shares nothing with it: over
// pseudo terminals, with a relay that spoils answers. Needs python3 with pymodbus, and script(1).

import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openCommands } from '../../src/commands/commands.ts';
import { openIntake } from '../../src/intake/intake.ts';
import type { UnitStatus } from '../../src/serial/modbus/counts.ts';
import { FIRST_LINE, readyMs, step, type LineInput } from '../../src/serial/modbus/line.ts';
import { openSerial, type Serial } from '../../src/serial/serial.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { openLogFolder, readAll, silent } from '../log/open-log.ts';
import { createAppliance } from '../parts/appliance.ts';
import { openModbusLine, unspoilt, type ModbusLine } from '../parts/modbus-line.ts';
import { serialPorts } from '../parts/serial-settings.ts';
import { until } from '../parts/until.ts';

const METER = {
  id: 1,
  name: 'meter',
  registers: [
    { name: 'voltage', table: 'input', address: 0, type: 'float32', unit: 'V' },
    { name: 'energy', table: 'input', address: 2, type: 'int32' },
    { name: 'count', table: 'input', address: 4, type: 'uint16', scale: 0.1 },
    { name: 'large', table: 'input', address: 5, type: 'int64' },
    { name: 'precise', table: 'input', address: 9, type: 'float64' },
    { name: 'total', table: 'input', address: 13, type: 'uint32' },
    { name: 'model', table: 'holding', address: 0, type: 'string 9' },
    { name: 'cold', table: 'holding', address: 20, type: 'int16' },
    ...[true, false, true, true].map((_, at) => ({ name: `coil${at}`, table: 'coil', address: at })),
    ...[false, true].map((_, at) => ({ name: `discrete${at}`, table: 'discrete', address: at })),
  ],
};

/** As they stand in modbus_server.py, in the text of a record. */
const METER_VALUES: Record<string, string> = {
  voltage: '230.1',
  energy: '-123456',
  count: '471.1',
  large: '9007199254740993',
  precise: '21.5',
  total: '4000000000',
  model: '"ACME 3000"',
  cold: '-123',
  coil0: 'true',
  coil1: 'false',
  coil2: 'true',
  coil3: 'true',
  discrete0: 'false',
  discrete1: 'true',
};

const PUMP = {
  id: 2,
  name: 'pump',
  registers: [
    { name: 'setpoint', address: 0, writable: true },
    { name: 'curve', address: 2, type: 'float32', order: 'CDAB', writable: true },
    { name: 'relay', table: 'coil', address: 3, writable: true },
  ],
};
const BUSY = { id: 3, name: 'busy', registers: [{ name: 'seven', address: 0 }] };
const DEAD = { id: 9, name: 'dead', registers: [{ name: 'nothing', address: 0 }] };

const ended: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).toReversed()) await end();
});

async function openLine(): Promise<ModbusLine> {
  const line = await openModbusLine();
  ended.push(() => line.close());
  return line;
}

function portOf(line: ModbusLine, settings: object) {
  return { path: line.path, name: 'bus', topic: 'readings', framing: 'modbus-rtu', baud: 115_200, ...settings };
}

interface Site {
  serial: Serial;
  unit(name: string): UnitStatus;
  /** Keys and values, as text. */
  readings(): Promise<[key: string, value: string][]>;
  command(json: object): Promise<void>;
  results(): Promise<Record<string, unknown>[]>;
}

async function open(line: ModbusLine, settings: object): Promise<Site> {
  const { log, remove } = await openLogFolder({ commitIntervalMs: 0 });
  ended.push(remove);
  const needs = { log, clock: systemClock, trace: silent };
  const intake = openIntake({ ...needs, routes: [], nodeName: 'n' });
  const commands = openCommands({ ...needs, intake });
  ended.push(() => commands.close());
  const ports = serialPorts(portOf(line, settings));
  const serial = await openSerial({ ports, intake, follow: commands.follow, clock: systemClock, trace: silent });
  ended.push(() => serial.close());
  const all = async (topic: string) => readAll(log.ensureTopic(topic).partitions[0]!);
  return {
    serial,
    unit: (name) => (serial.status()[0]!.details!['units'] as UnitStatus[]).find((each) => each.name === name)!,
    readings: async () => (await all('readings')).map(({ key, value }) => [String(key), String(value)]),
    async command(json) {
      await intake.accept({ topic: 'orders', key: null, value: Buffer.from(JSON.stringify(json)) }).done();
    },
    results: async () =>
      (await all('results')).map(({ value }) => JSON.parse(String(value)) as Record<string, unknown>),
  };
}

/** The text of the value in a record. */
function valueIn(record: string): string {
  return /"value":("[^"]*"|[^,}]+)/.exec(record)![1]!;
}

test('every type, in requests as few as can be, is what pymodbus holds; its exceptions are told', async () => {
  const line = await openLine();
  const missing = { name: 'missing', address: 500 };
  const meter = { ...METER, registers: [...METER.registers, missing] };
  const site = await open(line, { units: [meter, BUSY], interval: '100ms' });
  await until('the meter was read ten times', () => site.unit('meter').answers > 50);
  await until('busy was asked often', () => site.unit('busy').polls > 20);
  const readings = await site.readings();
  for (const [name, value] of Object.entries(METER_VALUES)) {
    const mine = readings.filter(([key]) => key === `bus/meter/${name}`).map(([, text]) => valueIn(text));
    expect(mine.length, name).toBeGreaterThan(5);
    expect(new Set(mine), name).toEqual(new Set([value]));
  }
  expect(site.serial.status()[0]!.details).toMatchObject({ requests: 7 });
  expect(readings.filter(([key]) => key === 'bus/meter/missing').map(([, text]) => text)).toEqual([
    '{"device":"meter","id":1,"name":"missing","value":null,"quality":"exception 2 illegal data address"}',
  ]);
  const { exceptions, polls, timeouts } = site.unit('busy');
  expect(timeouts).toBe(0);
  expect(exceptions['6 device busy']! * 3).toBeGreaterThan(polls - 6);
});

/** Answers of the meter in a second, over ten of them. */
async function meterRate(site: Site): Promise<number> {
  const [before, startMs] = [site.unit('meter').answers, performance.now()];
  await until('ten seconds are over', () => performance.now() - startMs > 10_000);
  return ((site.unit('meter').answers - before) * 1000) / (performance.now() - startMs);
}

test('a unit that is dead does not slow the line: the others are polled as without it', async () => {
  const line = await openLine();
  const settings = { interval: '50ms', timeout: '200ms', retries: 1, quarantine: '2s', quarantineMax: '8s' };
  const alone = await open(line, { units: [METER, PUMP], ...settings });
  await until('the meter answers', () => alone.unit('meter').answers > 0);
  const rateAlone = await meterRate(alone);
  await alone.serial.close();
  const site = await open(line, { units: [METER, PUMP, DEAD], ...settings });
  await until('the dead one is left alone', () => site.unit('dead').state === 'quarantined');
  const deadPolls = site.unit('dead').polls;
  const rate = await meterRate(site);
  const attempts = site.unit('dead').polls - deadPolls;
  const rates = `${rateAlone.toFixed(1)} answers/s without it, ${rate.toFixed(1)} with it`;
  console.log(`meter: ${rates}, ${attempts} attempts at the dead unit in 10 s`);
  // After 2, 4 and 8 s, each for 200 ms. If it were polled like the others, it would take the line for most of the time.
  expect(attempts).toBeLessThanOrEqual(3);
  expect(rate).toBeGreaterThan(rateAlone / 2);
  expect(site.serial.status()[0]!.problems.join()).toContain('unit dead (9) does not answer');
});

test('through damaged, cut, lost, late and wrong answers and noise no wrong value is ever told', async () => {
  const random = openRandom(printedSeed('modbus spoilt'));
  const line = await openLine();
  const settings = { interval: '50ms', timeout: '150ms', retries: 5, quarantine: '1s', quarantineMax: '1s' };
  const site = await open(line, { units: [METER, PUMP], ...settings });
  const whole = METER.registers.map(({ name }) => [`bus/meter/${name}`, METER_VALUES[name]!] as const);
  const truth = new Map([...whole, ['bus/pump/setpoint', '0'], ['bus/pump/curve', '0'], ['bus/pump/relay', 'false']]);
  let last: Buffer = Buffer.alloc(0);
  line.spoil((answer) => {
    const before = last;
    last = answer;
    switch (random.below(14)) {
      case 0: {
        const flipped = Buffer.from(answer);
        flipped[random.below(answer.length)]! ^= 1 << random.below(8);
        return [{ bytes: flipped, afterMs: 0 }];
      }
      case 1:
        return [{ bytes: answer.subarray(0, random.below(answer.length)), afterMs: 0 }];
      case 2:
        return [];
      case 3:
        // Late, but before the unit is asked again.
        return [{ bytes: answer, afterMs: 160 + random.below(80) }];
      case 4:
        return [{ bytes: Buffer.concat([random.bytes(1 + random.below(30)), answer]), afterMs: 0 }];
      case 5: {
        const cut = random.below(answer.length);
        return [
          { bytes: answer.subarray(0, cut), afterMs: 0 },
          { bytes: answer.subarray(cut), afterMs: 20 },
        ];
      }
      case 6:
        // The unit before, or the request before, speaks once more into this answer.
        return [{ bytes: Buffer.concat([before, answer]), afterMs: 0 }];
      case 7:
        return [
          { bytes: answer, afterMs: 0 },
          { bytes: random.bytes(5), afterMs: 1 },
        ];
      default:
        return unspoilt(answer);
    }
  });
  await until('much was asked', () => site.unit('meter').polls > 800, 240_000);
  line.spoil(unspoilt);
  const before = site.unit('meter').answers;
  await until(
    'all is well again',
    () => site.unit('meter').answers > before + 20 && site.unit('pump').state === 'answering',
  );
  const readings = await site.readings();
  const wrong = readings.filter(([key, text]) => {
    const value = valueIn(text);
    return value !== truth.get(key) && !(value === 'null' && text.includes('"quality":'));
  });
  const { timeouts, crcErrors, wrongAnswers, answers } = site.unit('meter');
  console.log(`${readings.length} readings; meter: ${JSON.stringify({ answers, timeouts, crcErrors, wrongAnswers })}`);
  expect(wrong).toEqual([]);
  expect(readings.length).toBeGreaterThan(1000);
  expect(timeouts).toBeGreaterThan(20);
  expect(crcErrors).toBeGreaterThan(5);
});

test('a million random streams: the line never throws, holds two frames at most, and hears the next true answer', () => {
  const random = openRandom(printedSeed('modbus streams'));
  const rules = { baud: 115_200, characterBits: 10, pauseMs: 50, turnaroundMs: 100, hasEcho: false };
  const request = { kind: 'read', unit: 3, table: 'holding', address: 0, count: 2 } as const;
  const answer = Buffer.from('0303040001000209f2', 'hex');
  let line = step(FIRST_LINE, { kind: 'open' }, 0, rules).line;
  let nowMs = 0;
  let heard = 0;
  let asked = 0;
  const move = (input: LineInput): void => {
    const moved = step(line, input, nowMs, rules);
    line = moved.line;
    for (const output of moved.outputs) if (output.kind === 'result' && output.result.kind === 'registers') heard += 1;
    if ((line.waiting?.held.length ?? 0) > 512) throw new Error(`${line.waiting!.held.length} bytes are held`);
  };
  for (let round = 0; round < 1_000_000; round += 1) {
    nowMs += random.below(30);
    const ready = readyMs(line);
    if (ready !== undefined && ready <= nowMs) {
      move({ kind: 'send', request, timeoutMs: 100 });
      asked += 1;
    }
    const cut = random.below(answer.length);
    const noise = random.below(3) === 0 ? random.bytes(random.below(40)) : answer.subarray(cut, cut + random.below(9));
    if (random.below(4) === 0) move({ kind: 'tick' });
    else move({ kind: 'bytes', bytes: noise });
    if (round % 1000 !== 0) continue;
    for (; readyMs(line) === undefined; nowMs += 50) move({ kind: 'tick' });
    nowMs = Math.max(nowMs, readyMs(line)!) + 1;
    const before = heard;
    move({ kind: 'send', request, timeoutMs: 100 });
    move({ kind: 'bytes', bytes: random.bytes(random.below(20)) });
    move({ kind: 'bytes', bytes: answer });
    expect(heard).toBe(before + 1);
  }
  console.log(`${asked} requests, ${heard} answers`);
});

const COMMANDS = { topic: 'orders', results: 'results', raw: true };

test('commands are carried out once each, in order, and answered with what pymodbus said', async () => {
  const line = await openLine();
  const site = await open(line, { units: [METER, PUMP], interval: '100ms', commands: COMMANDS });
  await until('the pump is read', () => site.unit('pump').answers > 0);
  for (let value = 1; value <= 30; value += 1) await site.command({ id: value, unit: 'pump', name: 'setpoint', value });
  await site.command({ unit: 2, name: 'curve', value: 21.5 });
  await site.command({ unit: 2, table: 'coil', address: 0, value: [true, false, true] });
  await site.command({ unit: 2, name: 'relay', value: true });
  await site.command({ unit: 2, table: 'holding', address: 4, value: [1, 2, 3] });
  await site.command({ unit: 2, table: 'holding', address: 900, value: 1 });
  await site.command({ unit: 2, name: 'nonsense', value: 1 });
  await until('all are answered', async () => (await site.results()).length === 36);
  const outcomes = (await site.results()).map(({ outcome }) => outcome);
  expect(outcomes).toEqual([...Array.from({ length: 34 }, () => 'done'), 'refused', 'invalid']);
  expect((await site.results())[34]).toMatchObject({ reason: 'exception 2 illegal data address', code: 2 });
  const setpoints = Array.from({ length: 30 }, (_, at) => `6 0 ${at + 1}`);
  const others = ['16 2 0,16812', '15 0 1,0,1', '5 3 1', '16 4 1,2,3'];
  expect(await line.writes()).toEqual([...setpoints, ...others]);
  await until('what was written is read', async () => {
    const readings = await site.readings();
    const of = (name: string) => valueIn(readings.findLast(([key]) => key === `bus/pump/${name}`)![1]);
    return of('setpoint') === '30' && of('curve') === '21.5' && of('relay') === 'true';
  });
});

test('killed at any moment, headwater carries each command out at most once and answers each exactly once', async () => {
  const random = openRandom(printedSeed('modbus kills'));
  const line = await openLine();
  const ports = [
    portOf(line, { units: [PUMP], interval: '50ms', timeout: '100ms', commands: { ...COMMANDS, maxAge: 'never' } }),
  ];
  const site = await createAppliance({ commit: { interval: '1ms' }, serial: ports });
  ended.push(() => site.remove());
  const isPumpThere = async (): Promise<boolean> => {
    const [port] = (await site.status()).rooms['serial'] as { details: { units: UnitStatus[] } }[];
    return port!.details.units[0]!.answers > 0;
  };
  await site.start();
  await until('the pump is read', isPumpThere);
  const accepted: number[] = [];
  let next = 1;
  const post = async (): Promise<boolean> => {
    const id = next++;
    const value = { id, unit: 'pump', name: 'setpoint', value: id };
    const options = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ value }),
    };
    const answer = await fetch(`${site.http}/topics/orders/records`, options).catch(() => undefined);
    if (answer?.ok === true) accepted.push(id);
    return answer?.ok === true;
  };
  for (let round = 0; round < 15; round += 1) {
    const load = Promise.all(Array.from({ length: 12 }, post));
    await systemClock.sleep(random.below(250));
    await site.kill();
    await load;
    await site.start();
    await until('the pump is read', isPumpThere);
  }
  await until('commands are taken', post);
  const answersOf = async (topic: string): Promise<Record<string, unknown>[]> => {
    const answer = await fetch(`${site.http}/topics/${topic}/partitions/0/records?count=10000&format=jsonl`);
    const lines = (await answer.text()).split('\n').filter((text) => text !== '');
    return lines.map((text) => JSON.parse((JSON.parse(text) as { value: string }).value) as Record<string, unknown>);
  };
  await until('the last is answered', async () => (await answersOf('results')).some(({ id }) => id === next - 1));
  const [orders, results, writes] = [await answersOf('orders'), await answersOf('results'), await line.writes()];
  const carried = writes.map((text) => Number(text.split(' ')[2]));
  const outcomes = Object.groupBy(results, ({ outcome }) => String(outcome));
  const counts = Object.entries(outcomes).map(([word, list]) => `${list!.length} ${word}`);
  console.log(`${orders.length} commands kept, ${carried.length} carried out; answers: ${counts.join(', ')}`);
  expect(new Set(carried).size, 'none was carried out twice').toBe(carried.length);
  expect(
    results.map(({ id }) => id),
    'each is answered once, in order',
  ).toEqual(orders.map(({ id }) => id));
  const kept = new Set(orders.map(({ id }) => id));
  expect(accepted.filter((id) => !kept.has(id))).toEqual([]);
  const done = (outcomes['done'] ?? []).map(({ id }) => id as number);
  expect(done.filter((id) => !carried.includes(id))).toEqual([]);
  const undone = [...(outcomes['offline'] ?? []), ...(outcomes['invalid'] ?? [])].map(({ id }) => id as number);
  expect(undone.filter((id) => carried.includes(id))).toEqual([]);
});
