// The settings of the framing `modbus-rtu`, as a part of the schema: the line, the units on it, their registers.

import { byDefault, duration, flag, group, integer, listOfSome, oneOf, optional, required } from './config-setting.ts';
import { scalar, text } from './config-setting.ts';
import { isRefusal, parseDurationOrNever, parseNodeName, parseTopicName, quote, type Parsed } from './config-units.ts';

const DAY_MS = 86_400_000;

const topicName = scalar("topic's name", parseTopicName);
const shortName = scalar('letters, digits, dots, underscores, hyphens', parseNodeName);
const everyMs = duration(10, 7 * DAY_MS);
const shortMs = duration(0, 60_000);

const decimal = scalar('number', (input): Parsed<number> => {
  if (typeof input === 'number' && Number.isFinite(input)) return input;
  return { refused: `must be a number, not ${quote(input)}` };
});

const factor = scalar('number other than 0', (input): Parsed<number> => {
  if (typeof input === 'number' && Number.isFinite(input) && input !== 0) return input;
  return { refused: `must be a number other than 0, not ${quote(input)}` };
});

const ageOrNever = scalar('duration, 1s to 7d, or never', (input): Parsed<number> => {
  const parsed = parseDurationOrNever(input, { min: 1000, max: 7 * DAY_MS });
  if (isRefusal(parsed)) return { refused: parsed.refused.replace('keeps for ever', 'is no bound') };
  return parsed === -1 ? Infinity : parsed;
});

export interface Deadband {
  by: number;
  isPercent: boolean;
}

/** A value's change that is told: `0.5` in its own measure, or `2%` of what was told last. */
const deadband = scalar('number from 0 up, or a percentage such as 2%', (input): Parsed<Deadband> => {
  const match = /^(\d+(?:\.\d+)?) ?%$/.exec(typeof input === 'string' ? input : '');
  const by = match === null ? input : Number(match[1]);
  if (typeof by === 'number' && Number.isFinite(by) && by >= 0) return { by, isPercent: match !== null };
  return { refused: `must be a number from 0 up, or a percentage such as 2%, not ${quote(input)}` };
});

