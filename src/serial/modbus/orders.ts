// A command, as JSON, into a request that writes. Pure.
//
//   by name      {"unit":"pump","name":"setpoint","value":21.5,"id":"any"}   a register of the settings, `writable`
//   by address   {"unit":3,"table":"holding","address":100,"value":7}        where the settings allow it (`raw`)
//                {"unit":3,"table":"coil","address":0,"value":[true,false]}  several, from that address on
//                {"unit":3,"table":"holding","address":100,"type":"float32","order":"CDAB","value":21.5}
//                {"unit":0,...}                                              all units; none of them answers
//
// `unit` is a unit's name or id. `id` is the sender's own and comes back in the answer. What came of the write becomes the
// outcome of the command.

import type { Command, Outcome } from '../../commands/commands.ts';
import { exceptionWord } from './counts.ts';
import type { Result } from './line.ts';
import { BROADCAST, UNIT_MAX, WRITE_BITS_MAX, WRITE_REGISTERS_MAX, type Request } from './request.ts';
import type { ModbusConfig, RegisterConfig, UnitConfig } from './settings.ts';
import { bitOf, encodeValue, type Form, type Order } from './values.ts';
import type { NumberType, ValueType } from '../../config-modbus.ts';

export type Write = Exclude<Request, { kind: 'read' }>;

export type Ordered = { write: Write } | { invalid: string };

type Json = Record<string, unknown>;

const FIELDS = ['id', 'unit', 'name', 'table', 'address', 'type', 'order', 'value'];
const ORDERS: readonly Order[] = ['ABCD', 'CDAB', 'BADC', 'DCBA'];
const NUMBERS: readonly NumberType[] = [
  ...(['int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float32', 'float64'] as const),
];

/** The object that a command is, or why it is none. */
export function commandJson(value: Buffer | null): Json | string {
  if (value === null) return 'it has no value';
  try {
    const json: unknown = JSON.parse(value.toString());
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Json) : 'it is no JSON object';
  } catch {
    return 'it is no JSON';
  }
}

export function orderOf(value: Buffer | null, config: ModbusConfig): Ordered {
  const json = commandJson(value);
  if (typeof json === 'string') return { invalid: json };
  const stray = Object.keys(json).find((name) => !FIELDS.includes(name));
  if (stray !== undefined) return { invalid: `it has ${JSON.stringify(stray)}; there are ${FIELDS.join(', ')}` };
  const unit = config.units.find(({ name, id }) => name === json['unit'] || id === json['unit']);
  return json['name'] === undefined ? byAddress(json, unit, config) : byName(json, unit);
}

function byName(json: Json, unit: UnitConfig | undefined): Ordered {
  if (unit === undefined) return { invalid: `no unit ${JSON.stringify(json['unit'])} is configured here` };
  const extra = ['table', 'address', 'type', 'order'].find((name) => json[name] !== undefined);
  if (extra !== undefined) return { invalid: `it has a name and ${extra}; the name says it all` };
  const register = unit.registers.find(({ name }) => name === json['name']);
  if (register === undefined) return { invalid: `unit ${unit.name} has no register ${JSON.stringify(json['name'])}` };
  if (!register.isWritable) return { invalid: `register ${register.name} of unit ${unit.name} is not writable` };
  const write = register.table === 'coil' ? coils(unit, register, json) : registers(unit, register, json);
  return typeof write === 'string' ? { invalid: write } : { write };
}

function coils(unit: UnitConfig, { address }: RegisterConfig, { value }: Json): Write | string {
  const bit = bitOf(value);
  if (typeof bit === 'string') return bit;
  return { kind: 'write-bits', unit: unit.id, address, bits: [bit], isSingle: unit.writesSingle };
}

function registers(unit: UnitConfig, register: RegisterConfig, { value }: Json): Write | string {
  const bytes = encodeValue(value, register);
  if (typeof bytes === 'string') return bytes;
  const isSingle = bytes.length === 2 && unit.writesSingle;
  return { kind: 'write-registers', unit: unit.id, address: register.address, bytes, isSingle };
}

