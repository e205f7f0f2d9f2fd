// docs/firmware.md as a test follows it: files and commands of its sections, as they stand there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const page = readFileSync(join(import.meta.dirname, '../../docs/firmware.md'), 'utf8');

export interface Block {
  language: string;
  text: string;
  /** The name in backquotes right before it, where it is the content of a file. */
  file?: string;
}

/** The part under a heading, up to the next one of the same or a higher rank. Throws if there is none. */
export function section(heading: string): Block[] {
  const start = page.indexOf(`\n${heading}\n`);
  if (start === -1) throw new Error(`docs/firmware.md has no heading "${heading}"`);
  const rank = heading.indexOf(' ');
  const rest = page.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${rank}} `, 'm'));
  return blocksOf(end === -1 ? rest : rest.slice(0, end));
}

function blocksOf(text: string): Block[] {
  const fence = /(?:^`([^`\n]+)`[^\n]*:\n\n)?^( *)```(\w*)\n([^]*?)^\2```$/gm;
  return [...text.matchAll(fence)].map(([, file, indent, language, body]) => ({
    language: language!,
    text: body!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    ...(file !== undefined && { file }),
  }));
}

/** The commands of the blocks in `sh`, each one line. */
export function commands(blocks: Block[]): string[] {
  return blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.replaceAll('\\\n', ' ').trim().split('\n'));
}

/** Matches what looks like a sample of output: every number, and every run of spaces, may be another one. */
export function likeSample(sample: string): RegExp {
  const escaped = sample.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll(/\d+/g, '\\d+').replaceAll(/ +/g, ' +')}$`, 'm');
}
