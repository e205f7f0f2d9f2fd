// What is asked, when, and of whom: polls, schedule and the health of units.

import { expect, test } from 'vitest';
import { afterAnswer, afterFailure, FIRST_HEALTH, type Health } from '../../../src/serial/modbus/health.ts';
import { pollsOf } from '../../../src/serial/modbus/polls.ts';
import { choose, firstDues, nextDue, type Slot } from '../../../src/serial/modbus/schedule.ts';
import { modbusConfig, type ModbusConfig, type ModbusPort } from '../../../src/serial/modbus/settings.ts';
import { portConfigs } from '../../../src/serial/settings.ts';
import { serialPorts } from '../../parts/serial-settings.ts';

function configOf(registers: object[], more: object = {}, unit: object = {}): ModbusConfig {
  const units = [{ id: 1, ...unit, registers }];
  const [port] = serialPorts({ path: '/dev/x', topic: 't', framing: 'modbus-rtu', units, ...more });
  return modbusConfig(port as ModbusPort, (what) => new Error(what) as never);
}

/** Requests as `table address+count`, and the registers in each. */
function asked(config: ModbusConfig): string[] {
  return pollsOf(config.units, config.joinGap).map(({ request, registers }) => {
    const names = registers.map(({ name }) => name).join(' ');
    return `${request.table} ${request.address}+${request.count}: ${names}`;
  });
}

const r = (name: string, address: number, type = 'uint16', more: object = {}) => ({ name, address, type, ...more });

test('registers that lie next to one another are one request, in whatever order they are written', () => {
  expect(asked(configOf([r('b', 2, 'float32'), r('a', 0, 'int32'), r('c', 4), r('d', 6)]))).toEqual([
    'holding 0+5: a b c',
    'holding 6+1: d',
  ]);
});

test('with joinGap what is unwanted between them is read along', () => {
  const registers = [r('a', 0), r('b', 3), r('c', 7)];
  expect(asked(configOf(registers, { joinGap: 2 }))).toEqual(['holding 0+4: a b', 'holding 7+1: c']);
  expect(asked(configOf(registers, { joinGap: 3 }))).toEqual(['holding 0+8: a b c']);
});

test('a request asks for no more than the unit gives in an answer, and cuts no value', () => {
  const registers = Array.from({ length: 64 }, (_, at) => r(`f${at}`, at * 2, 'float32'));
  expect(asked(configOf(registers)).map((text) => text.split(':')[0])).toEqual(['holding 0+124', 'holding 124+4']);
  const small = asked(configOf(registers.slice(0, 4), {}, { readMax: 5 }));
  expect(small).toEqual(['holding 0+4: f0 f1', 'holding 4+4: f2 f3']);
});

test('tables, intervals and jitters are asked for apart; coils by up to 2000', () => {
  const coils = [0, 1999, 2000].map((address) => ({ name: `c${address}`, table: 'coil', address }));
  const registers = [r('a', 0), r('b', 1, 'uint16', { interval: '1s' }), r('c', 2, 'uint16', { table: 'input' })];
  expect(asked(configOf([...registers, ...coils], { joinGap: 100 }))).toEqual([
    'holding 0+1: a',
    'holding 1+1: b',
    'input 2+1: c',
    'coil 0+1: c0',
    'coil 1999+2: c1999 c2000',
  ]);
});

test('registers may overlap: the same bits under two names', () => {
  expect(asked(configOf([r('whole', 0, 'uint32'), r('low', 1)]))).toEqual(['holding 0+2: whole low']);
});

