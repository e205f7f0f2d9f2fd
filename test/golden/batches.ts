// The golden batches by name, for tests and fuzzing.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, 'batches');

/** Names of the golden segments, without `.bin`, in order. */
export function goldenNames(): string[] {
  return readdirSync(FOLDER)
    .map((file) => file.replace(/\.bin$/, ''))
    .toSorted();
}

/** A golden segment: whole batches in a row. */
export function goldenSegment(name: string): Buffer {
  return readFileSync(join(FOLDER, `${name}.bin`));
}
