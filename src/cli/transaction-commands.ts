// The names, options and examples of `headwater transactions`.

import type { Command } from 'commander';
import { example, outputOption, withNode, type SetExitCode } from './options.ts';
import type { Terminal } from './terminal.ts';

type Output = 'text' | 'json';

const FENCING = `
What is open is aborted in all its partitions, as when it takes longer than its time-out. Its producer learns so when it goes
on, and gives up or begins anew.
`;

export function addTransactions(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  const about = 'list, describe and abort transactions of Kafka producers';
  const transactions = program.command('transactions').description(about);
  transactions.addHelpText('after', example('transactions list'));
  const add = (name: string, description: string, more: string): Command => {
    const command = withNode(transactions.command(name)).description(description);
    return command.addOption(outputOption('text', 'json')).addHelpText('after', more);
  };
  add('list', 'all transactional ids, and what is open', example('transactions list -o json')).action(
    async (options: { output: Output }) => {
      const { listTransactions } = await import('./transactions.ts');
      setExitCode(await listTransactions(options, terminal));
    },
  );
  add('describe', 'one id: its partitions and groups', example('transactions describe billing-1'))
    .argument('<id>')
    .action(async (id: string, options: { output: Output }) => {
      const { describeTransaction } = await import('./transactions.ts');
      setExitCode(await describeTransaction(id, options, terminal));
    });
  add('abort', 'end what is open, as if it had never been', FENCING + example('transactions abort billing-1 --yes'))
    .argument('<id>')
    .option('--yes', 'yes, abort it', false)
    .action(async (id: string, options: { output: Output; yes: boolean }) => {
      const { abortTransaction } = await import('./transactions.ts');
      setExitCode(await abortTransaction(id, options, terminal));
    });
}
