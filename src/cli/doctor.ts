// `headwater doctor`: checks with numbers, each with what to do next. Of a running node; with --data of the folder of one
// that does not run. The configuration of this machine is checked in any case. Exit code by the worst: 0 nothing or
// notes, 1 warnings, 10 errors; 3 when no node answers.

import { explainConfig } from '../config.ts';
import type { Check, Severity } from '../doctor/doctor.ts';
import { isHeadwaterError, messageOf } from '../errors.ts';
import { withAccess, type AccessOptions } from './access.ts';
import { mistakesIn, inputOf } from './config.ts';
import { EXIT } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

export interface DoctorOptions extends AccessOptions {
  output: 'text' | 'json';
  all: boolean;
}

const RANK: Record<Severity, number> = { ok: 0, note: 1, warning: 2, error: 3 };
const EXIT_OF: Record<Severity, number> = {
  ok: EXIT.done,
  note: EXIT.done,
  warning: EXIT.failed,
  error: EXIT.unhealthy,
};
const WORDS: Record<Severity, string> = { ok: 'ok     ', note: 'note   ', warning: 'WARNING', error: 'ERROR  ' };

export async function doctor(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const config = await configCheck(options, terminal);
  const { checks, isReached } = await nodeChecks(options, terminal, config.severity === 'error');
  const all = [...checks, config];
  const worst = all.reduce<Severity>((worst, { severity }) => (RANK[severity] > RANK[worst] ? severity : worst), 'ok');
  if (options.output === 'json') terminal.out.write(`${JSON.stringify({ severity: worst, checks: all })}\n`);
  else terminal.out.write(render(all, options.all));
  return isReached ? EXIT_OF[worst] : EXIT.notReachable;
}

async function nodeChecks(
  options: DoctorOptions,
  terminal: Terminal,
  isConfigWrong: boolean,
): Promise<{ checks: Check[]; isReached: boolean }> {
  try {
    const checks = await withAccess(options, terminal, { isWritten: false }, (daemon) =>
      daemon.getJson<Check[]>('/checks'),
    );
    return { checks, isReached: true };
  } catch (error) {
    const isAway = isHeadwaterError(error, 'NOT_REACHABLE');
    // Without a configuration that can be read nobody knows where the node would be.
    if (!isAway && !(isConfigWrong && isHeadwaterError(error, 'CONFIG_INVALID'))) throw error;
    const next = 'start it, `systemctl status headwater` says why it ended; --data looks at its folder without it';
    const found = isAway ? messageOf(error) : 'where the node listens is in the configuration, which is wrong';
    return { checks: [{ id: 'HW020', name: 'node', severity: 'error', found, next }], isReached: !isAway };
  }
}

async function configCheck({ config }: DoctorOptions, terminal: Terminal): Promise<Check> {
  const about = { id: 'HW021', name: 'configuration' };
  const file = config ?? terminal.env['HEADWATER_CONFIG'];
  const name = file ?? 'the built-in configuration';
  const input = inputOf(config, terminal);
  const mistakes = await mistakesIn(input);
  if (mistakes.length > 0) {
    const next = 'the node that runs goes on with what it was started with, and does not start again like this';
    return { ...about, severity: 'error', found: mistakes.join('; '), next };
  }
  const dir = explainConfig(input).config.data.dir;
  return { ...about, severity: 'ok', found: `${name} has no mistakes, data in ${dir}` };
}

/** What is fine takes no line, unless all is asked for. */
function render(checks: readonly Check[], all: boolean): string {
  const told = checks.filter(({ severity }) => all || severity !== 'ok');
  const lines = told.map(({ id, name, severity, found, next }) => {
    return `${id} ${WORDS[severity]} ${name}: ${found}\n${next === undefined ? '' : `              -> ${next}\n`}`;
  });
  const counts = (['error', 'warning', 'note', 'ok'] as const).map((each) => {
    return `${checks.filter(({ severity }) => severity === each).length} ${each}`;
  });
  return `${lines.join('')}${checks.length} checks: ${counts.join(', ')}\n`;
}
