// `headwater config`: checks a file, or shows what is in effect. Opens nothing in the data folder, and no port. A check
// asks the rooms, too: they know what a route's template may hold.

import { explainConfig, type ConfigInput } from '../config.ts';
import { effectiveTree, printEffective, printReference, printSample } from '../config-print.ts';
import { HeadwaterError, isHeadwaterError } from '../errors.ts';
import { EXIT } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

export interface CheckOptions {
  output: 'text' | 'json';
}

export interface ShowOptions {
  output: 'yaml' | 'json' | 'markdown';
  defaults: boolean;
}

/** Prints the mistakes on standard output, one a line: they are what was asked for. */
export async function checkConfig(
  file: string | undefined,
  { output }: CheckOptions,
  terminal: Terminal,
): Promise<number> {
  const mistakes = await mistakesIn(inputOf(file, terminal));
  const name = file ?? terminal.env['HEADWATER_CONFIG'] ?? 'the built-in configuration';
  if (output === 'json') terminal.out.write(`${JSON.stringify({ ok: mistakes.length === 0, mistakes })}\n`);
  else if (mistakes.length === 0) terminal.out.write(`${name}: no mistakes\n`);
  else terminal.out.write(`${mistakes.join('\n')}\n`);
  return mistakes.length === 0 ? EXIT.done : EXIT.badConfig;
}

/** One line each, with its place. */
export async function mistakesIn(input: ConfigInput): Promise<string[]> {
  try {
    const { roomMistakes } = await import('../headwater.ts');
    explainConfig({ ...input, rooms: roomMistakes });
    return [];
  } catch (error) {
    if (!isHeadwaterError(error, 'CONFIG_INVALID')) throw error;
    return error.message.split('\n');
  }
}

export function showConfig(file: string | undefined, { output, defaults }: ShowOptions, terminal: Terminal): number {
  terminal.out.write(defaults ? printDefaults(output) : printLoaded(file, output, terminal));
  return EXIT.done;
}

function printDefaults(output: ShowOptions['output']): string {
  if (output === 'markdown') return printReference();
  return output === 'yaml' ? printSample() : `${JSON.stringify(effectiveTree(explainConfig()), undefined, 2)}\n`;
}

function printLoaded(file: string | undefined, output: ShowOptions['output'], terminal: Terminal): string {
  if (output === 'markdown') throw new HeadwaterError('USAGE', '-o markdown prints the reference: say --defaults, too');
  const loaded = explainConfig(inputOf(file, terminal));
  return output === 'yaml' ? printEffective(loaded) : `${JSON.stringify(effectiveTree(loaded), undefined, 2)}\n`;
}

/** The file that was named, or HEADWATER_CONFIG, with the environment over it. */
export function inputOf(file: string | undefined, { env }: Terminal): ConfigInput {
  const path = file ?? env['HEADWATER_CONFIG'];
  return path === undefined ? { env } : { file: path, env };
}
