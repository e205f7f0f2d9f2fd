// Several ends on one pair of wires, as on RS-485: what one says all others hear, and who speaks at the same time as another
// is heard by nobody (here: bytes get mixed up, which a CRC finds).

import type { RelayEnd } from './serial-relay.ts';

export interface SerialBus {
  /** What was said, in order of the chunks: by which end, counted as they were given. */
  onData(listener: (bytes: Buffer, from: number) => void): void;
  /** Passes nothing from now on. */
  close(): void;
}

/** Joins the ends. One that does not take its bytes holds up only itself. */
export function openBus(ends: readonly RelayEnd[]): SerialBus {
  const listeners: ((bytes: Buffer, from: number) => void)[] = [];
  let isOpen = true;
  for (const [from, end] of ends.entries()) {
    end.onData((bytes) => {
      if (!isOpen) return;
      for (const [to, other] of ends.entries()) if (to !== from) void other.write(bytes);
      for (const listener of listeners) listener(bytes, from);
    });
  }
  return {
    onData: (listener) => void listeners.push(listener),
    close: () => void (isOpen = false),
  };
}
