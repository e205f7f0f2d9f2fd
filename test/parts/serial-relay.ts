// A bad cable between two ends of a serial line, for tests: what comes from one end goes to the other, through the noise
// of serial-noise.ts. An end is a Pty (its path is given to the program that is to be tested), or any stream, such as the
// serial port of an emulator.
//
//   device -- Pty or stream -- [noise] -- Pty -- headwater
//
// Like a cable it never pushes back: what its far end does not take is lost, and counted.

import type { Readable, Writable } from 'node:stream';
import { createNoise, type FaultKind, type Noise, type NoiseStep } from './serial-noise.ts';
import { pause } from './until.ts';

export interface RelayEnd {
  write(bytes: Buffer): Promise<void>;
  onData(listener: (bytes: Buffer) => void): void;
  /** Ends that can be unplugged feel a hang-up of the cable; to the others it is silence. */
  unplug?(): Promise<void>;
  replug?(): Promise<void>;
}

export interface RelayCounts {
  bytes: number;
  /** Bytes that found the backlog full or the plug pulled. */
  lost: number;
  faults: Record<FaultKind, number>;
}

export interface SerialRelay {
  readonly counts: { toHost: RelayCounts; toDevice: RelayCounts };
  /** Changes the noise of both ways; undefined is a good cable. */
  setNoise(noise: Noise | undefined): void;
  /** Pulls the plug of the host's end for `durationMs`; resolves when it is back. While it is out a call does nothing. */
  hangUp(durationMs: number): Promise<void>;
  /** Passes nothing from now on; resolves when the plug is in and no byte is on its way. The ends stay open. */
  close(): Promise<void>;
}

/** Bytes of one way that may wait during a stall; what comes beyond is lost. */
const BACKLOG_MAX = 256 * 1024;
/** A run of bytes that a fault keeps is let go after such a silence. */
const FLUSH_MS = 60;

/**
 * Joins two ends. `seed` says which faults come: print it in what a failing test says. `noise` is that of the way to the
 * host, and of the other if `back` is not given.
 */
export function openRelay(device: RelayEnd, host: RelayEnd, seed: number, noise?: Noise, back = noise): SerialRelay {
  let out: Promise<void> | undefined;
  let isOpen = true;

  function hangUp(durationMs: number): Promise<void> {
    out ??= pull(durationMs).finally(() => (out = undefined));
    return out;
  }

  async function pull(durationMs: number): Promise<void> {
    await host.unplug?.();
    await pause(durationMs);
    await host.replug?.();
  }

  const isPassing = (): boolean => isOpen && out === undefined;
  const toHost = openWay(host, seed * 2 + 1, noise, isPassing, hangUp);
  const toDevice = openWay(device, seed * 2 + 2, back, isPassing, hangUp);
  device.onData(toHost.push);
  host.onData(toDevice.push);

  return {
    counts: { toHost: toHost.counts, toDevice: toDevice.counts },
    setNoise(next) {
      toHost.setNoise(next);
      toDevice.setNoise(next);
    },
    hangUp,
    async close() {
      isOpen = false;
      await Promise.all([toHost.close(), toDevice.close(), out]);
    },
  };
}

interface Way {
  readonly counts: RelayCounts;
  push(bytes: Buffer): void;
  setNoise(noise: Noise | undefined): void;
  close(): Promise<void>;
}

/** One way of the cable: bytes in, steps of the noise, bytes out in that order. */
function openWay(
  far: RelayEnd,
  seed: number,
  noise: Noise | undefined,
  isPassing: () => boolean,
  hangUp: (durationMs: number) => Promise<void>,
): Way {
  const maker = createNoise(seed, noise);
  const counts: RelayCounts = { bytes: 0, lost: 0, faults: maker.counts };
  const steps: NoiseStep[] = [];
  let backlogBytes = 0;
  let working: Promise<void> | undefined;
  let flushing: NodeJS.Timeout | undefined;

  function push(bytes: Buffer): void {
    counts.bytes += bytes.length;
    clearTimeout(flushing);
    queue(maker.push(bytes));
    flushing = setTimeout(() => queue([{ bytes: maker.flush() }]), FLUSH_MS);
  }

  function queue(made: NoiseStep[]): void {
    for (const step of made) {
      const length = 'bytes' in step ? step.bytes.length : 0;
      if (!isPassing() || backlogBytes + length > BACKLOG_MAX) counts.lost += length;
      else {
        backlogBytes += length;
        steps.push(step);
      }
    }
    working ??= work().finally(() => (working = undefined));
  }

  async function work(): Promise<void> {
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
      if ('stallMs' in step) await pause(step.stallMs);
      else if ('hangUpMs' in step) await hangUp(step.hangUpMs);
      else {
        backlogBytes -= step.bytes.length;
        if (isPassing()) await far.write(step.bytes);
        else counts.lost += step.bytes.length;
      }
    }
  }

  return {
    counts,
    push,
    setNoise: maker.setNoise,
    async close() {
      clearTimeout(flushing);
      await working;
    },
  };
}

/** An end that is a pair of streams: a socket (given twice), or the output and input of a process. */
export function streamEnd(from: Readable, into: Writable): RelayEnd {
  into.on('error', () => undefined);
  return {
    write: (bytes) => new Promise((resolve) => void into.write(bytes, () => resolve())),
    onData: (listener) => void from.on('data', listener),
  };
}
