// Offset ranges as people write them: `FROM`, `FROM:TO`, `FROM:` or `:TO`, where each side is
//
//   start, end   the first record, or behind the last
//   17           an offset
//   -10          ten before the end
//   @TIME        the first record of that time or later: milliseconds, a date, or -1h for one hour ago
//
// TO itself is not included. Pure: what comes out is in the words of the HTTP interface.

import { HeadwaterError } from '../errors.ts';
import { isRefusal, parseDuration } from '../config-units.ts';

export interface OffsetRange {
  from: string;
  /** Undefined: whatever the end is. */
  to: string | undefined;
}

/** Throws USAGE. */
export function parseOffsets(text: string, nowMs: number): OffsetRange {
  // A date has colons of its own, so only one that is followed by a place divides.
  const divided = /^(|start|end|-?\d+|@.+?):(|start|end|-?\d+|@.+)$/.exec(text);
  if (divided === null || isDate(text)) return { from: parsePlace(text, nowMs), to: undefined };
  const [, from = '', to = ''] = divided;
  return { from: from === '' ? 'start' : parsePlace(from, nowMs), to: to === '' ? undefined : parsePlace(to, nowMs) };
}

function isDate(text: string): boolean {
  return text.startsWith('@') && !Number.isNaN(Date.parse(text.slice(1)));
}

function parsePlace(text: string, nowMs: number): string {
  if (text === 'start' || text === 'end' || /^-?\d{1,15}$/.test(text)) return text;
  if (text.startsWith('@')) return `@${parseTime(text.slice(1), nowMs)}`;
  throw wrong(text);
}

function parseTime(text: string, nowMs: number): number {
  if (/^\d{5,15}$/.test(text)) return Number(text);
  if (text.startsWith('-')) {
    const ago = parseDuration(text.slice(1), { min: 0, max: 100 * 365 * 86_400_000 });
    if (!isRefusal(ago)) return Math.max(0, nowMs - ago);
  }
  const ms = Date.parse(text);
  if (Number.isNaN(ms) || ms < 0) throw wrong(`@${text}`);
  return ms;
}

function wrong(text: string): HeadwaterError {
  const forms = 'start, end, 17, -10, @-1h, @2026-01-31T06:00:00Z, or two of these as FROM:TO';
  return new HeadwaterError('USAGE', `${JSON.stringify(text)} is no place in a topic: use ${forms}`);
}
