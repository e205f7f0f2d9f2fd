// What is wrong with a port, in sentences for a person. Pure.

import { formatAge } from '../config-units.ts';
import type { LinkState } from './link.ts';

export interface PortFacts {
  state: LinkState;
  /** How long it has been open, or has not been. */
  sinceMs: number;
  isPaused: boolean;
  /** How long ago the device was last heard; undefined if it never was. */
  heardMs?: number;
  /** Bytes that came in all, and records that were made of them. */
  received: number;
  records: number;
  overlong: number;
  invalid: number;
  /** Whole frames that came, where the protocol itself has the others sent again; undefined where nothing is. */
  frames?: number;
  lastError?: string;
  /** True where the framing has to ask before a device speaks. */
  isMaster: boolean;
}

/** So long after an opening most devices have said something. */
const SILENT_MS = 60_000;
/** So many bytes without a record are no accident. */
const SENSELESS_BYTES = 4096;
/** Of the frames that may be damaged before it is more than the life of a cable, and so many of them are no chance. */
const DAMAGED_SHARE = 0.05;
const DAMAGED_MIN = 10;

/** What needs somebody's attention; empty when all is well. */
export function problemsOf(port: PortFacts): string[] {
  return [notOpen(port), silent(port), senseless(port), ...counted(port), held(port)].filter(
    (words) => words !== undefined,
  );
}

function notOpen({ state, sinceMs, lastError }: PortFacts): string | undefined {
  if (state === 'open' || state === 'closed') return undefined;
  const reason = lastError === undefined ? '' : `: ${lastError}`;
  return `${state === 'opening' ? 'being opened' : state} for ${formatAge(sinceMs)}${reason}`;
}

function silent({ state, sinceMs, heardMs, isMaster }: PortFacts): string | undefined {
  if (state !== 'open' || isMaster || sinceMs < SILENT_MS) return undefined;
  if (heardMs !== undefined && heardMs <= sinceMs) return undefined;
  return `open for ${formatAge(sinceMs)}, and not a byte has come: look at the wiring, at baud, and at dtr`;
}

function senseless({ records, received, frames = 0 }: PortFacts): string | undefined {
  if (records > 0 || frames > 0 || received < SENSELESS_BYTES) return undefined;
  return `${received} bytes have come, and no record could be made of them: look at baud and at the framing`;
}

function counted({ overlong, invalid, frames }: PortFacts): (string | undefined)[] {
  const notRight = invalid === 0 ? undefined : `not as it should be: ${invalid}`;
  return [
    overlong === 0 ? undefined : `longer than allowed: ${overlong}`,
    frames === undefined ? notRight : damaged(invalid, invalid + frames),
  ];
}

function damaged(count: number, all: number): string | undefined {
  if (count < DAMAGED_MIN || count < DAMAGED_SHARE * all) return undefined;
  return `${count} of ${all} frames came damaged: look at the wiring, and at baud`;
}

function held({ isPaused }: PortFacts): string | undefined {
  return isPaused ? 'held back, as more records wait for the card than may wait' : undefined;
}
