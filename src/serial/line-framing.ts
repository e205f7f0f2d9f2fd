// The framing `lines`: text a line, a record a line.
//
// An unfinished line is forgotten when the device goes. The first line after an opening may be the end of a longer one:
// nothing in a stream of lines tells.

import type { Framing, FramingNeeds } from './framing.ts';
import { createLineSplitter, type Overlong } from './lines.ts';
import { readingOf } from './reading.ts';

export interface LinesConfig {
  kind: 'lines';
  /** 1 to 16 bytes. */
  delimiter: Buffer;
  encoding: 'utf8' | 'latin1' | 'raw';
  invalid: 'keep' | 'drop';
  lineBytesMax: number;
  overlong: Overlong;
  /** `name`: the port's. */
  key: { field: number; separator: string } | 'name' | 'none';
}

export function openLineFraming(config: LinesConfig, needs: FramingNeeds): Framing {
  const { portName, trace } = needs;
  const name = Buffer.from(portName);
  const splitter = createLineSplitter(config);
  let invalid = 0;

  function take(line: Buffer, timestampMs: number): void {
    const { key, value, isValid } = readingOf(line, config, name);
    if (!isValid) {
      invalid += 1;
      trace.limited('serial line is not UTF-8', { port: portName });
      if (config.invalid === 'drop') return;
    }
    needs.take({ key, value, timestampMs });
  }

  return {
    opened() {},
    chunk(bytes, timestampMs) {
      const before = splitter.overlong();
      splitter.push(bytes, (line) => take(line, timestampMs));
      if (splitter.overlong() !== before) trace.limited('serial line is too long', { port: portName });
    },
    lost() {
      const forgotten = splitter.reset();
      if (forgotten > 0) trace.info('an unfinished line was forgotten', { port: portName, bytes: forgotten });
    },
    stop() {},
    status: () => ({ overlong: splitter.overlong(), invalid }),
  };
}
