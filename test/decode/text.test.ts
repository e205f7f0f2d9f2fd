import { expect, test } from 'vitest';
import { decode, mistakes, valueOf } from './rules.ts';

const ID_AND_T = [{ name: 'id', type: 'text' }, { name: 't' }];
const csv = (more: object = {}): object => ({ csv: { columns: ID_AND_T, ...more } });
const cell = (column: object, more: object = {}): object => ({ csv: { columns: [{ name: 'x', ...column }], ...more } });

test.each<[unknown, string, string]>([
  [csv(), 'a,21.5', '{"id":"a","t":21.5}'],
  [csv(), ' a , 21.5 ', '{"id":"a","t":21.5}'],
  [csv(), '"a,b",1', '{"id":"a,b","t":1}'],
  [csv(), '"say ""no""" , 1', '{"id":"say \\"no\\"","t":1}'],
  [csv(), '" a ",1', '{"id":" a ","t":1}'],
  [csv({ quote: 'none' }), '"a,1', '{"id":"\\"a","t":1}'],
  [csv({ quote: "'" }), "'it''s',1", '{"id":"it\'s","t":1}'],
  [csv({ separator: '\t' }), 'a\t1', '{"id":"a","t":1}'],
  [csv({ separator: '\t' }), '\t1', '{"id":null,"t":1}'],
  [csv({ separator: '\t' }), '"a"\t1', '{"id":"a","t":1}'],
  [csv({ separator: ';', decimal: ',' }), 'a;-1,5', '{"id":"a","t":-1.5}'],
  [csv({ separator: ' | ' }), 'a | 1', '{"id":"a","t":1}'],
  [csv({ longer: 'ignore' }), 'a,1,2,3', '{"id":"a","t":1}'],
  [csv({ header: 'id,t' }), ' id,t', '<heading>'],
  [csv({ header: 'id,t' }), 'id,1', '{"id":"id","t":1}'],
  [csv(), 'a,', '{"id":"a","t":null}'],
  [cell({ empty: 'omit' }), '', '{}'],
  [{ csv: { columns: [{ type: 'skip' }, { name: 'x' }] } }, 'junk,7', '{"x":7}'],
])('csv %j makes of %j %s', (rule, line, value) => {
  expect(valueOf(rule, line)).toBe(value);
});

test.each<[string, string]>([
  ['0', '0'],
  ['-0.0', '-0.0'],
  ['+7', '7'],
  ['007', '7'],
  ['-00.50', '-0.50'],
  ['.5', '0.5'],
  ['5.', '5'],
  ['1e3', '1e3'],
  ['+01.E-2', '1E-2'],
  ['123456789012345678901234567890', '123456789012345678901234567890'],
  ['NaN', 'null'],
  ['-inf', 'null'],
  ['1e999', '<column 1, x, is "1e999", which is no number>'],
  ['1,5', '<the line has 2 columns and should have 1: "1,5">'],
  ['abc', '<column 1, x, is "abc", which is no number>'],
  ['0x10', '<column 1, x, is "0x10", which is no number>'],
  ['1 2', '<column 1, x, is "1 2", which is no number>'],
])('the number %s is written %s', (text, json) => {
  expect(valueOf(cell({}), text)).toBe(json.startsWith('<') ? json : `{"x":${json}}`);
});

test.each<[unknown, string, string]>([
  [cell({ type: 'integer' }), '+007', '{"x":7}'],
  [cell({ type: 'integer' }), '1.5', '<column 1, x, is "1.5", which is no whole number>'],
  [cell({ type: 'bool' }), 'ON', '{"x":true}'],
  [cell({ type: 'bool' }), '0', '{"x":false}'],
  [cell({ type: 'bool' }), '2', '<column 1, x, is "2", which is no bool>'],
  [cell({ empty: 'refuse' }), '', '<column 1, x, is empty>'],
  [cell({}, { nan: 'text' }), '-Infinity', '{"x":"-Infinity"}'],
  [cell({}, { decimal: ',', separator: ';' }), '1.234,5', '<column 1, x, is "1.234,5", which is no number>'],
  [csv(), '"a,1', '<a quote is opened and not closed: "\\"a,1">'],
  [csv(), '"a"b,1', '<something follows a closing quote: "\\"b,1">'],
  [csv(), 'a', '<the line has 1 column and should have 2: "a">'],
  ['utf8', 'grün', 'grün'],
])('%j makes of %j %s', (rule, line, value) => {
  expect(valueOf(rule, line)).toBe(value);
});

