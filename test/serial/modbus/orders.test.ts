import { expect, test } from 'vitest';
import { orderOf } from '../../../src/serial/modbus/orders.ts';
import { modbusConfig, type ModbusPort } from '../../../src/serial/modbus/settings.ts';
import { serialPorts } from '../../parts/serial-settings.ts';

function configOf(raw: boolean, writeSingle = true) {
  const registers = [
    { name: 'setpoint', address: 100, type: 'float32', order: 'CDAB', writable: true },
    { name: 'mode', address: 7, writable: true },
    { name: 'relay', table: 'coil', address: 3, writable: true },
    { name: 'voltage', table: 'input', address: 0 },
  ];
  const units = [{ id: 3, name: 'pump', writeSingle, registers }];
  const commands = { topic: 'c', raw };
  const [port] = serialPorts({ path: '/dev/x', topic: 't', framing: 'modbus-rtu', units, commands });
  return modbusConfig(port as ModbusPort, (what) => new Error(what) as never);
}

const order = (json: unknown, raw = true, writeSingle = true) =>
  orderOf(Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)), configOf(raw, writeSingle));

test.each<[object, object]>([
  [
    { unit: 'pump', name: 'setpoint', value: 21.5 },
    { kind: 'write-registers', unit: 3, address: 100, bytes: Buffer.from('000041ac', 'hex'), isSingle: false },
  ],
  [
    { unit: 3, name: 'mode', value: 7 },
    { kind: 'write-registers', address: 7, bytes: Buffer.of(0, 7), isSingle: true },
  ],
  [
    { unit: 3, name: 'relay', value: true },
    { kind: 'write-bits', address: 3, bits: [true], isSingle: true },
  ],
  [
    { unit: 9, table: 'coil', address: 0, value: [true, 0] },
    { kind: 'write-bits', unit: 9, bits: [true, false] },
  ],
  [
    { unit: 0, table: 'holding', address: 5, type: 'int32', value: [-1, 1] },
    { unit: 0, bytes: Buffer.from('ffffffff00000001', 'hex'), isSingle: false },
  ],
])('%j', (json, write) => {
  expect(order(json)).toMatchObject({ write });
});

test('units that know only functions 15 and 16 are written by those', () => {
  expect(order({ unit: 3, name: 'mode', value: 7 }, false, false)).toMatchObject({ write: { isSingle: false } });
});

test.each<[unknown, string]>([
  ['{', 'it is no JSON'],
  ['[1]', 'it is no JSON object'],
  [{ unit: 'tank', name: 'mode', value: 1 }, 'no unit "tank" is configured here'],
  [{ unit: 'pump', name: 'x', value: 1 }, 'unit pump has no register "x"'],
  [{ unit: 'pump', name: 'voltage', value: 1 }, 'register voltage of unit pump is not writable'],
  [{ unit: 'pump', name: 'mode', value: 70_000 }, '70000 does not fit into uint16, which holds 0 to 65535'],
  [{ unit: 'pump', name: 'mode', address: 1, value: 1 }, 'it has a name and address; the name says it all'],
  [
    { unit: 3, tabel: 'coil', value: 1 },
    'it has "tabel"; there are id, unit, name, table, address, type, order, value',
  ],
  [{ unit: 300, table: 'coil', address: 0, value: 1 }, 'its unit must be a name or 0 to 247'],
  [{ unit: 3, table: 'input', address: 0, value: 1 }, 'its table must be coil or holding'],
  [{ unit: 3, table: 'coil', address: 65_535, value: [true, true] }, 'it ends beyond address 65535'],
  [{ unit: 3, table: 'holding', address: 0, value: [] }, 'it has not 1 to 123 registers'],
])('%j is invalid', (json, why) => {
  expect(order(json)).toEqual({ invalid: why });
});

test('addresses are for those who allow them; a command without a value is none', () => {
  const json = { unit: 3, table: 'coil', address: 0, value: true };
  expect(order(json, false)).toEqual({ invalid: 'it has no name, and commands.raw is off' });
  expect(orderOf(null, configOf(true))).toEqual({ invalid: 'it has no value' });
});
