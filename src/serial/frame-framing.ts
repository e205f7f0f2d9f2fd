// The binary framings `delimited`, `fixed`, `length-prefixed` and `idle-gap`: a record a frame. They differ in their
// splitter only.
//
// An unfinished frame is forgotten when the device goes. A record has the time when its last byte came.

import type { Framing, FramingNeeds } from './framing.ts';
import { createFrameSplitter, type FrameConfig } from './frames.ts';
import { counter, type Metric } from '../metrics.ts';
import { watchSilence, type Silence } from './silence.ts';

export function openFrameFraming(config: FrameConfig, needs: FramingNeeds): Framing {
  const { portName, clock, trace, isFull } = needs;
  const splitter = createFrameSplitter(config);
  let timestampMs = 0;
  let before = splitter.counts();
  const silence: Silence | undefined =
    config.kind === 'delimited'
      ? undefined
      : watchSilence({
          clock,
          idleMs: config.idleMs,
          isFull,
          onSilence: () => tellWhatIsWrong(() => splitter.idle(take)),
        });

  function take(value: Buffer): void {
    needs.take({ value, timestampMs });
  }

  function tellWhatIsWrong(work: () => void): void {
    work();
    const { overlong, invalid, skipped } = splitter.counts();
    if (overlong !== before.overlong) trace.limited('serial frame is too long', { port: portName });
    if (invalid !== before.invalid) trace.limited('serial frames are out of step', { port: portName, skipped });
    before = { overlong, invalid, skipped };
  }

  function metrics(): Metric[] {
    return [
      counter(
        'serial_skipped_bytes_total',
        'Bytes that belong to no frame that could be told.',
        splitter.counts().skipped,
      ),
    ];
  }

  return {
    opened() {},
    chunk(bytes, atMs) {
      timestampMs = atMs;
      tellWhatIsWrong(() => splitter.push(bytes, take));
      silence?.heard();
    },
    lost() {
      silence?.cancel();
      const forgotten = splitter.reset();
      if (forgotten > 0) trace.info('an unfinished frame was forgotten', { port: portName, bytes: forgotten });
    },
    stop: () => silence?.cancel(),
    room: () => silence?.room(),
    status() {
      const { overlong, invalid, skipped } = splitter.counts();
      return { overlong, invalid, details: { skippedBytes: skipped } };
    },
    metrics,
  };
}