const NUMBER_TYPES = ['int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'float32', 'float64'] as const;
export type NumberType = (typeof NUMBER_TYPES)[number];
export type ValueType = { kind: 'bool' } | { kind: NumberType } | { kind: 'string'; characters: number };

const valueType = scalar(`bool, ${NUMBER_TYPES.join(', ')}, or string N`, (input): Parsed<ValueType> => {
  if (input === 'bool') return { kind: 'bool' };
  const number = NUMBER_TYPES.find((name) => name === input);
  if (number !== undefined) return { kind: number };
  const characters = Number(/^string (\d{1,3})$/.exec(typeof input === 'string' ? input : '')?.[1] ?? 0);
  if (characters >= 1 && characters <= 246) return { kind: 'string', characters };
  return { refused: `must be bool, ${NUMBER_TYPES.join(', ')}, or string 1 to string 246, not ${quote(input)}` };
});

const register = group({
  name: required(shortName, 'Its name in keys, records and commands.', 'voltage'),
  table: byDefault(
    oneOf(['holding', 'input', 'coil', 'discrete']),
    'holding',
    'Which of the four tables of the unit it is in.',
  ),
  address: required(
    integer(0, 65_535),
    'Its first register as it goes over the wire, counted from 0: what a manual calls 30001 is `table: input` with ' +
      'address 0, 40101 is `table: holding` with address 100. May be written in hex, as 0x64.',
    0,
  ),
  type: optional(valueType, 'uint16, and bool in coil and discrete', 'What its bits mean.', 'float32'),
  order: byDefault(
    oneOf(['ABCD', 'CDAB', 'BADC', 'DCBA']),
    'ABCD',
    'How a value of several registers is put together: ABCD is the standard, CDAB has the lower register first, ' +
      'BADC and DCBA have the bytes of each register swapped as well.',
  ),
  scale: byDefault(factor, 1, 'A number is multiplied by this,'),
  offset: byDefault(decimal, 0, 'and this is added.'),
  unit: optional(text('text', 32), 'none', 'What the number is measured in; stands in each record.', 'V'),
  interval: optional(everyMs, "the port's interval", 'How often it is asked for.', '5s'),
  jitter: optional(
    shortMs,
    "the port's jitter",
    'Each time it is asked up to this much later, drawn anew; it never adds up.',
    '0s',
  ),
  deadband: optional(
    deadband,
    'every reading is a record',
    'A reading becomes a record only when it differs from the last record by more than this; 0 takes every change.',
    0.5,
  ),
  maxAge: byDefault(
    ageOrNever,
    'never',
    'After this long a reading within the deadband becomes a record all the same.',
  ),
  writable: byDefault(flag, false, 'Commands may write it, by its name; coil and holding only.'),
});

const unit = group({
  id: required(integer(1, 247), 'Its address on the line.', 1),
  name: optional(shortName, 'its id', 'Its name in keys, records, status and commands.', 'meter'),
  timeout: optional(duration(10, 60_000), "the port's timeout", 'How long it may take to begin its answer.', '500ms'),
  readMax: byDefault(integer(1, 125), 125, 'Registers that it can give in one answer; some give fewer.'),
  writeSingle: byDefault(
    flag,
    true,
    'One coil or register is written by function 5 or 6; with `false` by 15 or 16, for units that know only those.',
  ),
  registers: required(listOfSome(register), 'What is read from it.'),
});

const commands = group({
  topic: required(topicName, 'The topic whose records are commands for the units of this port.', 'boiler-commands'),
  results: optional(topicName, 'no answers', 'The topic of the answers: one for each command.', 'boiler-results'),
  maxAge: byDefault(ageOrNever, '1m', 'A command that is older when it is read is not carried out.'),
  raw: byDefault(
    flag,
    false,
    'Commands may write every coil and holding register of every unit, by table and address; otherwise only those ' +
      'that are `writable`.',
  ),
});

export const modbus = {
  units: required(listOfSome(unit), 'The units on this line.'),
  interval: byDefault(everyMs, '10s', 'How often registers are asked for, where they say nothing else.'),
  jitter: byDefault(shortMs, '0ms', 'The same for their jitter.'),
  timeout: byDefault(
    duration(10, 60_000),
    '500ms',
    'How long a unit may take to begin its answer. Longer than the slowest answer: a later one cannot be told from ' +
      'the answer to the next request.',
  ),
  retries: byDefault(integer(0, 10), 2, 'Further attempts at a unit before it is put in quarantine.'),
  quarantine: byDefault(
    duration(1000, DAY_MS),
    '10s',
    'How long a unit that does not answer is left alone, so that it does not slow the line; twice as long each time.',
  ),
  quarantineMax: byDefault(duration(1000, DAY_MS), '5m', 'The longest time that it is left alone.'),
  joinGap: byDefault(
    integer(0, 100),
    0,
    'Registers that lie next to one another are read in one request, and with up to this many unwanted ones between ' +
      'them. Units refuse requests that touch a register that they do not have.',
  ),
  turnaround: byDefault(duration(0, 10_000), '100ms', 'Silence after a command to all units (id 0).'),
  pause: byDefault(
    duration(2, 1000),
    '50ms',
    'A pause of this length ends an answer that came damaged. USB adapters pass bytes on about every 16 ms.',
  ),
  echo: byDefault(flag, false, 'The adapter hears what it sends, as some for two wires do.'),
  records: byDefault(
    oneOf(['register', 'request']),
    'register',
    'A record for each register, or one for all registers of a request.',
  ),
  quality: byDefault(
    flag,
    true,
    'When a register cannot be read any more, a record says so: its value is null, and `quality` says why.',
  ),
  commands: optional(commands, 'no commands', 'Writing coils and registers by records of a topic.'),
};