test('what is not UTF-8 is a misfit of every rule for text', () => {
  const bytes = Buffer.from([0x61, 0xff]);
  expect(valueOf(csv(), bytes)).toBe('<the line is not UTF-8>');
  expect(valueOf('json', bytes)).toBe('<the frame is not UTF-8, as JSON has to be>');
  expect(valueOf('utf8', bytes)).toBe('<the frame is not UTF-8>');
});

test('JSON that is not to be changed is the frame itself', () => {
  const frame = Buffer.from(' {"b": 1.50, "a" : 12345678901234567890} ');
  const decoded = decode('json', frame);
  expect(decoded).toMatchObject({ kind: 'record', value: frame });
  expect(decode({ json: {}, key: '{a}' }, frame)).toMatchObject({ key: Buffer.from('12345678901234567890') });
});

const pick = (...fields: object[]): object => ({ json: { fields } });

test.each<[unknown, string, string]>([
  [pick({ name: 't' }), '{"t":21.50,"u":1}', '{"t":21.50}'],
  [pick({ name: 'b' }, { name: 'a' }), '{"a":1,"b":2}', '{"b":2,"a":1}'],
  [pick({ name: 'n' }), '{ "n" : 12345678901234567890 }', '{"n":12345678901234567890}'],
  [pick({ name: 't', from: 's.t' }), '{"x":[{"t":0}],"s":{"u":"}","t":-1e3}}', '{"t":-1e3}'],
  [pick({ name: 'v', from: 'v.1' }), '{"v":[1,"a,]",3]}', '{"v":"a,]"}'],
  [pick({ name: 'v', from: '/a.b/c~1d' }), '{"a.b":{"c/d":[]}}', '{"v":[]}'],
  [pick({ name: 'v', from: 'a' }), '{"a":{"x":"\\"}"}}', '{"v":{"x":"\\"}"}}'],
  [pick({ name: 'x' }), '{"x":1,"x":2}', '{"x":2}'],
  [pick({ name: 'x', from: 'a.b', missing: 'null' }), '{"a":{"b":1},"a":3}', '{"x":null}'],
  [pick({ name: 'x' }), '{"\\u0078":1}', '{"x":1}'],
  [pick({ name: 'x', missing: 'null' }), '[]', '{"x":null}'],
  [pick({ name: 'x', missing: 'omit' }, { name: 'y' }), '{"y":null}', '{"y":null}'],
  [pick({ name: 'x' }), '{"y":1}', '<the field "x" is missing>'],
  [pick({ name: 'x', from: 'a.b' }), '{"a":1}', '<the field "a.b" is missing>'],
  [pick({ name: 'same', from: 'a' }, { name: 'again', from: 'a' }), '{"a":1}', '{"same":1,"again":1}'],
  [pick({ name: 'outer', from: 'a' }, { name: 'inner', from: 'a.b' }), '{"a":{"b":1}}', '{"outer":{"b":1},"inner":1}'],
  ['json', '{"a":NaN}', '<the frame is not JSON: "{\\"a\\":NaN}">'],
  ['json', '{"a":1', '<the frame is not JSON at character 7: "{\\"a\\":1">'],
  ['json', '', '<the frame is empty>'],
])('json %j makes of %j %s', (rule, text, value) => {
  expect(valueOf(rule, text)).toBe(value);
});

test('JSON as deep as a frame can be is read', () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  expect(valueOf(pick({ name: 'x', missing: 'null' }, { name: 'd' }), `{"d":${deep}}`)).toBe(`{"x":null,"d":${deep}}`);
});

test.each<[object, string, string | undefined]>([
  [{ ...csv(), key: '{id}' }, 'a,1', 'a'],
  [{ ...csv(), key: 'x-{t}-{id}' }, 'a,1', 'x-1-a'],
  [{ ...csv(), key: '{port}/{id}' }, 'a,1', 'p1/a'],
  [{ ...csv(), key: '{id}' }, ',1', undefined],
  [{ ...csv(), key: '{t}' }, 'a,nan', undefined],
  [{ json: {}, key: '{a.b}' }, '{"a":{"b":"x\\ny"}}', 'x\ny'],
  [{ json: {}, key: '{a}' }, '{"a":{}}', undefined],
  [{ json: { fields: [{ name: 'k', from: 'a' }] }, key: '{k}' }, '{"a":true}', 'true'],
])('%j makes of %j the key %s', (rule, line, key) => {
  const decoded = decode(rule, line);
  expect(decoded.kind === 'record' && decoded.key?.toString()).toBe(key);
});

