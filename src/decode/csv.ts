// Frames that are a line of separated values (RFC 4180, one record a line). Numbers keep the digits that the device wrote;
// only their form becomes JSON's: `+007,50` with a decimal comma is 7.50. Pure.

import { isUtf8 } from 'node:buffer';
import type { CsvRule } from '../config-decode.ts';
import { excerpt, Misfit, type Body, type RuleProblem } from './body.ts';
import { repeatedNames } from './layout.ts';
import { nanText } from './numbers.ts';

type Column = CsvRule['columns'][number];
/** JSON of a cell, or why there is none: the end of a sentence that begins with the column. */
type WriteCell = (cell: string) => string | Misfit;

interface ReadCsv {
  isHeader: boolean;
  cells: string[];
  /** JSON by column; undefined is left out. */
  written: (string | undefined)[];
}

const HEADER: ReadCsv = { isHeader: true, cells: [], written: [] };

export function compileCsv(rule: CsvRule, problems: RuleProblem[]): Body<ReadCsv> {
  checkRule(rule, problems);
  const { columns, longer } = rule;
  const split = splitterOf(rule);
  const writers = columns.map((column) => cellWriter(column, rule));
  const heads = columns.map(({ name = '' }) => `${JSON.stringify(name)}:`);
  const header = rule.header?.trim();
  const withUnit = columns.filter(({ name, unit }) => name !== undefined && unit !== undefined);

  function read(frame: Buffer): ReadCsv | Misfit {
    if (!isUtf8(frame)) return new Misfit('the line is not UTF-8');
    const text = frame.toString();
    if (header !== undefined && text.trim() === header) return HEADER;
    const cells = split(text);
    if (cells instanceof Misfit) return cells;
    if (cells.length < columns.length || (cells.length > columns.length && longer === 'refuse')) {
      return new Misfit(`the line has ${count(cells.length)} and should have ${columns.length}: ${excerpt(text)}`);
    }
    const written: (string | undefined)[] = [];
    for (let index = 0; index < writers.length; index += 1) {
      const json = writers[index]!(cells[index]!);
      if (json instanceof Misfit) return inColumn(index, json);
      written.push(json === '' ? undefined : json);
    }
    return { isHeader: false, cells, written };
  }

  function inColumn(index: number, { reason }: Misfit): Misfit {
    return new Misfit(`column ${index + 1}, ${columns[index]!.name ?? 'without a name'}, ${reason}`);
  }

  function value({ isHeader, written }: ReadCsv): string | undefined {
    if (isHeader) return undefined;
    let out = '';
    for (let index = 0; index < heads.length; index += 1) {
      const json = written[index];
      if (json !== undefined) out += (out === '' ? '' : ',') + heads[index]! + json;
    }
    return `{${out}}`;
  }

  const names = columns.flatMap(({ name, type }) => (name === undefined || type === 'skip' ? [] : [name]));
  return {
    words: `csv of ${columns.length} columns`,
    read,
    value,
    textOf(name) {
      const index = columns.findIndex((column) => column.name === name && column.type !== 'skip');
      if (index === -1) return undefined;
      return ({ cells, written }) => plainText(cells[index]!, written[index], columns[index]!.type);
    },
    names,
    units: Object.fromEntries(withUnit.map(({ name = '', unit = '' }) => [name, unit])),
  };
}

function count(columns: number): string {
  return columns === 1 ? '1 column' : `${columns} columns`;
}

function checkRule({ columns, separator, decimal, quote }: CsvRule, problems: RuleProblem[]): void {
  if (separator === decimal) {
    const message = 'is the decimal point, too: devices that write 21,5 mostly separate by ";"';
    problems.push({ path: ['csv', 'separator'], message });
  }
  if (separator === quote) problems.push({ path: ['csv', 'separator'], message: 'is the quote, too' });
  for (const [index, { name, type }] of columns.entries()) {
    if (name !== undefined || type === 'skip') continue;
    problems.push({ path: ['csv', 'columns', index], message: `a column of type ${type} needs a name` });
  }
  for (const index of repeatedNames(columns.map(({ name }) => name))) {
    const message = `the name ${JSON.stringify(columns[index]!.name)} is that of another column, too`;
    problems.push({ path: ['csv', 'columns', index, 'name'], message });
  }
}

/** A number's or bool's JSON without quotes, text as it is; of an empty cell nothing. */
function plainText(cell: string, json: string | undefined, type: Column['type']): string | undefined {
  if (json === undefined || json === 'null') return undefined;
  return type === 'text' ? cell : json;
}

