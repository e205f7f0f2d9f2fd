// The options that several commands have, and how their help ends.

import { InvalidArgumentError, Option, type Command } from 'commander';

export type SetExitCode = (code: number) => void;

export const OFFSETS = `
FROM and TO: start, end, an offset, -10 (ten before the end), @-1h, @2026-01-31T06:00:00Z or @MILLISECONDS.
TO itself is not included. They hold in each partition.
`;

/** The options by which a command finds its node. */
export function withNode(command: Command): Command {
  return command
    .option('--url <url>', 'the node, such as http://127.0.0.1:8880; default HEADWATER_URL, or http.listen')
    .option('-c, --config <file>', 'the configuration that http.listen and http.token are taken from')
    .option(
      '--token-file <file>',
      'a file with the token that the node asks for; default HEADWATER_TOKEN_FILE, or http.token',
    );
}

/** For commands that can do without a running node. */
export function withFolder(command: Command): Command {
  return command.option(
    '--data <folder>',
    'the data folder of a node that does not run, instead of a node; it is not changed',
  );
}

export function outputOption(...choices: [string, ...string[]]): Option {
  return new Option('-o, --output <form>', 'how to print').choices(choices).default(choices[0]);
}

export function formatOption(text: string): Option {
  return new Option('-f, --format <form>', text).choices(['text', 'jsonl']).default('text');
}

export function example(command: string): string {
  return `\nExample: headwater ${command}`;
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
