// Streams for the splitters of serial ports: any bytes, any settings, cut in any way, give the same records as in one
// piece, and nothing is held beyond the bound.

import { createFrameSplitter, type FrameConfig } from '../../src/serial/frames.ts';
import { createLineSplitter } from '../../src/serial/lines.ts';
import type { Splitter } from '../../src/serial/splitter.ts';
import type { Random } from './random.ts';

/** A part of a stream, or a silence. */
type Part = Buffer | 'silence';

interface Outcome {
  records: string[];
  counts: unknown;
}

/** Throws when the outcome depends on how the stream is cut, or when more is held than may be. */
export function trySplitter(random: Random): void {
  const make = splitterOf(random);
  const stream = Array.from({ length: 1 + random.below(4) }, (): Part[] => [bytesOf(random), 'silence']).flat();
  const whole = outcome(make, stream);
  const cut = outcome(
    make,
    stream.flatMap((part): Part[] => (part === 'silence' ? [part] : pieces(part, random))),
  );
  if (JSON.stringify(whole) !== JSON.stringify(cut)) {
    throw new Error(`${make.name}: ${JSON.stringify({ stream, whole, cut })}`);
  }
}

interface Made {
  name: string;
  open: () => Splitter;
  /** Bytes that may be held. */
  heldMax: number;
}

function outcome({ open, heldMax, name }: Made, stream: readonly Part[]): Outcome {
  const splitter = open();
  const records: string[] = [];
  const take = (record: Buffer): void => {
    if (record.length > heldMax) throw new Error(`${name}: a record of ${record.length} bytes`);
    records.push(record.toString('hex'));
  };
  for (const part of stream) {
    if (part === 'silence') splitter.idle(take);
    else splitter.push(part, take);
  }
  const counts = splitter.counts();
  const held = splitter.reset();
  if (held > heldMax) throw new Error(`${name}: ${held} bytes are held`);
  return { records, counts };
}

/** Few values, so that delimiters, sync bytes and small lengths are frequent. */
function bytesOf(random: Random): Buffer {
  const values = random.pick([
    [0xaa, 0x55],
    [0, 1, 2, 3, 0xaa],
    [0x0a, 0x0d, 0x61],
  ]);
  return Buffer.from(Uint8Array.from({ length: random.below(60) }, () => random.pick(values)));
}

function pieces(bytes: Buffer, random: Random): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random.below(random.pick([1, 3, 20]));
    found.push(bytes.subarray(at, at + size));
    at += size;
  }
  return found;
}

function splitterOf(random: Random): Made {
  const max = 8 + random.below(10);
  const marks = ['aa', 'aa55', 'aaaa', 'aa55aa', '0a', '0d0a'];
  const mark = Buffer.from(random.pick(marks), 'hex');
  const overlong = random.pick(['drop', 'cut'] as const);
  const sync = random.below(2) === 0 ? Buffer.alloc(0) : mark;
  const config = random.pick<FrameConfig | 'lines'>([
    'lines',
    { kind: 'delimited', delimiter: mark, frameBytesMax: max, overlong },
    { kind: 'fixed', length: 3 + random.below(6), sync, idleMs: 1 },
    {
      kind: 'length-prefixed',
      lengthBytes: random.pick([1, 2] as const),
      endian: random.pick(['big', 'little'] as const),
      lengthOffset: sync.length + random.below(3),
      lengthAdjust: random.below(5) - 2,
      header: random.pick(['keep', 'drop'] as const),
      sync,
      frameBytesMax: max,
      idleMs: 1,
    },
    { kind: 'idle-gap', idleMs: 1, frameBytesMax: max, overlong },
  ]);
  const name = JSON.stringify(config);
  if (config !== 'lines') return { name, open: () => createFrameSplitter(config), heldMax: max + 16 };
  return { name, open: () => lines({ delimiter: mark, lineBytesMax: max, overlong }), heldMax: max + 16 };
}

function lines(rules: Parameters<typeof createLineSplitter>[0]): Splitter {
  const { push, reset, overlong } = createLineSplitter(rules);
  return { push, reset, idle: () => undefined, counts: () => ({ overlong: overlong(), invalid: 0, skipped: 0 }) };
}
