// What a framing is: how the bytes of one port become records, and how bytes are sent back. Each port runs one framing;
// device.ts drives it, and owns all that framings have in common: the port's life, its pauses, the way into the log.
//
//   port ── opened, chunk, drained, lost ──> framing ── take(record) ──> device ──> taken ──> intake
//     ^────────── write(bytes) ───────────────┘  ^ └─ clock.after() for polls and idle gaps
//                                                └─ room, when take() may go on
//
// All calls come one after the other and none is made after stop(). A framing keeps no bytes without a bound, never
// throws for what a device sends, and never asks for the time but of the clock that it was handed.
//
// To add one, `bridge` say:
//   1. its settings to FRAMINGS in config-serial.ts, under its word; the reference and the sample file are printed of it;
//   2. `BridgeConfig` with `kind: 'bridge'`, to FramingConfig in settings.ts, and how it is made of the settings;
//   3. `openBridgeFraming(config, needs): Framing` in a file of its own, and a line in framings.ts that calls it;
//   4. what it needs beyond FramingNeeds (commands from a topic, say) to SerialNeeds, handed through by device.ts.

import type { Clock, ClockDoubt } from '../clock.ts';
import type { FollowCommands } from '../commands/commands.ts';
import type { RecordHeader } from '../formats/batch.ts';
import type { Metric } from '../metrics.ts';
import type { Trace } from '../trace.ts';
import type { DeviceMemory } from './bridge/memory.ts';

/** A record on its way into the log. Its bytes must not be changed any more: a failed commit is repeated with them. */
export interface FramedRecord {
  value: Buffer;
  /** Default: the port's name. */
  key?: Buffer | null;
  /** Default: the port's topic. */
  topic?: string;
  /** Besides `serial.port`. */
  headers?: RecordHeader[];
  /** Wall clock, milliseconds since 1970. */
  timestampMs: number;
  /** The timestamp is by another clock than this node's, see IntakeRecord. */
  isTimeGiven?: boolean;
  /** Clock.doubt when it was read. */
  doubt?: ClockDoubt | undefined;
  /** The device's own name for what it measured, where it has several. */
  channel?: string;
  /** What the device's protocol owes for this record, if anything. */
  receipt?: Receipt;
  /** True for what is no frame of the device's (a gap, say): the port's rule for decoding is not for it. */
  isDecoded?: boolean;
}

export interface Receipt {
  /** Small keys of the log that are written by the same commit as the record: with it or not at all. Asked for each time it is handed in. */
  marks(): [key: string, value: Buffer | null][];
  /** Called once: with true when the record is on the card, with false when no batch can hold it (it was counted). */
  settled(isKept: boolean): void;
}

export interface FramingNeeds {
  /** The port's name, as people know it. */
  portName: string;
  clock: Clock;
  trace: Trace;
  /**
   * Hands a record in; it is committed in the order of the calls, also when a commit fails in between. It is taken even
   * while isFull(): what is on its way from a paused port is little.
   */
  take(record: FramedRecord): void;
  /** True while too much waits for its commit: ask devices for nothing more until room() is called. */
  isFull(): boolean;
  /**
   * Sends bytes to the device, in the order of the calls; they must not be changed afterwards. False: none of them was
   * taken, as the port is not open or more than OUTPUT_BYTES_MAX would wait; drained() tells when there is room again.
   */
  write(bytes: Buffer): boolean;
  /** A frame came or is sent: for whoever looks on at the port. `words` is called only if somebody does. Undefined only in tests. */
  showFrame?(way: 'received' | 'sent', words: () => string): void;
  /** How to get the commands of a topic, see commands.ts. Stop following in stop(). Undefined only in tests. */
  follow?: FollowCommands | undefined;
  /** What is remembered of bridge devices. Undefined only in tests. */
  deviceMemory?: DeviceMemory | undefined;
}

/** Bytes that may wait to be sent to one device. */
export const OUTPUT_BYTES_MAX = 64 * 1024;

/** One of the devices behind a port, where its framing knows them: one with firmware-bridge, a Modbus unit. */
export interface LineDevice {
  name: string;
  /** In a word: `connected`, `away`; `answering`, `quarantined`. */
  state: string;
  /** Whole frames that came from it. */
  frames: number;
  /** Damaged ones; not there where nobody can tell whose they were. */
  damaged?: number;
  /** What had to be sent again: records that came twice, requests without a usable answer. */
  again: number;
  /** Gaps in its sequence, and how many records they cost as far as that is known. */
  gaps?: number;
  lost?: number;
  /** How long ago it was last heard; not there if it never was. */
  heardMs?: number;
  /** How far off its clock may be; not there if it has none that is known. */
  clockErrorMs?: number;
}

export interface FramingStatus {
  /** Frames or lines that were longer than allowed. */
  overlong: number;
  /** Frames that were not as they should be: bad sums, wrong lengths, text that is no UTF-8. */
  invalid: number;
  /** Frames that were as they should be, where the protocol has the others sent again: a few damaged ones are no problem there. */
  frames?: number;
  /** What needs somebody's attention, one short sentence each, such as a unit that does not answer. */
  problems?: string[];
  /** Those of them that are known; at most a few hundred. */
  devices?: LineDevice[];
  /** What else there is to say, as it should stand in /status. Small: a device can't make it grow without a bound. */
  details?: Record<string, unknown>;
}

export interface Framing {
  /** True: it pushes back in its own protocol, and the port is read on while too much waits for its commit. */
  readonly pacesItself?: boolean;
  /** True: it alone speaks to the device, and nobody else may send to it. */
  readonly isMaster?: boolean;
  /** The port was opened; what comes begins anywhere in the device's stream. */
  opened(): void;
  /** Bytes came in at `timestampMs` (wall clock). The chunk is the framing's to keep, and not to change. */
  chunk(bytes: Buffer, timestampMs: number): void;
  /** The port has gone: what was unfinished is forgotten, and timers are cancelled. opened() may follow. */
  lost(): void;
  /** The port is closed for good. Timers are cancelled; records that were taken may still be settled. */
  stop(): void;
  /** After a write() that was refused on an open port, less than half of what may wait does. */
  drained?(): void;
  /** isFull() was true and is not any more. */
  room?(): void;
  status(): FramingStatus;
  /** Of its own, beyond those of every port; the label `port` is added to each sample. */
  metrics?(): Metric[];
}