type Split = (text: string) => string[] | Misfit;

/** Cells without the blanks around them; what stands in quotes stays as it is. */
function splitterOf({ separator, quote }: CsvRule): Split {
  const plainly = (text: string): string[] => text.split(separator).map((cell) => cell.trim());
  if (quote === 'none') return plainly;
  return (text) => (text.includes(quote) ? splitQuoted(text, separator, quote) : plainly(text));
}

function splitQuoted(text: string, separator: string, quote: string): string[] | Misfit {
  const cells: string[] = [];
  for (let at = 0; ;) {
    const begin = skipBlanks(text, at, separator);
    if (text[begin] === quote) {
      const end = closingQuote(text, begin + 1, quote);
      if (end === -1) return new Misfit(`a quote is opened and not closed: ${excerpt(text.slice(begin))}`);
      cells.push(text.slice(begin + 1, end).replaceAll(quote + quote, quote));
      at = skipBlanks(text, end + 1, separator);
      if (at < text.length && !text.startsWith(separator, at)) {
        return new Misfit(`something follows a closing quote: ${excerpt(text.slice(end))}`);
      }
    } else {
      const next = text.indexOf(separator, at);
      const end = next === -1 ? text.length : next;
      cells.push(text.slice(at, end).trim());
      at = end;
    }
    if (at >= text.length) return cells;
    at += separator.length;
  }
}

function skipBlanks(text: string, start: number, separator: string): number {
  let at = start;
  while ((text[at] === ' ' || text[at] === '\t') && !text.startsWith(separator, at)) at += 1;
  return at;
}

function closingQuote(text: string, start: number, quote: string): number {
  for (let at = text.indexOf(quote, start); at !== -1; at = text.indexOf(quote, at + 2)) {
    if (text[at + 1] !== quote) return at;
  }
  return -1;
}

/** Writes '' for what is left out. */
function cellWriter(column: Column, rule: CsvRule): WriteCell {
  if (column.type === 'skip') return () => '';
  const write = typeWriter(column.type, rule);
  const empty = emptyWriter(column);
  return (cell) => (cell === '' ? empty : write(cell));
}

function emptyWriter({ empty }: Column): string | Misfit {
  if (empty === 'refuse') return new Misfit('is empty');
  return empty === 'null' ? 'null' : '';
}

function typeWriter(type: Exclude<Column['type'], 'skip'>, { decimal, nan }: CsvRule): WriteCell {
  if (type === 'text') return (cell) => JSON.stringify(cell);
  if (type === 'bool')
    return (cell) => BOOLS.get(cell.toLowerCase()) ?? new Misfit(`is ${excerpt(cell)}, which is no bool`);
  if (type === 'integer') {
    return (cell) =>
      INTEGER.test(cell) ? jsonNumber(cell) : new Misfit(`is ${excerpt(cell)}, which is no whole number`);
  }
  return (cell) => {
    // In a file with decimal commas a point is no part of a number: it may group thousands.
    const text = decimal === ',' ? cell.replaceAll(/[.,]/g, (found) => (found === ',' ? '.' : '?')) : cell;
    if (NUMBER.test(text) && Number.isFinite(Number(text))) return jsonNumber(text);
    if (NAN.test(cell)) return nanText(NaN, nan);
    const infinite = INFINITE.exec(cell);
    if (infinite !== null) return nanText(infinite[1] === '-' ? -Infinity : Infinity, nan);
    return new Misfit(`is ${excerpt(cell)}, which is no number`);
  };
}

const BOOLS = new Map([
  ['true', 'true'],
  ['1', 'true'],
  ['yes', 'true'],
  ['on', 'true'],
  ['false', 'false'],
  ['0', 'false'],
  ['no', 'false'],
  ['off', 'false'],
]);

const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const NAN = /^[+-]?nan$/i;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** JSON has no plus sign, no leading zeros, and digits on both sides of a point. */
function jsonNumber(text: string): string {
  if (JSON_NUMBER.test(text)) return text;
  const [, sign = '', whole = '', fraction = '', exponent = ''] = /^([+-]?)(\d*)\.?(\d*)(.*)$/.exec(text) ?? [];
  const digits = whole.replace(/^0+(?=\d)/, '');
  return `${sign === '-' ? '-' : ''}${digits === '' ? '0' : digits}${fraction === '' ? '' : `.${fraction}`}${exponent}`;
}
