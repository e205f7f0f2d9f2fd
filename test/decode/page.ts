// The example of docs/serial-decoding.md: what stands on the page is what the tests run.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const page = readFileSync(join(import.meta.dirname, '../../docs/serial-decoding.md'), 'utf8');

/** The text of every fenced block of a language, in order. */
export function blocks(language: string): string[] {
  return [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .filter(([, word]) => word === language)
    .map(([, , text]) => text!);
}

/** The struct in C, the configuration, the frame in hex, and the value. */
export function structExample(): { c: string; config: unknown; frame: Buffer; value: string } {
  const frame = Buffer.from(
    blocks('')
      .find((text) => /^[0-9a-f]+\n$/.test(text))!
      .trim(),
    'hex',
  );
  return { c: blocks('c')[0]!, config: parse(blocks('yaml')[0]!), frame, value: blocks('json')[0]!.trim() };
}

/** The rule of a block that shows one, `which` of them. */
export function ruleOnPage(kind: string): unknown {
  const trees = blocks('yaml').map((text) => parse(text) as { decode?: Record<string, unknown> });
  return trees.find(({ decode }) => decode !== undefined && kind in decode)?.decode;
}
