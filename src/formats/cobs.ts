// Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): bytes become bytes without a zero, so that a zero can
// stand between frames. It costs one byte in 254.
//
//   +------+-----------------+------+-----------------+--
//   | code | code - 1 bytes  | code | code - 1 bytes  | ...     code 1-254: a zero follows the block, but not at the end
//   +------+-----------------+------+-----------------+--     code 255: 254 bytes and no zero

/** The most bytes that `length` bytes can become. */
export function cobsBytesMax(length: number): number {
  return length + Math.floor(length / 254) + 1;
}

/** Writes source[0, length) to `target` from `at` on, and returns where it ends. `target` has cobsBytesMax bytes from there. */
export function encodeCobs(source: Uint8Array, length: number, target: Uint8Array, at: number): number {
  let codeAt = at;
  let code = 1;
  let end = at + 1;
  for (let index = 0; index < length; index++) {
    const byte = source[index]!;
    if (byte !== 0) {
      target[end++] = byte;
      code += 1;
      // A full block at the very end needs no further code.
      if (code < 255 || index === length - 1) continue;
    }
    target[codeAt] = code;
    codeAt = end++;
    code = 1;
  }
  target[codeAt] = code;
  return end;
}

/**
 * Decodes source[start, end), which holds no zero, into `target` from `targetAt` on and returns the number of bytes, which is
 * below end - start; -1 if a code points beyond the end. `target` has end - start bytes from there.
 */
export function decodeCobs(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  targetAt: number = 0,
): number {
  let length = targetAt;
  for (let at = start; at < end;) {
    const code = source[at]!;
    const next = at + code;
    if (next > end) return -1;
    for (at += 1; at < next; at++) target[length++] = source[at]!;
    if (code < 255 && next < end) target[length++] = 0;
  }
  return length - targetAt;
}
