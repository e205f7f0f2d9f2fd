// What answers become: records of values, or of why there is none. Which of them are worth a record is decided by each
// register's deadband and age. Nothing in here knows of lines and clocks.
//
//   value  {"device":"meter","id":3,"name":"voltage","value":230.1,"unit":"V"}      key  boiler-room/meter/voltage
//   bad    {"device":"meter","id":3,"name":"voltage","value":null,"unit":"V","quality":"timeout"}
//   whole request, see `records`
//          {"device":"meter","id":3,"values":{"voltage":230.1,"current":1.5}}       key  boiler-room/meter/input-0
//
// A bad one is told once, when the quality changes; the first good one after it is told whatever the deadband says.

import type { Deadband } from '../../config-modbus.ts';
import type { Answer } from './answer.ts';
import type { Poll } from './polls.ts';
import type { ModbusConfig, RegisterConfig } from './settings.ts';
import { decodeValue, jsonOf, type Value } from './values.ts';

export interface Reading {
  key: Buffer;
  value: Buffer;
}

/** What was last told of a register. */
interface Told {
  value: Value;
  atMs: number;
  /** Undefined: good. */
  quality: string | undefined;
}

export interface Readings {
  /** The records of an answer that came at `nowMs`, by a clock that never goes back. */
  ofAnswer(poll: Poll, answer: Answer, nowMs: number): Reading[];
  /** The records of a poll that has none; `why` stands in them. */
  ofFailure(poll: Poll, why: string, nowMs: number): Reading[];
}

const NOT_A_NUMBER = 'not a number';

export function createReadings(portName: string, { records, tellsQuality }: ModbusConfig): Readings {
  const told = new Map<RegisterConfig, Told>();

  function ofAnswer(poll: Poll, answer: Answer, nowMs: number): Reading[] {
    const values = poll.registers.map((register) => valueIn(answer, poll, register));
    const changed = poll.registers.filter((register, at) => isWorthTelling(register, values[at]!, nowMs));
    if (records === 'request') {
      if (changed.length === 0) return [];
      for (const [at, register] of poll.registers.entries()) note(register, values[at]!, qualityOf(values[at]!), nowMs);
      return [ofRequest(poll, values, undefined)];
    }
    return changed.map((register) => {
      const value = values[poll.registers.indexOf(register)]!;
      note(register, value, qualityOf(value), nowMs);
      return ofRegister(poll, register, value, qualityOf(value));
    });
  }

  function ofFailure(poll: Poll, why: string, nowMs: number): Reading[] {
    const changed = poll.registers.filter((register) => told.get(register)?.quality !== why);
    for (const register of poll.registers) note(register, null, why, nowMs);
    if (!tellsQuality || changed.length === 0) return [];
    if (records === 'request')
      return [
        ofRequest(
          poll,
          poll.registers.map(() => null),
          why,
        ),
      ];
    return changed.map((register) => ofRegister(poll, register, null, why));
  }

  function note(register: RegisterConfig, value: Value, quality: string | undefined, atMs: number): void {
    told.set(register, { value, atMs, quality });
  }

  function isWorthTelling(register: RegisterConfig, value: Value, nowMs: number): boolean {
    const last = told.get(register);
    const { deadband, ageMaxMs } = register;
    if (qualityOf(value) !== undefined) return tellsQuality && last?.quality !== qualityOf(value);
    if (last === undefined || last.quality !== undefined || deadband === undefined) return true;
    return nowMs - last.atMs >= ageMaxMs || isBeyond(last.value, value, deadband);
  }

  function ofRegister({ unit }: Poll, register: RegisterConfig, value: Value, quality: string | undefined): Reading {
    const head = JSON.stringify({ device: unit.name, id: unit.id, name: register.name }).slice(0, -1);
    const measure = register.measure === undefined ? '' : `,"unit":${JSON.stringify(register.measure)}`;
    const text = `${head},"value":${jsonOf(value)}${measure}${qualityJson(quality)}}`;
    return { key: Buffer.from(`${portName}/${unit.name}/${register.name}`), value: Buffer.from(text) };
  }

  function ofRequest({ unit, request, registers }: Poll, values: Value[], quality: string | undefined): Reading {
    const head = JSON.stringify({ device: unit.name, id: unit.id }).slice(0, -1);
    const pairs = registers.map(({ name }, at) => `${JSON.stringify(name)}:${jsonOf(values[at]!)}`);
    const text = `${head},"values":{${pairs.join(',')}}${qualityJson(quality)}}`;
    const key = Buffer.from(`${portName}/${unit.name}/${request.table}-${request.address}`);
    return { key, value: Buffer.from(text) };
  }

  return { ofAnswer, ofFailure };
}

function qualityJson(quality: string | undefined): string {
  return quality === undefined ? '' : `,"quality":${JSON.stringify(quality)}`;
}

function qualityOf(value: Value): string | undefined {
  return value === null ? NOT_A_NUMBER : undefined;
}

function valueIn(answer: Answer, { request }: Poll, register: RegisterConfig): Value {
  const at = register.address - request.address;
  if (answer.kind === 'bits') return answer.bits[at] ?? null;
  if (answer.kind !== 'registers') return null;
  return decodeValue(answer.bytes.subarray(at * 2, (at + register.count) * 2), register);
}

/** True when two values differ by more than the deadband; those that are no numbers, when they differ at all. */
function isBeyond(last: Value, value: Value, { by, isPercent }: Deadband): boolean {
  if (typeof last === 'bigint' || typeof value === 'bigint') {
    if (last === value) return false;
    return by === 0 || Math.abs(Number(value) - Number(last)) > (isPercent ? Math.abs(Number(last)) * (by / 100) : by);
  }
  if (typeof last !== 'number' || typeof value !== 'number') return last !== value;
  return Math.abs(value - last) > (isPercent ? Math.abs(last) * (by / 100) : by);
}
