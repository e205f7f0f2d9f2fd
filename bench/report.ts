// What the measurements say, as Markdown: printed, and put between the markers of bench/README.md. What stands around the
// markers is written by hand.

import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, readFileSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { median } from './measure.ts';
import { headwaterCommand } from './servers.ts';

const README = join(import.meta.dirname, 'README.md');
const SYNCS = 51;

/** One measurement's results. */
export interface Section {
  name: string;
  lines: string[];
}

export function table(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '--:'))), ...rows.map(line)];
}

/** The machine, the versions and the commands, on which all figures depend. `folder` is where the data was. */
export function describeMachine(folder: string): string[] {
  const all = cpus();
  const [source, fstype] = execFileSync('findmnt', ['-no', 'SOURCE,FSTYPE', '-T', folder], { encoding: 'utf8' })
    .trim()
    .split(/\s+/) as [string, string];
  const memoryGib = Math.round(totalmem() / 2 ** 30);
  return [
    `${all.length} cores of ${all[0]!.model}, ${memoryGib} GiB, Linux ${release()}, Node ${process.version}; data on ${fstype} on ` +
      `${source}, a synced write of 16 KiB takes ${syncMs(folder).toFixed(2)} ms there (median of ${SYNCS}).`,
    '',
    `headwater ${commit()}, run as \`${headwaterCommand()}\`.`,
  ];
}

function syncMs(folder: string): number {
  const file = join(folder, 'sync');
  const fd = openSync(file, 'w');
  const bytes = Buffer.alloc(16 * 1024, 1);
  const took = Array.from({ length: SYNCS }, () => {
    const startMs = performance.now();
    writeSync(fd, bytes);
    fdatasyncSync(fd);
    return performance.now() - startMs;
  });
  closeSync(fd);
  unlinkSync(file);
  return median(took);
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
    }).trim();
  } catch {
    // A copy without its history is measured all the same.
    return 'of an unknown commit';
  }
}

/** Puts the sections between their markers and leaves everything else as it is. Throws where a marker is missing. */
export function writeReadme(machine: string[], sections: Section[], command: string): void {
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  let text = readFileSync(README, 'utf8');
  for (const { name, lines } of sections) {
    const body = [...lines, '', `<sub>${date} UTC, \`${command}\`</sub>`];
    text = replaceBetween(text, name, body);
  }
  text = replaceBetween(text, 'machine', machine);
  writeFileSync(README, text);
}

function replaceBetween(text: string, name: string, lines: string[]): string {
  const [start, end] = [`<!-- ${name}: written by npm run bench -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`bench/README.md lacks the markers of "${name}"`);
  return `${text.slice(0, from + start.length)}\n\n${lines.join('\n')}\n\n${text.slice(to)}`;
}
