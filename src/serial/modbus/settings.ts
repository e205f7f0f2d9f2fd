// What one Modbus line is told, checked as a whole and in the form that is worked with.

import type { HeadwaterError } from '../../errors.ts';
import type { Deadband } from '../../config-modbus.ts';
import type { SerialPort } from '../../config.ts';
import type { HealthRules } from './health.ts';
import type { LineRules } from './line.ts';
import { isBits, type Table } from './request.ts';
import { registersOf, type Form } from './values.ts';

export interface RegisterConfig extends Form {
  name: string;
  table: Table;
  address: number;
  /** Registers, or one bit. */
  count: number;
  /** What it is measured in. */
  measure: string | undefined;
  intervalMs: number;
  jitterMs: number;
  /** Undefined: every reading is told. */
  deadband: Deadband | undefined;
  ageMaxMs: number;
  isWritable: boolean;
}

export interface UnitConfig {
  id: number;
  name: string;
  timeoutMs: number;
  readMax: number;
  writesSingle: boolean;
  registers: RegisterConfig[];
}

export interface ModbusConfig {
  kind: 'modbus-rtu';
  line: LineRules;
  health: HealthRules;
  joinGap: number;
  records: 'register' | 'request';
  tellsQuality: boolean;
  units: UnitConfig[];
  commands: { topic: string; results: string | undefined; ageMaxMs: number; isRaw: boolean } | undefined;
}

export type ModbusPort = Extract<SerialPort, { framing: 'modbus-rtu' }>;

/** Makes the error that says of this port what is wrong with it. */
type Refuse = (what: string) => HeadwaterError;

/** Throws what `refuse` makes. */
export function modbusConfig(port: ModbusPort, refuse: Refuse): ModbusConfig {
  const { commands } = port;
  const units = port.units.map((unit) => unitConfig(port, unit, refuse));
  refuseTwice(
    'id',
    units.map(({ id }) => id),
    'units',
    refuse,
  );
  refuseTwice(
    'name',
    units.map(({ name }) => name),
    'units',
    refuse,
  );
  if (commands !== undefined && [commands.results, port.topic].includes(commands.topic)) {
    throw refuse(`its commands come from the topic ${commands.topic}, which its own records go to`);
  }
  const parityBits = port.parity === 'none' ? 0 : 1;
  return {
    kind: 'modbus-rtu',
    line: {
      baud: port.baud,
      characterBits: 1 + port.dataBits + parityBits + port.stopBits,
      pauseMs: port.pause,
      turnaroundMs: port.turnaround,
      hasEcho: port.echo,
    },
    health: { retries: port.retries, firstMs: port.quarantine, maxMs: Math.max(port.quarantine, port.quarantineMax) },
    joinGap: port.joinGap,
    records: port.records,
    tellsQuality: port.quality,
    units,
    commands:
      commands === undefined
        ? undefined
        : { topic: commands.topic, results: commands.results, ageMaxMs: commands.maxAge, isRaw: commands.raw },
  };
}

function unitConfig(port: ModbusPort, unit: ModbusPort['units'][number], refuse: Refuse): UnitConfig {
  const name = unit.name ?? String(unit.id);
  const registers = unit.registers.map((register) => {
    const config = registerConfig(port, register);
    const wrong = mistakeIn(config, unit.readMax);
    if (wrong !== undefined) throw refuse(`register ${config.name} of unit ${name} ${wrong}`);
    return config;
  });
  const names = registers.map((register) => register.name);
  refuseTwice('name', names, `registers of unit ${name}`, refuse);
  return {
    id: unit.id,
    name,
    timeoutMs: unit.timeout ?? port.timeout,
    readMax: unit.readMax,
    writesSingle: unit.writeSingle,
    registers,
  };
}

type RegisterSettings = ModbusPort['units'][number]['registers'][number];

function registerConfig(port: ModbusPort, register: RegisterSettings): RegisterConfig {
  const { name, table, address, order, scale, offset } = register;
  const type = register.type ?? { kind: isBits(table) ? 'bool' : 'uint16' };
  return {
    name,
    table,
    address,
    type,
    order,
    scale,
    offset,
    count: registersOf(type),
    measure: register.unit,
    intervalMs: register.interval ?? port.interval,
    jitterMs: register.jitter ?? port.jitter,
    deadband: register.deadband,
    ageMaxMs: register.maxAge,
    isWritable: register.writable,
  };
}

function mistakeIn(register: RegisterConfig, readMax: number): string | undefined {
  const { table, address, type, count } = register;
  if (isBits(table) && type.kind !== 'bool') return `is in table ${table}, whose values are bool, not ${type.kind}`;
  if (address + count > 0x10000) return `begins at address ${address} and ends beyond 65535`;
  if (count > readMax) return `takes ${count} registers, and its unit gives ${readMax} in an answer (readMax)`;
  if (register.jitterMs > register.intervalMs) return 'has a jitter that is longer than its interval';
  const isReadOnly = table === 'input' || table === 'discrete';
  return register.isWritable && isReadOnly ? `is in table ${table}, which no command can write` : undefined;
}

function refuseTwice(what: string, values: readonly (string | number)[], where: string, refuse: Refuse): void {
  const twice = values.find((value, at) => values.indexOf(value) !== at);
  if (twice !== undefined) throw refuse(`two ${where} have the ${what} ${twice}`);
}
