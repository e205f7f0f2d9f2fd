// The struct of docs/serial-decoding.md, filled and written by a C compiler's program.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { structExample } from './page.ts';

const MAIN = `
int main(void) {
  struct reading r;
  memset(&r, 0, sizeof r);
  r.id = 7; r.kind = 2; r.mode = 5; r.alarm = 1; r.trend = -2; r.seconds = 1769839200;
  r.centi_celsius = -1234; r.watt_hours = 9007199254740993u; r.volts = 3.3f;
  strcpy(r.name, "inlet");
  fwrite(&r, sizeof r, 1, stdout);
  return 0;
}
`;

test('a C compiler lays the struct of the page out as the page says', () => {
  const { c, frame } = structExample();
  const folder = mkdtempSync(join(tmpdir(), 'headwater-struct-'));
  try {
    writeFileSync(
      join(folder, 'reading.c'),
      `#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n${c}${MAIN}`,
    );
    execFileSync('gcc', ['-o', join(folder, 'reading'), join(folder, 'reading.c')]);
    expect(execFileSync(join(folder, 'reading')).toString('hex')).toBe(frame.toString('hex'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
