// What is told of a Modbus line and its units: in /status as words and numbers, in /metrics by port and unit.

import type { FollowingStatus } from '../../commands/commands.ts';
import { counter, gauge, type Metric, type Sample } from '../../metrics.ts';
import type { LineDevice } from '../framing.ts';
import { EXCEPTION_WORDS } from './answer.ts';
import type { Health } from './health.ts';
import type { Result } from './line.ts';
import type { UnitConfig } from './settings.ts';

export interface UnitCounts {
  /** Requests sent, reads and writes. */
  polls: number;
  writes: number;
  /** Answers, exceptions not among them. */
  answers: number;
  exceptions: Map<number, number>;
  timeouts: number;
  crcErrors: number;
  /** Whole frames that were no answer to what was asked. */
  wrongAnswers: number;
  seenMs: number | undefined;
}

export function newCounts(): UnitCounts {
  return {
    polls: 0,
    writes: 0,
    answers: 0,
    exceptions: new Map(),
    timeouts: 0,
    crcErrors: 0,
    wrongAnswers: 0,
    seenMs: undefined,
  };
}

export function countResult(counts: UnitCounts, result: Result, nowMs: number): void {
  if (result.kind === 'broadcast') return;
  if (result.kind !== 'failure') {
    counts.seenMs = nowMs;
    if (result.kind !== 'exception') counts.answers += 1;
    else counts.exceptions.set(result.code, (counts.exceptions.get(result.code) ?? 0) + 1);
  } else if (result.failure === 'timeout') counts.timeouts += 1;
  else if (result.failure === 'crc') counts.crcErrors += 1;
  else if (result.failure !== 'closed') counts.wrongAnswers += 1;
}

/** `2 illegal data address`; a maker's own code by its number alone. */
export function exceptionWord(code: number): string {
  return `${code} ${EXCEPTION_WORDS[code] ?? 'unknown to the standard'}`;
}

/** As a device of any line: what it answered, and what it did not. */
export function lineDevice(unit: UnitStatus): LineDevice {
  const { name, state, answers, exceptions, timeouts, crcErrors, wrongAnswers, seenMs } = unit;
  const frames = Object.values(exceptions).reduce((sum, count) => sum + count, answers + wrongAnswers);
  const heard = seenMs === undefined ? {} : { heardMs: seenMs };
  return { name, state, frames, damaged: crcErrors, again: timeouts + crcErrors + wrongAnswers, ...heard };
}

export interface UnitStatus {
  name: string;
  id: number;
  state: Health['state'];
  polls: number;
  writes: number;
  answers: number;
  exceptions: Record<string, number>;
  timeouts: number;
  crcErrors: number;
  wrongAnswers: number;
  /** How long ago it was last heard; not there if it never was. */
  seenMs?: number;
  /** In quarantine: in how long it is tried again. */
  quarantinedMs?: number;
}

export function unitStatus(unit: UnitConfig, counts: UnitCounts, health: Health, nowMs: number): UnitStatus {
  const { exceptions, seenMs, ...plain } = counts;
  const named = [...exceptions].map(([code, count]) => [exceptionWord(code), count] as const);
  return {
    name: unit.name,
    id: unit.id,
    state: health.state,
    ...plain,
    exceptions: Object.fromEntries(named),
    ...(seenMs !== undefined && { seenMs: Math.round(nowMs - seenMs) }),
    ...(health.state === 'quarantined' && { quarantinedMs: Math.max(0, Math.round(health.pollMs - nowMs)) }),
  };
}

/** Units that are told by name; a line can have 247. */
const NAMED_MAX = 5;

/** What needs somebody's attention, in sentences. */
export function problemsOf(units: readonly UnitStatus[], commands: FollowingStatus | undefined): string[] {
  const silent = units.filter(({ state }) => state === 'quarantined');
  const problems = silent.slice(0, NAMED_MAX).map(({ name, id, quarantinedMs = 0 }) => {
    const unit = name === String(id) ? name : `${name} (${id})`;
    return `unit ${unit} does not answer, and is tried again in ${Math.ceil(quarantinedMs / 1000)} s`;
  });
  if (silent.length > NAMED_MAX) problems.push(`${silent.length - NAMED_MAX} more units do not answer`);
  if (commands?.trouble !== undefined) problems.push(`commands wait: ${commands.trouble}`);
  return problems;
}

export function unitMetrics(units: readonly UnitStatus[], skipped: number, strayBytes: number): Metric[] {
  const each = (valueOf: (unit: UnitStatus) => number): Sample[] =>
    units.map((unit) => ({ labels: { unit: unit.name }, value: valueOf(unit) }));
  const exceptions = units.flatMap(({ name, exceptions: counted }) =>
    Object.entries(counted).map(([word, value]) => ({
      labels: { unit: name, code: word.split(' ')[0]! },
      value,
    })),
  );
  return [
    gauge(
      'modbus_unit_answering',
      '1 while the unit answers.',
      each(({ state }) => (state === 'answering' ? 1 : 0)),
    ),
    gauge(
      'modbus_unit_quarantined',
      '1 while the unit is left alone.',
      each(({ state }) => Number(state === 'quarantined')),
    ),
    gauge(
      'modbus_unit_silent_seconds',
      'Time since the unit was last heard; not there if it never was.',
      units.flatMap(({ name, seenMs }) =>
        seenMs === undefined ? [] : [{ labels: { unit: name }, value: seenMs / 1000 }],
      ),
    ),
    counter(
      'modbus_polls_total',
      'Read requests sent.',
      each(({ polls }) => polls),
    ),
    counter(
      'modbus_writes_total',
      'Write requests sent.',
      each(({ writes }) => writes),
    ),
    counter(
      'modbus_answers_total',
      'Answers that were no exceptions.',
      each(({ answers }) => answers),
    ),
    counter('modbus_exceptions_total', 'Exceptions, by code.', exceptions),
    counter(
      'modbus_timeouts_total',
      'Requests without an answer.',
      each(({ timeouts }) => timeouts),
    ),
    counter(
      'modbus_crc_errors_total',
      'Requests whose answer was damaged.',
      each(({ crcErrors }) => crcErrors),
    ),
    counter(
      'modbus_wrong_answers_total',
      'Requests that got another answer.',
      each(({ wrongAnswers }) => wrongAnswers),
    ),
    counter('modbus_polls_skipped_total', 'Polls left out as the line or the unit was behind.', [{ value: skipped }]),
    counter('modbus_stray_bytes_total', 'Bytes that nobody had asked for.', [{ value: strayBytes }]),
  ];
}
