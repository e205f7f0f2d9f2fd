// `headwater transactions`: list, describe and abort transactions of Kafka producers, on a running node.

import { HeadwaterError } from '../errors.ts';
import { withDaemon, type Whereabouts } from './daemon.ts';
import { print, table, type Terminal } from './terminal.ts';

export interface TransactionOptions extends Whereabouts {
  output: 'text' | 'json';
}

interface TransactionLine {
  id: string;
  state: string;
  producerId: number;
  producerEpoch: number;
  timeoutMs: number;
  openMs: number;
  partitions: number;
  groups: number;
}

interface TransactionDetail extends TransactionLine {
  topics: { topic: string; partitions: number[] }[];
  groupIds: string[];
}

const HEADINGS = ['TRANSACTIONAL ID', 'STATE', 'PRODUCER', 'OPEN S', 'TIMEOUT S', 'PARTITIONS', 'GROUPS'];

export async function listTransactions(options: TransactionOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const found = await daemon.getJson<TransactionLine[]>('/transactions');
    print(terminal, options.output, found, () => table([HEADINGS, ...found.map(rowOf)]));
  });
}

export async function describeTransaction(
  id: string,
  options: TransactionOptions,
  terminal: Terminal,
): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const found = await daemon.getJson<TransactionDetail>(pathOf(id));
    print(terminal, options.output, found, () => describe(found));
  });
}

function describe(found: TransactionDetail): string {
  const tables = [table([HEADINGS, rowOf(found)])];
  const topics = found.topics.map(({ topic, partitions }) => [topic, partitions.join(',')]);
  if (topics.length > 0) tables.push(table([['TOPIC', 'PARTITIONS'], ...topics]));
  if (found.groupIds.length > 0) tables.push(table([['GROUP'], ...found.groupIds.map((group) => [group])]));
  return tables.join('\n');
}

export interface AbortOptions extends TransactionOptions {
  yes: boolean;
}

export async function abortTransaction(id: string, options: AbortOptions, terminal: Terminal): Promise<number> {
  return withDaemon(options, terminal, async (daemon) => {
    const { state, partitions } = await daemon.getJson<TransactionDetail>(pathOf(id));
    if (state === 'Ongoing' && !options.yes) {
      const what = `what ${id} has written to ${partitions} partitions would not count, and its producer be fenced`;
      throw new HeadwaterError('USAGE', `${what}: say --yes if so`);
    }
    const { text } = await daemon.send('POST', `${pathOf(id)}/abort`, '');
    const { aborted } = JSON.parse(text) as { aborted: boolean };
    const said = aborted ? `the transaction of ${id} is aborted` : `${id} has no transaction open`;
    print(terminal, options.output, { aborted }, () => `${said}\n`);
  });
}

/** Throws TRANSACTION_UNKNOWN for ids that would be steps in a path. */
function pathOf(id: string): string {
  if (id !== '' && id !== '.' && id !== '..') return `/transactions/${encodeURIComponent(id)}`;
  const text = `there is no transactional id ${JSON.stringify(id)}: see \`headwater transactions list\``;
  throw new HeadwaterError('TRANSACTION_UNKNOWN', text);
}

function rowOf(line: TransactionLine): (string | number)[] {
  const { id, state, producerId, producerEpoch, timeoutMs, openMs, partitions, groups } = line;
  const open = openMs < 0 ? '-' : Math.round(openMs / 1000);
  return [id, state, `${producerId}/${producerEpoch}`, open, Math.round(timeoutMs / 1000), partitions, groups];
}
