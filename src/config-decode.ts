// The settings of a decoding rule, as a part of the schema: what the bytes of one frame become. What one setting alone
// cannot tell (overlapping fields, a key of no field) is checked where the rule is compiled, in decode/.

import type * as v from 'valibot';
import { byDefault, duration, either, flag, group, integer, listOfSome, oneOf } from './config-setting.ts';
import { optional, required, scalar, text } from './config-setting.ts';
import { nearest, parseInteger, parseTopicName, quote, type Parsed } from './config-units.ts';

const DAY_MS = 86_400_000;

/** A frame has at most 256 KiB, so no field is further away or longer. */
export const FRAME_BYTES_MAX = 256 * 1024;

const WORDS = ['raw', 'utf8', 'json'] as const;

const word = scalar(WORDS.join(', '), (input): Parsed<(typeof WORDS)[number]> => {
  const found = WORDS.find((each) => each === input);
  if (found !== undefined) return found;
  const meant = nearest(String(input), WORDS);
  const hint = meant === undefined ? '' : `, did you mean ${meant}?`;
  return { refused: `must be ${WORDS.join(', ')}, or a group with struct, json or csv, not ${quote(input)}${hint}` };
});

/** Braces stand around names in a key. */
const fieldName = scalar('name without braces or quotes', (input): Parsed<string> => {
  // oxlint-disable-next-line no-control-regex
  if (typeof input === 'string' && /^[^{}"\\\u0000-\u001f]{1,64}$/.test(input)) return input;
  return { refused: `must be a name of 1 to 64 characters without braces, quotes or backslashes, not ${quote(input)}` };
});

const decimal = scalar('number', (input): Parsed<number> => {
  if (typeof input === 'number' && Number.isFinite(input)) return input;
  return { refused: `must be a number, not ${quote(input)}` };
});

/** Scales beyond these belong to no instrument, and would make numbers of hundreds of digits. */
const scale = scalar('number, 1e-12 to 1e12', (input): Parsed<number> => {
  const size = typeof input === 'number' ? Math.abs(input) : NaN;
  if (size >= 1e-12 && size <= 1e12) return input as number;
  return { refused: `must be a number other than 0, from 1e-12 to 1e12 in size, not ${quote(input)}` };
});

const offset = scalar('number, up to 1e15', (input): Parsed<number> => {
  if (typeof input === 'number' && Math.abs(input) <= 1e15) return input;
  return { refused: `must be a number of at most 1e15 in size, not ${quote(input)}` };
});

function numberOrRest(form: string, max: number) {
  return scalar(form, (input): Parsed<number | 'rest'> => {
    if (input === 'rest') return input;
    const parsed = parseInteger(input, { min: 1, max });
    if (typeof parsed === 'number') return parsed;
    return { refused: `${parsed.refused}; "rest" takes all that is left of the frame` };
  });
}

const NUMBERS = ['u8', 'u16', 'u24', 'u32', 'u64', 'i8', 'i16', 'i24', 'i32', 'i64', 'f32', 'f64'] as const;

const ENDIANS = ['little', 'big'] as const;

const scaled = {
  scale: optional(
    scale,
    'as it comes',
    'The value is the number times this, calculated in decimals: 2153 times 0.01 is 21.53.',
    0.01,
  ),
  offset: optional(offset, '0', 'Added after the scale.', -40),
  unit: optional(
    text('text', 32),
    'none',
    "What the value is measured in; goes to the record's header `units`.",
    'degC',
  ),
};

const bitField = group({
  name: optional(fieldName, 'the bits are left out', 'Name in the record.', 'mode'),
  bits: required(integer(1, 64), 'How many bits, following those of the entry before.', 3),
  type: byDefault(oneOf(['uint', 'int', 'bool']), 'uint', '`int` is signed, two’s complement.'),
  ...scaled,
});

const structField = group({
  name: optional(fieldName, 'none, for `pad` and `bits` only', 'Name in the record.', 'temperature'),
  type: required(
    oneOf([...NUMBERS, 'bool', 'bits', 'bytes', 'string', 'pad']),
    'Numbers by size in bits: `u` unsigned, `i` signed, `f` IEEE 754. `bool` is a byte that is not 0.',
    'i16',
  ),
  at: optional(
    integer(0, FRAME_BYTES_MAX - 1),
    'right after the field before',
    'Where it begins, in bytes from the beginning of the frame.',
    2,
  ),
  endian: optional(
    oneOf(ENDIANS),
    'that of the struct',
    'Which byte of a number comes first: the lowest or the highest.',
  ),
  count: optional(
    numberOrRest('whole number, 1 to 65536, or rest', 65_536),
    'one value',
    'Makes a list of so many values; `rest` of as many as the frame holds.',
    4,
  ),
  bytes: optional(
    numberOrRest('whole number, 1 to 262144, or rest', FRAME_BYTES_MAX),
    '1 for `pad`; `bytes` and `string` need it',
    'Length of `bytes`, `string` and `pad`. A string ends before that at a byte of 0.',
    8,
  ),
  encoding: byDefault(oneOf(['utf8', 'latin1']), 'utf8', 'Character set of a string.'),
  of: byDefault(oneOf(['u8', 'u16', 'u32', 'u64']), 'u8', 'The number that holds the fields of `bits`.'),
  first: byDefault(
    oneOf(['low', 'high']),
    'low',
    'Whether the first entry of `fields` takes the lowest bits (as C compilers do on little-endian machines) or the highest.',
  ),
  fields: optional(listOfSome(bitField), '`bits` needs it', 'The parts of `bits`, in order.'),
  ...scaled,
  equals: optional(decimal, 'anything', 'Refuses frames with another value here: a magic number, a version.', 1),
  as: optional(
    oneOf(['number', 'text', 'hex', 'base64']),
    'number; hex for bytes',
    'How the value is written: whole numbers as `number`, `text` (in quotes) or `hex`, bytes as `hex` or `base64`.',
  ),
});

const nan = byDefault(
  oneOf(['null', 'text']),
  'null',
  'What stands for a number that JSON has no word for: `null`, or `"NaN"`, `"Infinity"`, `"-Infinity"`.',
);

const longer = byDefault(
  oneOf(['refuse', 'ignore']),
  'refuse',
  'What becomes of more than the rule describes: the record is refused, or the rest is ignored.',
);

const struct = group({
  endian: byDefault(oneOf(ENDIANS), 'little', 'Which byte of a number comes first: the lowest or the highest.'),
  align: byDefault(
    oneOf(['none', 'natural']),
    'none',
    '`natural` puts gaps before fields and at the end as C compilers for 32-bit machines do; `none` is a packed struct.',
  ),
  longer,
  nan,
  fields: required(listOfSome(structField), 'The fields, in their order in the frame and in the record.'),
});

const whenMissing = ['refuse', 'null', 'omit'] as const;

const jsonField = group({
  name: required(fieldName, 'Name in the record.', 'temperature'),
  from: optional(
    text('path', 512),
    'the same name',
    'Where it is: names with dots between (`sensor.t`, `values.0`), or a JSON pointer (`/a.b/c`).',
    'sensor.t',
  ),
  missing: byDefault(oneOf(whenMissing), 'refuse', 'What becomes of a record without it.'),
});

const json = group({
  fields: optional(
    listOfSome(jsonField),
    'the text stays as it came, byte for byte',
    'The fields to pick and how they are named, in the order of the record. Values are copied as they are written.',
  ),
});

const csvColumn = group({
  name: optional(fieldName, 'none, for `skip` only', 'Name in the record.', 'temperature'),
  type: byDefault(
    oneOf(['number', 'integer', 'text', 'bool', 'skip']),
    'number',
    '`bool` takes true, false, 1, 0, yes, no, on, off. `skip` leaves the column out.',
  ),
  empty: byDefault(oneOf(whenMissing), 'null', 'What becomes of a record with nothing in this column.'),
  unit: scaled.unit,
});

const csv = group({
  separator: byDefault(text('1 to 8 characters', 8), ',', 'What stands between columns; `"\\t"` is a tab.'),
  quote: byDefault(
    oneOf(['"', "'", 'none']),
    '"',
    'What stands around text that holds a separator; doubled inside, it is itself.',
  ),
  decimal: byDefault(oneOf(['.', ',']), '.', 'The decimal point.'),
  header: optional(
    text('the line', 4096),
    'none',
    'A line of headings that the device sends: it is counted and makes no record.',
    'id,temperature',
  ),
  longer,
  nan,
  columns: required(listOfSome(csvColumn), 'The columns, in order.'),
});

const time = group({
  field: required(fieldName, 'The field with the time.', 'ts'),
  unit: byDefault(
    oneOf(['s', 'ms', 'us', 'ns', 'iso']),
    's',
    'Since 1970, or `iso`: `2026-01-31T06:00:00.5Z`; without a zone it is UTC.',
  ),
  past: byDefault(
    duration(0, 3650 * DAY_MS),
    '7d',
    'A time further before the arrival is not believed: the record has the time of its arrival, and it is counted.',
  ),
  future: byDefault(
    duration(0, 3650 * DAY_MS),
    '10m',
    'The same for a time after the arrival. Kafka refuses what is an hour ahead of its own clock.',
  ),
});

export const decodeRule = either(
  word,
  group({
    struct: optional(struct, 'no struct', 'The frame is a C struct.'),
    json: optional(json, 'no JSON', 'The frame is JSON text.'),
    csv: optional(csv, 'no CSV', 'The frame is a line of separated values.'),
    utf8: optional(flag, 'not looked at', 'The frame is text: it stays as it is, and must be UTF-8.'),
    key: optional(
      text('template', 1024),
      'as without decoding',
      "The record's key, of fields: `{id}`, `{id}/{mode}`. A record without such a field has the key it would have anyway.",
      '{id}',
    ),
    time: optional(time, 'the time of arrival', "Takes the record's time from a field."),
    failed: optional(
      group({ topic: required(scalar("topic's name", parseTopicName), 'The topic.', 'boiler.undecoded') }),
      'the topic, with `.undecoded` after its name',
      'Where a frame goes that the rule does not fit: its bytes as they came, with headers that say why.',
    ),
  }),
);

export type DecodeRule = v.InferOutput<typeof decodeRule>;
export type RuleGroup = Exclude<DecodeRule, string>;
export type StructRule = NonNullable<RuleGroup['struct']>;
export type StructField = StructRule['fields'][number];
export type BitField = NonNullable<StructField['fields']>[number];
export type JsonRule = NonNullable<RuleGroup['json']>;
export type CsvRule = NonNullable<RuleGroup['csv']>;
export type TimeRule = NonNullable<RuleGroup['time']>;
export type NumberType = (typeof NUMBERS)[number];
