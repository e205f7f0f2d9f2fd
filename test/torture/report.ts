// What the torture test tells: a line that is drawn in place on a terminal (elsewhere one every ten seconds), and the table at
// the end.

import type { FaultName } from './faults.ts';
import type { Round } from './round.ts';
import type { Finding } from './site.ts';

export interface Row {
  rounds: number;
  acked: number;
  lost: number;
  doubled: number;
  reordered: number;
  /** Everything else that differs. */
  other: number;
  gaps: number;
  /** Records that are lost and in a gap, and those that the damaged bytes held. */
  told: number;
  /** Lost with the end of a write-ahead log. */
  untold: number;
  held: number;
  /** By headwater, to the card. */
  writtenBytes: number;
  recoveriesMs: number[];
}

export class Tally {
  readonly rows = new Map<FaultName, Row>();
  /** QoS 1 messages that are there once more. */
  again = 0;
  cards = 0;

  row(fault: FaultName): Row {
    let row = this.rows.get(fault);
    if (row === undefined) {
      const counts = {
        rounds: 0,
        acked: 0,
        lost: 0,
        doubled: 0,
        reordered: 0,
        other: 0,
        gaps: 0,
        told: 0,
        untold: 0,
        held: 0,
        writtenBytes: 0,
      };
      this.rows.set(fault, (row = { ...counts, recoveriesMs: [] }));
    }
    return row;
  }

  round(fault: FaultName, { recoveryMs, held = 0 }: Round): void {
    const row = this.row(fault);
    row.rounds += 1;
    row.held += held;
    row.recoveriesMs.push(recoveryMs);
  }

  find(fault: FaultName, { differences, told, untold, gaps }: Finding): void {
    const row = this.row(fault);
    row.told += told;
    row.untold += untold;
    row.gaps += gaps;
    for (const { kind } of differences) {
      if (kind === 'lost' || kind === 'doubled' || kind === 'reordered') row[kind] += 1;
      else row.other += 1;
    }
  }

  table(): string {
    const head =
      "fault,times,acknowledged,lost,doubled,reordered,otherwise wrong,gaps told,records in them,lost with the log's end,held by damaged bytes,MB written,back after (median),worst".split(
        ',',
      );
    const rows = [...this.rows].map(([fault, row]) => {
      const { rounds, acked, lost, doubled, reordered, other, gaps, told, untold, held, writtenBytes, recoveriesMs } =
        row;
      const times = recoveriesMs.toSorted((a, b) => a - b);
      const [median, worst] = [times[Math.floor((times.length - 1) / 2)], times.at(-1)];
      return [
        fault,
        ...[rounds, acked, lost, doubled, reordered, other, gaps, told, untold].map(String),
        fault === 'damage' ? String(held) : '-',
        (writtenBytes / 1e6).toFixed(1),
        seconds(median),
        seconds(worst),
      ];
    });
    return markdown([head, ...rows]);
  }
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '-' : `${(ms / 1000).toFixed(1)} s`;
}

/** A table that is read as it stands, and as Markdown. */
function markdown(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

export interface Progress {
  show(text: string): void;
  /** A line that stays. */
  say(text: string): void;
}

const LINE_MS = 10_000;

export function openProgress(): Progress {
  const startMs = performance.now();
  const isTerminal = process.stdout.isTTY;
  let saidMs = -Infinity;
  const stamp = (): string => `${((performance.now() - startMs) / 1000).toFixed(1).padStart(7)} s`;
  const erase = (): void => void (isTerminal && process.stdout.write('\r\u001B[K'));
  return {
    show(text) {
      const line = `${stamp()}  ${text}`;
      if (isTerminal) {
        process.stdout.write(`\r\u001B[K${line.slice(0, (process.stdout.columns || 120) - 1)}`);
      } else if (performance.now() - saidMs > LINE_MS) {
        saidMs = performance.now();
        console.log(line);
      }
    },
    say(text) {
      erase();
      console.log(`${stamp()}  ${text}`);
    },
  };
}
