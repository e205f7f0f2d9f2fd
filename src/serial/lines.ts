// Lines out of a stream of bytes: cut at a delimiter, with a bound on their length. Pure: chunks in, lines out.
//
// A line that lies within one chunk is a view of that chunk; one that spans chunks is copied. Empty lines are not
// lines. With the delimiter "\n" a "\r" before it belongs to it. A line above `lineBytesMax` is counted once and, by
// `overlong`, is dropped whole up to its delimiter, or cut into lines of that length; either way no more than about
// lineBytesMax bytes are ever held.

export type Overlong = 'drop' | 'cut';

export interface LineRules {
  /** At least one byte. */
  delimiter: Buffer;
  lineBytesMax: number;
  overlong: Overlong;
  /** A "\r" before the delimiter "\n" is a part of the line. */
  keepsReturn?: boolean;
}

export interface LineSplitter {
  /** Calls `onLine` for each line that ends in `chunk`, in order. The chunk must not be changed while lines are in use. */
  push(chunk: Buffer, onLine: (line: Buffer) => void): void;
  /** Forgets an unfinished line, after the stream was interrupted. Returns how many bytes of it were held. */
  reset(): number;
  /** Lines above the bound so far. */
  overlong(): number;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export function createLineSplitter(rules: LineRules): LineSplitter {
  const { delimiter, lineBytesMax } = rules;
  const stripsReturn = rules.keepsReturn !== true && delimiter.length === 1 && delimiter[0] === LINE_FEED;
  // Room for a whole line and the part of its end ("\r", or a delimiter of several bytes) that came with it.
  const heldMax = lineBytesMax + delimiter.length;
  let held = Buffer.allocUnsafe(Math.min(1024, heldMax));
  let heldBytes = 0;
  let isTooLong = false;
  let overlong = 0;

  function push(chunk: Buffer, onLine: (line: Buffer) => void): void {
    let start = 0;
    for (;;) {
      const end = start === 0 && heldBytes > 0 ? firstEnd(chunk) : endIn(chunk, start);
      if (end === -1) break;
      finish(chunk, start, end - delimiter.length, onLine);
      start = end;
    }
    hold(chunk.subarray(start), onLine);
  }

  /** Where the first delimiter from `start` on ends in `chunk`; -1 if none does. */
  function endIn(chunk: Buffer, start: number): number {
    const at = chunk.indexOf(delimiter, start);
    return at === -1 ? -1 : at + delimiter.length;
  }

  /** The same for a delimiter that may have begun in what is held. */
  function firstEnd(chunk: Buffer): number {
    const reach = Math.min(delimiter.length - 1, heldBytes);
    if (reach > 0) {
      const seam = Buffer.concat([
        held.subarray(heldBytes - reach, heldBytes),
        chunk.subarray(0, delimiter.length - 1),
      ]);
      const at = seam.indexOf(delimiter);
      if (at !== -1) return at + delimiter.length - reach;
    }
    return endIn(chunk, 0);
  }

  /** The line of what is held and of chunk[start, end) is complete. `end` is before `start` when the delimiter is partly held. */
  function finish(chunk: Buffer, start: number, end: number, onLine: (line: Buffer) => void): void {
    const keptBytes = heldBytes - Math.max(0, start - end);
    const tail = chunk.subarray(start, Math.max(start, end));
    const line = keptBytes === 0 ? tail : Buffer.concat([held.subarray(0, keptBytes), tail]);
    const isDropped = isTooLong && rules.overlong === 'drop';
    heldBytes = 0;
    if (!isDropped) emit(withoutReturn(line), onLine);
    isTooLong = false;
  }

  function withoutReturn(line: Buffer): Buffer {
    return stripsReturn && line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
  }

  function emit(line: Buffer, onLine: (line: Buffer) => void): void {
    if (line.length > lineBytesMax) markTooLong();
    if (isTooLong && rules.overlong === 'drop') return;
    for (let at = 0; at < line.length; at += lineBytesMax) onLine(line.subarray(at, at + lineBytesMax));
  }

  /** Keeps the beginning of a line whose end has not come. */
  function hold(rest: Buffer, onLine: (line: Buffer) => void): void {
    const kept = heldBytes + rest.length > heldMax ? shorten(rest, onLine) : rest;
    if (heldBytes + kept.length > held.length) {
      const larger = Buffer.allocUnsafe(Math.min(heldMax, Math.max(held.length * 2, heldBytes + kept.length)));
      held.copy(larger, 0, 0, heldBytes);
      held = larger;
    }
    kept.copy(held, heldBytes);
    heldBytes += kept.length;
  }

  /** More of a line has come than may be held. Returns what is to be held of it. */
  function shorten(rest: Buffer, onLine: (line: Buffer) => void): Buffer {
    markTooLong();
    let whole = Buffer.concat([held.subarray(0, heldBytes), rest]);
    heldBytes = 0;
    // What may be the beginning of the delimiter is kept, so that its end is recognised.
    if (rules.overlong === 'drop') return whole.subarray(whole.length - (delimiter.length - 1));
    while (whole.length > heldMax) {
      onLine(whole.subarray(0, lineBytesMax));
      whole = whole.subarray(lineBytesMax);
    }
    return whole;
  }

  function markTooLong(): void {
    if (!isTooLong) overlong += 1;
    isTooLong = true;
  }

  return {
    push,
    reset() {
      const lost = heldBytes;
      heldBytes = 0;
      isTooLong = false;
      return lost;
    },
    overlong: () => overlong,
  };
}
