// The names, options and examples of `headwater groups`.

import type { Command } from 'commander';
import { example, outputOption, wholeNumber, withNode, type SetExitCode } from './options.ts';
import type { Terminal } from './terminal.ts';

type Output = 'text' | 'json';

const PLACES = `
PLACE: start, end, an offset, -10 (ten before the end), @-1h, @2026-01-31T06:00:00Z or @MILLISECONDS. The consumers of the
group must be stopped meanwhile: what they commit would win.
`;

export function addGroups(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  const groups = program.command('groups').description('list, describe, reset and delete consumer groups');
  groups.addHelpText('after', example('groups list'));
  const add = (name: string, description: string, more = ''): Command => {
    const command = withNode(groups.command(name)).description(description).addOption(outputOption('text', 'json'));
    return command.addHelpText('after', more);
  };
  add('list', 'all groups, and how far they are behind', example('groups list -o json')).action(
    async (options: { output: Output }) => {
      const { listGroups } = await import('./groups.ts');
      setExitCode(await listGroups(options, terminal));
    },
  );
  add('describe', 'one group: what it has committed, and its members', example('groups describe billing'))
    .argument('<group>')
    .action(async (group: string, options: { output: Output }) => {
      const { describeGroup } = await import('./groups.ts');
      setExitCode(await describeGroup(group, options, terminal));
    });
  add('reset', 'let a group go on elsewhere', PLACES + example('groups reset billing -t readings --to @-1h'))
    .argument('<group>')
    .requiredOption('-t, --topic <topic>', 'the topic')
    .requiredOption('--to <place>', 'where it goes on')
    .option('-p, --partition <number>', 'only this partition', wholeNumber)
    .option('--dry-run', 'tell what would be, and change nothing', false)
    .action(async (group: string, options: { output: Output; topic: string; to: string; dryRun: boolean }) => {
      const { resetGroup } = await import('./groups.ts');
      setExitCode(await resetGroup(group, options, terminal));
    });
  add('delete', 'forget a group and its offsets for ever', example('groups delete billing --yes'))
    .argument('<group>')
    .option('--yes', 'yes, for ever', false)
    .action(async (group: string, options: { output: Output; yes: boolean }) => {
      const { deleteGroup } = await import('./groups.ts');
      setExitCode(await deleteGroup(group, options, terminal));
    });
}
