// What /status says: the stable part that the page, the command line and people's scripts read, and what each room has
// to say for itself. The composition root puts it together from the rooms.

import type { LogStatus } from '../log/log.ts';
import type { TimesStatus } from '../times/times.ts';
import type { WearStatus } from '../wear/wear.ts';

export interface Health {
  ok: boolean;
  /** Why not, one sentence each; empty when ok. */
  reasons: string[];
}

/** A way in: `mqtt`, `kafka`, `http`, or a serial port as `serial boiler`. */
export interface DoorStatus {
  name: string;
  /** `open`, or a word for what is wrong, such as `missing`. */
  state: string;
  /** Taken in since the start. */
  records: number;
  bytes: number;
  /** Connections, where the door has any. */
  clients?: number;
}

/** A serial port. */
export interface PortSummary {
  name: string;
  path: string;
  framing: string;
  /** `open`, or a word for what is wrong, such as `missing`. */
  state: string;
  sinceSeconds: number;
  /** Taken in since the start, and bytes that came over the line. */
  records: number;
  bytes: number;
  received: number;
  /** Records that were too long, and what was not as it should be. */
  overlong: number;
  invalid: number;
  openings: number;
  /** How long ago the device was last heard; not there if it never was. */
  heardSeconds?: number;
  /** The devices behind it, where the framing knows them. */
  devices?: LineDeviceSummary[];
  /** What needs somebody's attention, one sentence each. */
  problems: string[];
}

/** One of the devices behind a serial port: one with firmware-bridge, a Modbus unit. */
export interface LineDeviceSummary {
  name: string;
  /** `connected`, `away`; `answering`, `failing`, `quarantined`, `untried`. */
  state: string;
  /** Whole frames that came from it, and damaged ones where it is known whose they were. */
  frames: number;
  damaged?: number;
  /** Records that came twice; requests without a usable answer. */
  again: number;
  /** Gaps in its sequence, and how many records they cost as far as that is known. */
  gaps?: number;
  lost?: number;
  /** How long ago it was last heard; not there if it never was. */
  heardSeconds?: number;
  /** How far off its clock may be. */
  clockErrorMs?: number;
}

/** A way out. */
export interface MirrorSummary {
  name: string;
  /** `sending`, `idle`, or a word for what is wrong, such as `unreachable`. */
  state: string;
  /** Acknowledged by the upstream since the start. */
  records: number;
  bytes: number;
  backlog: { records: number; bytes: number; ageSeconds: number };
  /** What needs somebody's attention, one sentence each. */
  problems: string[];
}

export interface Status {
  node: string;
  version: string;
  pid: number;
  uptimeSeconds: number;
  health: Health;
  /** `host:port` of each door that is open. */
  listening: { mqtt?: string; kafka?: string; http?: string };
  doors: DoorStatus[];
  serial: PortSummary[];
  /** How far the wall clock is believed. */
  clock: TimesStatus;
  log: LogStatus;
  /** What the card was written, and how long it will last. */
  wear: WearStatus;
  mirrors: MirrorSummary[];
  /** Everything else, by room; its shape may change from version to version. */
  rooms: Record<string, unknown>;
}