test('settings that contradict one another are refused in words', () => {
  const refusal = (registers: object[], unit: object = {}) => {
    try {
      configOf(registers, {}, unit);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(refusal([r('a', 0, 'int16', { table: 'coil' })])).toContain(
    'is in table coil, whose values are bool, not int16',
  );
  expect(refusal([r('a', 65_535, 'int32')])).toContain('ends beyond 65535');
  expect(refusal([r('a', 0, 'float64')], { readMax: 2 })).toContain('takes 4 registers');
  expect(refusal([r('a', 0), r('a', 1)])).toContain('two registers of unit 1 have the name a');
  expect(refusal([r('a', 0, 'int16', { table: 'input', writable: true })])).toContain('no command can write');
});

test("commands do not come from where answers or readings go, nor from another port's topic", () => {
  const registers = [r('a', 0)];
  for (const commands of [{ topic: 'c', results: 'c' }, { topic: 't' }]) {
    expect(() => configOf(registers, { commands })).toThrow('which its own records go to');
  }
  const port = { topic: 't', framing: 'modbus-rtu', units: [{ id: 1, registers }], commands: { topic: 'c' } };
  const two = serialPorts({ ...port, path: '/dev/a' }, { ...port, path: '/dev/b' });
  expect(() => portConfigs(two)).toThrow('its topic of commands c is used by another port, too');
});

test('a poll keeps to its grid however late it is asked, and skips what has passed', () => {
  const slot: Slot = { unit: 1, intervalMs: 1000, jitterMs: 0 };
  const [first] = firstDues([slot], 500, () => 0);
  expect(first!.dueMs).toBe(500);
  const second = nextDue(first!, slot, 507, () => 0);
  expect(second.dueMs).toBe(1500);
  const third = nextDue(second, slot, 1930, () => 0);
  expect(third.dueMs).toBe(2500);
  const late = nextDue(third, slot, 9999, () => 0);
  expect([late.dueMs, late.slots - third.slots - 1]).toEqual([10_500, 7]);
});

test('jitter puts a poll off, and does not add up', () => {
  const slot: Slot = { unit: 1, intervalMs: 1000, jitterMs: 200 };
  let [due] = firstDues([slot], 0, () => 0.5);
  for (let round = 0; round < 100; round += 1) due = nextDue(due!, slot, due!.dueMs, () => 0.5);
  expect(due!.dueMs).toBe(100_100);
});

/** Who is asked, in a world where each request takes `tookMs`. */
function rounds(
  slots: Slot[],
  count: number,
  tookMs: number,
  pollMs: (unit: number, nowMs: number) => number,
): number[] {
  const dues = firstDues(slots, 0, () => 0);
  const askedMs = new Map<number, number>();
  const asks: number[] = [];
  for (let nowMs = 0; asks.length < count; nowMs += tookMs) {
    const { next } = choose(
      slots,
      dues,
      nowMs,
      (unit) => pollMs(unit, nowMs),
      (unit) => askedMs.get(unit) ?? -Infinity,
    );
    if (next === undefined) continue;
    asks.push(slots[next]!.unit);
    askedMs.set(slots[next]!.unit, nowMs);
    dues[next] = nextDue(dues[next]!, slots[next]!, nowMs, () => 0);
  }
  return asks;
}

test('on a line that is too slow for its intervals a unit with many polls starves nobody', () => {
  const busy = Array.from({ length: 50 }, (): Slot => ({ unit: 1, intervalMs: 100, jitterMs: 0 }));
  const asks = rounds(
    [...busy, { unit: 2, intervalMs: 100, jitterMs: 0 }, { unit: 3, intervalMs: 100, jitterMs: 0 }],
    300,
    40,
    () => 0,
  );
  const share = (unit: number) => asks.filter((each) => each === unit).length;
  expect(share(2)).toBeGreaterThan(90);
  expect(share(3)).toBeGreaterThan(90);
});

test('all polls of a unit get their turn', () => {
  const slots = Array.from({ length: 10 }, (_, unit): Slot => ({ unit, intervalMs: 100, jitterMs: 0 }));
  expect(new Set(rounds(slots, 10, 30, () => 0)).size).toBe(10);
});

test('when nothing is due, it is known when to look again', () => {
  const slots: Slot[] = [1, 2].map((unit) => ({ unit, intervalMs: 1000, jitterMs: 0 }));
  const dues = firstDues(slots, 0, () => 0).map((due, at) => nextDue(due, slots[at]!, 0, () => 0));
  expect(
    choose(
      slots,
      dues,
      10,
      (unit) => (unit === 1 ? 5000 : 0),
      () => 0,
    ),
  ).toEqual({ atMs: 1000 });
  expect(
    choose(
      [],
      [],
      10,
      () => 0,
      () => 0,
    ),
  ).toEqual({});
});

test('a unit is tried again, then left alone for longer and longer, and is back with its first answer', () => {
  const rules = { retries: 2, firstMs: 10_000, maxMs: 60_000 };
  let health: Health = FIRST_HEALTH;
  const seen: [string, number][] = [];
  for (let nowMs = 0; seen.length < 8; nowMs = health.pollMs) {
    health = afterFailure(health, nowMs, 500, rules);
    seen.push([health.state, health.pollMs - nowMs]);
  }
  expect(seen).toEqual([
    ['failing', 500],
    ['failing', 500],
    ['quarantined', 10_000],
    ['quarantined', 20_000],
    ['quarantined', 40_000],
    ['quarantined', 60_000],
    ['quarantined', 60_000],
    ['quarantined', 60_000],
  ]);
  expect(afterAnswer()).toEqual({ state: 'answering', failures: 0, settleMs: 0, pollMs: 0 });
});

test('with many failures the time in quarantine stays a number', () => {
  const rules = { retries: 0, firstMs: 1000, maxMs: 300_000 };
  const health = afterFailure({ ...FIRST_HEALTH, failures: 5000 }, 0, 500, rules);
  expect(health.pollMs).toBe(300_000);
});
