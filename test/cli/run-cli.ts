// Words for tests of the command line: run a command in process and see what it wrote and how it ended.

import { Readable } from 'node:stream';
import { runCli } from '../../src/cli/cli.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { systemClock } from '../../src/clock.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface Surroundings {
  input?: string | Buffer;
  env?: Record<string, string>;
  signal?: AbortSignal;
  isTerminal?: boolean;
  /** Called with all that was written so far. */
  onOut?: (out: string) => void;
}

export async function run(args: string[], given: Surroundings = {}): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', err: '' };
  const isTTY = given.isTerminal ?? false;
  const terminal: Terminal = {
    in: Readable.from(given.input === undefined ? [] : [Buffer.from(given.input)]),
    out: {
      isTTY,
      once: () => undefined,
      write: (text) => {
        ran.out += text;
        given.onOut?.(ran.out);
        return true;
      },
    },
    err: {
      isTTY,
      once: () => undefined,
      write: (text) => {
        ran.err += text;
        return true;
      },
    },
    env: given.env ?? {},
    clock: systemClock,
    signal: given.signal ?? new AbortController().signal,
  };
  ran.code = await runCli(args, terminal);
  return ran;
}
