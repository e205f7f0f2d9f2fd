// What a command may touch of its surroundings, handed in so that tests can hand in others. Data goes to `out`; what is
// said to a person goes to `err`, and progress only where `err` is a terminal.

import type { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';

export interface Output {
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
  /** Where it is not a terminal, false or not there. */
  isTTY?: boolean;
  readonly destroyed?: boolean;
}

export interface Terminal {
  in: Readable & { isTTY?: boolean };
  out: Output;
  err: Output;
  env: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  /** Aborts when the user or the system wants the command to end. */
  signal: AbortSignal;
}

/** Writes and, where the reader is slow, waits until it has taken what was written. */
export async function writeOut(out: Output, text: string): Promise<void> {
  if (out.write(text) || out.destroyed === true) return;
  await new Promise<void>((resolve) => out.once('drain', resolve));
}

/** One value as JSON, or as text for people. */
export function print({ out }: Terminal, output: string | undefined, value: unknown, text: () => string): void {
  out.write(output === 'json' ? `${JSON.stringify(value)}\n` : text());
}

export function progress({ err }: Terminal, text: string): void {
  if (err.isTTY === true) err.write(`${text}\n`);
}

/** Rows as columns, the first row being the headings. Numbers are right-aligned. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, String(cell).length);
  }
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width);
    });
    return cells.join('  ').trimEnd();
  });
  return `${lines.join('\n')}\n`;
}
