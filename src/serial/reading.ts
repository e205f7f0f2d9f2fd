// What a line becomes: the value and the key of a record. Pure.

import { isAscii, isUtf8 } from 'node:buffer';
import type { LinesConfig } from './line-framing.ts';

export interface Reading {
  key: Buffer | null;
  value: Buffer;
  /** False: the line should be UTF-8 and is not. */
  isValid: boolean;
}

/** Key and value of `line`, views of it where they can be. `name` is the key that a line without its own has. */
export function readingOf(line: Buffer, config: LinesConfig, name: Buffer): Reading {
  const isValid = config.encoding !== 'utf8' || isUtf8(line);
  const value = config.encoding === 'latin1' && !isAscii(line) ? Buffer.from(line.toString('latin1')) : line;
  return { key: keyOf(config, value, name), value, isValid };
}

function keyOf({ key }: LinesConfig, value: Buffer, name: Buffer): Buffer | null {
  if (key === 'none') return null;
  if (key === 'name') return name;
  let start = 0;
  for (let field = 1; field < key.field; field += 1) {
    const at = value.indexOf(key.separator, start);
    if (at === -1) return name;
    start = at + Buffer.byteLength(key.separator);
  }
  const end = value.indexOf(key.separator, start);
  const text = trim(value.subarray(start, end === -1 ? value.length : end));
  return text.length === 0 ? name : text;
}

function trim(bytes: Buffer): Buffer {
  let start = 0;
  let end = bytes.length;
  while (start < end && isBlank(bytes[start])) start += 1;
  while (end > start && isBlank(bytes[end - 1])) end -= 1;
  return bytes.subarray(start, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09;
}
