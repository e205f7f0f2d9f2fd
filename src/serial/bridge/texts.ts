// What a device prints between frames: lines for the diagnostics, where a flood is cut short, and for a topic, where
// nothing is. A line ends at a line feed or carriage return, or when the device falls silent.

import type { Clock } from '../../clock.ts';
import type { Trace } from '../../trace.ts';
import type { FramedRecord } from '../framing.ts';

export interface Texts {
  /** Printable bytes as they came. */
  text(bytes: Buffer): void;
  /** The device has been silent: what was begun is a line. */
  end(): void;
  /** Lines so far. */
  count(): number;
}

export interface TextsNeeds {
  portName: string;
  topic: string | undefined;
  clock: Clock;
  trace: Trace;
  take(record: FramedRecord): void;
}

/** A line that is longer is cut. */
const LINE_LENGTH_MAX = 1024;
const LINE_ENDS = /[\r\n]+/;

export function createTexts({ portName, topic, clock, trace, take }: TextsNeeds): Texts {
  let begun = '';
  let lines = 0;

  function line(text: string): void {
    if (text === '') return;
    lines += 1;
    trace.limited('serial device printed', { port: portName, text });
    if (topic === undefined) return;
    take({ value: Buffer.from(text), topic, timestampMs: clock.wallMs(), isDecoded: true });
  }

  return {
    text(bytes) {
      const parts = (begun + bytes.toString()).split(LINE_ENDS);
      begun = parts.pop()!;
      for (const part of parts) line(part);
      for (; begun.length > LINE_LENGTH_MAX; begun = begun.slice(LINE_LENGTH_MAX))
        line(begun.slice(0, LINE_LENGTH_MAX));
    },
    end() {
      line(begun);
      begun = '';
    },
    count: () => lines,
  };
}