function byAddress(json: Json, unit: UnitConfig | undefined, { commands }: ModbusConfig): Ordered {
  const { table, address } = json;
  if (commands?.isRaw !== true) return { invalid: 'it has no name, and commands.raw is off' };
  const id = unit?.id ?? json['unit'];
  if (!isWhole(id, BROADCAST, UNIT_MAX)) return { invalid: `its unit must be a name or 0 to ${UNIT_MAX}` };
  if (!isWhole(address, 0, 0xffff)) return { invalid: 'its address must be a whole number, 0 to 65535' };
  if (table !== 'coil' && table !== 'holding') return { invalid: 'its table must be coil or holding' };
  const isSingle = unit?.writesSingle ?? true;
  const write = table === 'coil' ? rawCoils(id, address, json, isSingle) : rawRegisters(id, address, json, isSingle);
  return typeof write === 'string' ? { invalid: write } : { write };
}

function rawCoils(unit: number, address: number, { value }: Json, isSingle: boolean): Write | string {
  const values = Array.isArray(value) ? (value as unknown[]) : [value];
  if (values.length === 0 || values.length > WRITE_BITS_MAX) return `it has not 1 to ${WRITE_BITS_MAX} values`;
  const bits = values.map(bitOf);
  const wrong = bits.find((bit) => typeof bit === 'string');
  if (wrong !== undefined) return wrong;
  if (address + bits.length > 0x10000) return 'it ends beyond address 65535';
  return { kind: 'write-bits', unit, address, bits: bits as boolean[], isSingle: isSingle && bits.length === 1 };
}

function rawRegisters(unit: number, address: number, json: Json, isSingle: boolean): Write | string {
  const form = formOf(json);
  if (typeof form === 'string') return form;
  const values = Array.isArray(json['value']) ? (json['value'] as unknown[]) : [json['value']];
  const parts: Buffer[] = [];
  for (const value of values) {
    const part = encodeValue(value, form);
    if (typeof part === 'string') return part;
    parts.push(part);
    if (parts.length > WRITE_REGISTERS_MAX) break;
  }
  const bytes = Buffer.concat(parts);
  const count = bytes.length / 2;
  if (count === 0 || count > WRITE_REGISTERS_MAX) return `it has not 1 to ${WRITE_REGISTERS_MAX} registers`;
  if (address + count > 0x10000) return 'it ends beyond address 65535';
  return { kind: 'write-registers', unit, address, bytes, isSingle: isSingle && count === 1 };
}

function formOf({ type, order }: Json): Form | string {
  const known: ValueType | undefined =
    type === undefined
      ? { kind: 'uint16' }
      : type === 'bool'
        ? { kind: 'bool' }
        : NUMBERS.filter((kind) => kind === type).map((kind) => ({ kind }))[0];
  if (known === undefined) return `its type must be bool, ${NUMBERS.join(', ')}`;
  const turn = order === undefined ? 'ABCD' : ORDERS.find((each) => each === order);
  return turn === undefined
    ? `its order must be one of ${ORDERS.join(', ')}`
    : {
        type: known,
        order: turn,
        scale: 1,
        offset: 0,
      };
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

/** The fields of an answer by which its sender knows the command again. */
export function echoOf({ value }: Command): Record<string, unknown> {
  const json = commandJson(value);
  if (typeof json === 'string') return {};
  const fields = ['id', 'unit', 'name', 'table', 'address'].filter((field) => json[field] !== undefined);
  return Object.fromEntries(fields.map((field) => [field, json[field]]));
}

export function outcomeOf(result: Result): Outcome {
  switch (result.kind) {
    case 'written':
      return { outcome: 'done' };
    case 'exception':
      return { outcome: 'refused', reason: `exception ${exceptionWord(result.code)}`, detail: { code: result.code } };
    case 'broadcast':
      return { outcome: 'unknown', reason: 'sent to all units; none of them answers' };
    case 'failure':
      return { outcome: 'unknown', reason: failureReason(result.failure) };
    default:
      return { outcome: 'unknown', reason: 'the answer is one to a read' };
  }
}

function failureReason(failure: string): string {
  if (failure === 'timeout') return 'sent, and not answered in time';
  return failure === 'closed' ? 'sent, and the port was lost' : `sent, and the answer was wrong: ${failure}`;
}
