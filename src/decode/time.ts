// The time of a record from one of its fields. A device's clock may be years off, so a time is believed only near that of
// the arrival. Pure: the time of arrival is handed in.

import type { TimeRule } from '../config-decode.ts';
import { formatAge } from '../config-units.ts';
import { excerpt, type Body, type RuleProblem } from './body.ts';
import { hintFor } from './layout.ts';

/** Milliseconds since 1970, or why the frame has no time that can be believed. */
export type TimeOf<Read> = (read: Read, arrivalMs: number) => number | string;

export function compileTime<Read>(rule: TimeRule, body: Body<Read>, problems: RuleProblem[]): TimeOf<Read> {
  const { field, unit, past, future } = rule;
  const textOf = body.textOf(field);
  if (textOf === undefined) {
    const hint = hintFor(field, body.names ?? []);
    problems.push({ path: ['time', 'field'], message: `${JSON.stringify(field)} is no field with a time; ${hint}` });
  }
  return (read, arrivalMs) => {
    const text = textOf?.(read);
    if (text === undefined) return `${field} is missing`;
    const timeMs = unit === 'iso' ? isoMs(text) : sinceEpochMs(text, unit);
    if (timeMs === undefined) return `${field} is ${excerpt(text)}, which is no time in ${unit}`;
    const behindMs = arrivalMs - timeMs;
    if (behindMs > past) return `${field} is ${excerpt(text)}, ${formatAge(behindMs)} before its arrival`;
    if (-behindMs > future) return `${field} is ${excerpt(text)}, ${formatAge(-behindMs)} after its arrival`;
    return timeMs;
  };
}

/** As a factor or a divisor, so that both are whole numbers. */
const TO_MS = {
  s: (value: number) => value * 1000,
  ms: Number,
  us: (v: number) => v / 1000,
  ns: (v: number) => v / 1e6,
};

function sinceEpochMs(text: string, unit: keyof typeof TO_MS): number | undefined {
  const value = /^[+-]?[\d.]+(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : NaN;
  const timeMs = Math.floor(TO_MS[unit](value) + 1e-6);
  return Number.isSafeInteger(timeMs) ? timeMs : undefined;
}

const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;

function isoMs(text: string): number | undefined {
  const [, date, time = '00:00', zone = 'Z'] = ISO.exec(text.trim()) ?? [];
  if (date === undefined) return undefined;
  const [, hours, minutes = '00'] = /^([+-]\d\d):?(\d\d)?$/.exec(zone) ?? [];
  const timeMs = Date.parse(`${date}T${time}${hours === undefined ? 'Z' : `${hours}:${minutes}`}`);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
