// The names, options and examples of `headwater log`.

import type { Command } from 'commander';
import { example, OFFSETS, outputOption, wholeNumber, withFolder, withNode, type SetExitCode } from './options.ts';
import { Option } from 'commander';
import type { Terminal } from './terminal.ts';

type Output = 'text' | 'json';

const DAMAGE = `
Exit code 10 if anything is damaged or missing. A node goes on meanwhile; --data looks at a folder without changing it.
`;

const ONCE = `
The file may be imported again, wholly or after a break, and files may overlap: the log keeps with the records which of them
it has, and skips those. Topics that are missing are made with the settings they had. Retention holds for what comes in.
With --data the folder of a node that does not run is written to.
`;

export function addLog(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  const log = program.command('log').description('verify, look into, export and import what is stored');
  log.addHelpText('after', example('log verify'));
  const add = (name: string, description: string): Command => {
    return withNode(log.command(name)).description(description).addOption(outputOption('text', 'json'));
  };
  withFolder(add('verify', 'read and check every batch: its CRC, its records, and that no offset is missing'))
    .argument('[topics...]', 'default: all')
    .option('-f, --file <file>', 'a file of `log export`, instead of a log')
    .addHelpText('after', DAMAGE + example('log verify --data /mnt/card/headwater'))
    .action(async (topics: string[], options: { output: Output }) => {
      const { verifyLog } = await import('./log-verify.ts');
      setExitCode(await verifyLog(topics, options, terminal));
    });
  withFolder(add('dump', 'batches as they are stored, one line each'))
    .argument('<topic>')
    .option('--offset <from[:to]>', 'where to begin and end', 'start')
    .option('-n, --count <number>', 'end after so many batches in all', wholeNumber)
    .option('-p, --partition <number>', 'only this partition', wholeNumber)
    .option('-r, --records', 'the records of each batch, too', false)
    .addHelpText('after', OFFSETS + example('log dump readings --offset -1000 --records'))
    .action(async (topic: string, options: { output: Output; offset: string; records: boolean }) => {
      const { dumpLog } = await import('./log-dump.ts');
      setExitCode(await dumpLog(topic, options, terminal));
    });
  withFolder(
    add('export', 'topics into a file that `log import` takes, or one topic as JSON lines for `produce -f jsonl`'),
  )
    .argument('<file>', 'a new one')
    .argument('[topics...]', 'default: all')
    .addOption(
      new Option('-f, --format <form>', 'batches as they are stored, or JSON lines')
        .choices(['batches', 'jsonl'])
        .default('batches'),
    )
    .addHelpText('after', DAMAGE + example('log export /mnt/usb/pump-7.hwx readings'))
    .action(async (file: string, topics: string[], options: { output: Output; format: 'batches' | 'jsonl' }) => {
      const { exportLog } = await import('./log-export.ts');
      setExitCode(await exportLog(file, topics, options, terminal));
    });
  add('import', 'take in what `log export` wrote, each record once')
    .argument('<file>')
    .option('--rename <template>', 'names of the topics here; {topic} and {node} are those of the export', '{topic}')
    .option('--data <folder>', 'the data folder of a node that does not run, instead of a node')
    .addHelpText('after', ONCE + example("log import /mnt/usb/pump-7.hwx --rename '{node}.{topic}'"))
    .action(async (file: string, options: { output: Output; rename: string }) => {
      const { importLog } = await import('./log-import.ts');
      setExitCode(await importLog(file, options, terminal));
    });
}
