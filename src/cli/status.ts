// `headwater status`: the three questions (is data coming in, is it safe, is it leaving) in a few lines. Exit code 10
// when the answer to the second is no.

import { formatAge } from '../config-units.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import type { Headwater } from '../headwater.ts';
import { clockLines } from './clock-lines.ts';
import { openDaemon, type Daemon, type Whereabouts } from './daemon.ts';
import { EXIT } from './exit-codes.ts';
import { roomLines } from './room-lines.ts';
import { serialLines } from './serial-lines.ts';
import { table, type Terminal } from './terminal.ts';
import { wearLines } from './wear-lines.ts';

export interface StatusOptions extends Whereabouts {
  output: 'text' | 'json';
  watch: boolean;
}

type Status = ReturnType<Headwater['status']>;

const WATCH_MS = 2000;
/** Cursor to the upper left, and everything below it cleared: ECMA-48 CUP and ED. */
const CLEAR = '\u001b[H\u001b[J';

export async function status(options: StatusOptions, terminal: Terminal): Promise<number> {
  const daemon = openDaemon(options, terminal);
  const { out, clock, signal } = terminal;
  try {
    for (;;) {
      const { text, exitCode } = await look(daemon, options);
      out.write(options.watch && out.isTTY === true ? `${CLEAR}${text}` : text);
      if (!options.watch) return exitCode;
      await clock.sleep(WATCH_MS, signal);
      if (signal.aborted) return EXIT.interrupted;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return EXIT.interrupted;
  } finally {
    daemon.close();
  }
}

async function look(daemon: Daemon, { output, watch }: StatusOptions): Promise<{ text: string; exitCode: number }> {
  try {
    const now = await daemon.getJson<Status>('/status');
    const text = output === 'json' ? `${JSON.stringify(now)}\n` : render(now);
    return { text, exitCode: now.health.ok ? EXIT.done : EXIT.unhealthy };
  } catch (error) {
    // Who watches a node wants to see it come back.
    if (!watch || !isHeadwaterError(error, 'NOT_REACHABLE')) throw error;
    return { text: `${messageOf(error)}\n`, exitCode: EXIT.notReachable };
  }
}

function render(now: Status): string {
  const { node, version, uptimeSeconds, health, log } = now;
  const share = ((100 * log.diskBytes) / log.budgetBytes).toFixed(1);
  return [
    `${node}: headwater ${version}, up ${formatAge(uptimeSeconds * 1000)}, ${health.ok ? 'healthy' : 'UNHEALTHY'}\n`,
    ...health.reasons.map((reason) => `  ! ${reason}\n`),
    '\nin\n',
    table([['  DOOR', 'STATE', 'CLIENTS', 'RECORDS', 'BYTES'], ...now.doors.map(doorRow)]),
    ...serialLines(now.serial),
    '\nsafe\n',
    table([
      ['  records', log.appended.records],
      ['  commits', log.commits.count],
      ['  last commit, ms', Math.round(log.commits.lastMs)],
      ['  worst commit, ms', Math.round(log.commits.worstMs)],
      ['  bytes that wait for a commit', log.waitingBytes],
      ['  bytes on the card', log.diskBytes],
      ['  of the budget, %', share],
    ]),
    ...roomLines(log),
    ...lossLines(log.losses),
    ...wearLines(now.wear),
    ...clockLines(now.clock),
    '\nout\n',
    now.mirrors.length === 0 ? '  no mirror is configured\n' : mirrorsTable(now),
    ...now.mirrors.flatMap(({ name, problems }) => problems.map((problem) => `  ! ${name}: ${problem}\n`)),
  ].join('');
}

function lossLines({ gaps, records, quarantineBytes }: Status['log']['losses']): string[] {
  const lines: string[] = [];
  if (gaps > 0)
    lines.push(`  ! the card has lost up to ${records} records in ${gaps} ranges: \`headwater gaps\` lists them\n`);
  if (quarantineBytes > 0) lines.push(`  ! ${quarantineBytes} bytes of damaged folders are set aside\n`);
  return lines;
}

function doorRow({ name, state, clients, records, bytes }: Status['doors'][number]): (string | number)[] {
  return [`  ${name}`, state, clients ?? '-', records, bytes];
}

function mirrorsTable({ mirrors }: Status): string {
  const rows = mirrors.map(({ name, state, records, backlog }) => {
    return [`  ${name}`, state, records, backlog.records, backlog.bytes, formatAge(backlog.ageSeconds * 1000)];
  });
  return table([['  MIRROR', 'STATE', 'SENT', 'WAITING', 'BYTES', 'AGE'], ...rows]);
}