test('a key that is too long for one is a misfit', () => {
  expect(valueOf({ json: {}, key: '{k}' }, JSON.stringify({ k: 'x'.repeat(5000) }))).toBe(
    '<the key would have 5000 bytes, and at most 4096 fit>',
  );
});

const timed = (unit: string, more: object = {}): object => ({
  csv: { columns: [{ name: 'ts', type: 'text' }] },
  time: { field: 'ts', unit, ...more },
});

test.each<[string, string, string]>([
  ['s', '1769839200', '2026-01-31T06:00:00.000Z'],
  ['s', '1769839200.125', '2026-01-31T06:00:00.125Z'],
  ['s', '1.7698392e9', '2026-01-31T06:00:00.000Z'],
  ['ms', '1769839200125', '2026-01-31T06:00:00.125Z'],
  ['us', '1769839200125999', '2026-01-31T06:00:00.125Z'],
  ['ns', '1769839200125000000', '2026-01-31T06:00:00.125Z'],
  ['iso', '2026-01-31T06:00:00Z', '2026-01-31T06:00:00.000Z'],
  ['iso', '2026-01-31 07:00:00.5+01:00', '2026-01-31T06:00:00.500Z'],
  ['iso', '2026-01-31T06:00', '2026-01-31T06:00:00.000Z'],
  ['iso', '2026-01-31T07:00:00+01', '2026-01-31T06:00:00.000Z'],
  ['iso', '2026-01-31', '2026-01-31T00:00:00.000Z'],
])('a time in %s, %s, is %s', (unit, text, iso) => {
  expect(decode(timed(unit), text)).toMatchObject({ timestampMs: Date.parse(iso), doubt: undefined });
});

test.each<[string, string, string]>([
  ['s', '0', 'ts is "0", 20484d 6h before its arrival'],
  ['s', '1769840000', 'ts is "1769840000", 13m 20s after its arrival'],
  ['ms', '1769839200', 'ts is "1769839200", 20463d 18h before its arrival'],
  ['s', 'never', 'ts is "never", which is no time in s'],
  ['s', '', 'ts is missing'],
  ['iso', '2026-02-30T25:00:00Z', 'ts is "2026-02-30T25:00:00Z", which is no time in iso'],
])('a time in %s, %j, is not believed', (unit, text, doubt) => {
  expect(decode(timed(unit), text)).toMatchObject({ kind: 'record', timestampMs: undefined, doubt });
});

test.each<[unknown, string[]]>([
  [{}, [': one of struct, json, csv, utf8 is missing']],
  [{ json: {}, utf8: true }, [': one of struct, json, csv, utf8 is one too many: json, utf8']],
  [{ ...csv(), key: '{di}' }, ['key: {di} is no field that a key can have; did you mean id?']],
  [{ ...csv(), key: '{id' }, ['key: a brace is opened or closed without the other']],
  [{ utf8: true, key: '{x}' }, ['key: {x} is no field that a key can have; there are port, channel']],
  [{ ...csv(), time: { field: 'time' } }, ['time.field: "time" is no field with a time; there are id, t']],
  [{ ...csv({ decimal: ',' }) }, [expect.stringMatching(/^csv.separator: is the decimal point, too/)]],
  [{ csv: { columns: [{ type: 'text' }] } }, ['csv.columns.0: a column of type text needs a name']],
  [{ csv: { columns: [{ name: 'a' }, { name: 'a' }] } }, [expect.stringMatching(/^csv.columns.1.name: the name "a"/)]],
  [pick({ name: 'a' }, { name: 'a' }), [expect.stringMatching(/^json.fields.1.name: the name "a"/)]],
  [{ json: {}, failed: { topic: 'boiler' } }, [expect.stringMatching(/^failed.topic: is the topic of the records/)]],
])('the mistakes of %j are told', (rule, told) => {
  expect(mistakes(rule)).toEqual(told);
});

test('a topic too long for a side topic of its name needs another one', () => {
  const topic = 'x'.repeat(245);
  expect(mistakes('utf8', { topic })[0]).toMatch(/too long for a topic's name: say failed/);
  expect(mistakes({ utf8: true, failed: { topic: 'bad' } }, { topic })).toEqual([]);
});
