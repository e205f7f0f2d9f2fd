// `headwater gaps`: what the card has lost and the budget has dropped, range by range, and which damaged folders were set aside. Of a running node; with
// --data of the folder of one that does not run.

import type { Losses } from '../headwater.ts';
import { withAccess, type AccessOptions } from './access.ts';
import { EXIT } from './exit-codes.ts';
import { table, type Terminal } from './terminal.ts';

export interface GapsOptions extends AccessOptions {
  output: 'text' | 'json';
}

export async function gaps(options: GapsOptions, terminal: Terminal): Promise<number> {
  const found = await withAccess(options, terminal, { isWritten: false }, (daemon) => daemon.getJson<Losses>('/gaps'));
  terminal.out.write(options.output === 'json' ? `${JSON.stringify(found)}\n` : render(found));
  return EXIT.done;
}

function render({ gaps, forgotten, quarantine }: Losses): string {
  const parts = [gaps.length === 0 ? 'nothing is lost\n' : gapsTable(gaps)];
  if (forgotten > 0) parts.push(`${forgotten} more, older ones, are forgotten\n`);
  if (quarantine.length > 0) {
    const rows = quarantine.map(({ name, bytes, atMs, reason }) => [name, bytes, timeOf(atMs), reason]);
    const hint = 'kept in the data folder under quarantine/ until you remove them or the budget needs their room\n';
    parts.push(`\n${table([['SET ASIDE', 'BYTES', 'WHEN', 'WHY'], ...rows])}${hint}`);
  }
  return parts.join('');
}

function gapsTable(gaps: Losses['gaps']): string {
  const rows = gaps.map(({ topic, partition, firstOffset, lastOffset, records, atMs, reason }) => {
    return [topic, partition, firstOffset, lastOffset, records, timeOf(atMs), reason];
  });
  return table([['TOPIC', 'PARTITION', 'FIRST', 'LAST', 'RECORDS', 'FOUND', 'REASON'], ...rows]);
}

function timeOf(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}
