// The command line: names, options and examples of all commands. What a command does is in its own file, loaded when it
// is called, so that `serve` does not carry the others.

import { Command, CommanderError } from 'commander';
import { messageOf } from '../errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { addGroups } from './group-commands.ts';
import { addTransactions } from './transaction-commands.ts';
import { addLog } from './log-commands.ts';
import { example, formatOption, OFFSETS, outputOption, wholeNumber, withFolder, withNode } from './options.ts';
import type { SetExitCode } from './options.ts';
import type { Terminal } from './terminal.ts';
import { versionOf } from './version.ts';

const DESCRIPTION = 'An edge streaming appliance: MQTT and serial in, a log on the card, Apache Kafka out.';
const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 usage, 3 no node answers, 4 not found, 10 unhealthy, 75 try again later,
77 not permitted, 78 bad configuration, 130 interrupted.`;

/** Runs one command. Resolves with its exit code; never rejects for what a command may meet. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = programOf(terminal, (code) => (exitCode = code));
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    terminal.err.write(`headwater: ${messageOf(error).replaceAll('\n', '\nheadwater: ')}\n`);
    return exitCodeOf(error);
  }
}

function programOf(terminal: Terminal, setExitCode: SetExitCode): Command {
  const program = new Command('headwater').description(DESCRIPTION).version(versionOf(), '-V, --version');
  // Settings that commands inherit must be there before the commands are.
  program.exitOverride().showHelpAfterError('(--help says more)').configureHelp({ helpWidth: 100 });
  program.configureOutput({
    writeOut: (text) => void terminal.out.write(text),
    writeErr: (text) => void terminal.err.write(text),
  });
  addServe(program, terminal, setExitCode);
  addConfig(program, terminal, setExitCode);
  addStatus(program, terminal, setExitCode);
  addDoctor(program, terminal, setExitCode);
  addGaps(program, terminal, setExitCode);
  addTopics(program, terminal, setExitCode);
  addProduce(program, terminal, setExitCode);
  addConsume(program, terminal, setExitCode);
  addGroups(program, terminal, setExitCode);
  addTransactions(program, terminal, setExitCode);
  addLog(program, terminal, setExitCode);
  addSerial(program, terminal, setExitCode);
  return program.addHelpText('after', `${EXIT_CODES}\n${example('serve --config headwater.yaml')}`);
}

function addServe(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  program
    .command('serve')
    .description('run the node, until SIGTERM or SIGINT')
    .option('-c, --config <file>', 'the configuration, default HEADWATER_CONFIG, or built-in defaults')
    .addHelpText('after', example('serve --config /etc/headwater/headwater.yaml'))
    .action(async (options: { config?: string }) => {
      const { serve } = await import('./serve.ts');
      setExitCode(await serve(options, terminal));
    });
}

function addConfig(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  const config = program.command('config').description('check or show the configuration');
  config.addHelpText('after', example('config check /etc/headwater/headwater.yaml'));
  config
    .command('check')
    .argument('[file]', 'default HEADWATER_CONFIG')
    .description(
      'tell all mistakes in one pass, without opening the data folder or a port; exit code 78 if there are any',
    )
    .addOption(outputOption('text', 'json'))
    .addHelpText('after', example('config check /etc/headwater/headwater.yaml'))
    .action(async (file: string | undefined, options: { output: 'text' | 'json' }) => {
      const { checkConfig } = await import('./config.ts');
      setExitCode(await checkConfig(file, options, terminal));
    });
  config
    .command('show')
    .argument('[file]', 'default HEADWATER_CONFIG')
    .description('show every setting that is in effect, and where it was given')
    .option('--defaults', 'show all settings with what they mean, as a file to start from', false)
    .addOption(outputOption('yaml', 'json', 'markdown'))
    .addHelpText('after', example('config show --defaults > headwater.yaml'))
    .action(async (file: string | undefined, options: { output: 'yaml' | 'json' | 'markdown'; defaults: boolean }) => {
      const { showConfig } = await import('./config.ts');
      setExitCode(showConfig(file, options, terminal));
    });
}

function addStatus(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  withNode(program.command('status'))
    .description('is data coming in, is it safe, is it leaving; exit code 10 if the node is not healthy')
    .option('-w, --watch', 'again every two seconds', false)
    .addOption(outputOption('text', 'json'))
    .addHelpText('after', example('status --watch'))
    .action(async (options: { output: 'text' | 'json'; watch: boolean }) => {
      const { status } = await import('./status.ts');
      setExitCode(await status(options, terminal));
    });
}

const CHECKS = `
Numbers keep their meaning; docs/operations.md lists them. Exit code 0: nothing, or notes; 1: warnings; 10: errors; 3: no node
answers. With --data the folder of a node that does not run is looked at.
`;

function addDoctor(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  withFolder(withNode(program.command('doctor')))
    .description('what is wrong, or will be, and what to do about it: clock, card, disk, backlog, doors, configuration')
    .option('-a, --all', 'what is fine, too', false)
    .addOption(outputOption('text', 'json'))
    .addHelpText('after', CHECKS + example('doctor -o json'))
    .action(async (options: { output: 'text' | 'json'; all: boolean }) => {
      const { doctor } = await import('./doctor.ts');
      setExitCode(await doctor(options, terminal));
    });
}

function addGaps(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  withFolder(withNode(program.command('gaps')))
    .description('what the card has lost: ranges of offsets, since when, and why; and what is set aside of it')
    .addOption(outputOption('text', 'json'))
    .addHelpText('after', example('gaps -o json'))
    .action(async (options: { output: 'text' | 'json' }) => {
      const { gaps } = await import('./gaps.ts');
      setExitCode(await gaps(options, terminal));
    });
}

function withSettings(command: Command): Command {
  return command
    .argument('<topic>')
    .option('-p, --partitions <number>', 'how many, 1 to 4096', wholeNumber)
    .option('--retention <duration>', 'such as 7d, or never')
    .option('--retention-bytes <size>', 'of each partition, such as 2GiB, or none')
    .option('--cleanup <words>', 'what goes: delete, compact or compact,delete; see docs/retention.md')
    .option(
      '--durability <word>',
      'what an acknowledgement means: synced, immediate or relaxed; see docs/durability.md',
    )
    .option('--when-full <word>', 'at the budget: refuse, which is the default, or drop-oldest');
}

function addTopics(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  const topics = program.command('topics').description('list, describe, create, alter and delete topics');
  topics.addHelpText('after', example('topics create readings -p 4'));
  const add = (name: string, description: string, sample: string): Command => {
    const command = withNode(topics.command(name)).description(description).addOption(outputOption('text', 'json'));
    if (name === 'list' || name === 'describe') withFolder(command);
    return command.addHelpText('after', example(`topics ${sample}`));
  };
  add('list', 'all topics', 'list -o json').action(async (options: { output: 'text' | 'json' }) => {
    const { listTopics } = await import('./topics.ts');
    setExitCode(await listTopics(options, terminal));
  });
  add('describe', 'one topic and its partitions', 'describe readings')
    .argument('<topic>')
    .action(async (topic: string, options: { output: 'text' | 'json' }) => {
      const { describeTopic } = await import('./topics.ts');
      setExitCode(await describeTopic(topic, options, terminal));
    });
  withSettings(add('create', 'make a topic', 'create readings -p 4 --retention 30d --retention-bytes 2GiB')).action(
    async (topic: string, options: { output: 'text' | 'json' }) => {
      const { createTopic } = await import('./topics.ts');
      setExitCode(await createTopic(topic, options, terminal));
    },
  );
  withSettings(add('alter', 'change what is named of a topic', 'alter readings --when-full drop-oldest')).action(
    async (topic: string, options: { output: 'text' | 'json' }) => {
      const { alterTopic } = await import('./topics.ts');
      setExitCode(await alterTopic(topic, options, terminal));
    },
  );
  add('delete', 'remove a topic and its records for ever', 'delete readings --yes')
    .argument('<topic>')
    .option('--yes', 'yes, for ever', false)
    .action(async (topic: string, options: { output: 'text' | 'json'; yes: boolean }) => {
      const { deleteTopic } = await import('./topics.ts');
      setExitCode(await deleteTopic(topic, options, terminal));
    });
}

interface ProduceFlags {
  format: 'text' | 'jsonl';
  output: 'text' | 'json';
}

function addProduce(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  withNode(program.command('produce'))
    .argument('<topic>')
    .description('append each line of standard input as a record; ends when all of them are on the card')
    .option('-k, --key <key>', 'key of all records (with -f text)')
    .option('-p, --partition <number>', 'partition of all records (with -f text); default: by the key', wholeNumber)
    .addOption(formatOption('lines are values (text), or records as consume writes them (jsonl)'))
    .addOption(outputOption('text', 'json'))
    .addHelpText('after', example(`produce readings -k pump-7 < values.txt`))
    .action(async (topic: string, options: ProduceFlags) => {
      const { produce } = await import('./produce.ts');
      setExitCode(await produce(topic, options, terminal));
    });
}

interface ConsumeFlags {
  offset: string;
  format: 'text' | 'jsonl';
  follow: boolean;
}

function addConsume(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  withFolder(withNode(program.command('consume')))
    .argument('<topic>')
    .description('write records to standard output, and end where the topic ends')
    .option('-o, --offset <from[:to]>', 'where to begin and end', 'start')
    .option('-n, --count <number>', 'end after so many records', wholeNumber)
    .option('-p, --partition <number>', 'only this partition', wholeNumber)
    .addOption(formatOption('values only (text; in base64 where one is no UTF-8), or whole records (jsonl)'))
    .option('--follow', 'go on with what comes, until interrupted', false)
    .addHelpText('after', OFFSETS + example('consume readings -o @-1h -f jsonl'))
    .action(async (topic: string, options: ConsumeFlags) => {
      const { consume } = await import('./consume.ts');
      setExitCode(await consume(topic, options, terminal));
    });
}

interface PortFlags {
  output: 'text' | 'json';
  hex: boolean;
}

const PORTS = `
PORT: the name of a port of the running node or of the configuration, or a device: ttyUSB0, or its path. A port that the
node holds is reached through the node; any other is opened, by which many boards reset.
`;

function addSerial(program: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  const serial = program.command('serial').description('see what is plugged in, look on at a port, send to it');
  serial.addHelpText('after', example('serial list'));
  const add = (name: string, description: string): Command => {
    return withNode(serial.command(name)).description(description).addOption(outputOption('text', 'json'));
  };
  add('list', 'serial devices that are plugged in, who uses them, and their lines for the configuration')
    .addHelpText('after', example('serial list'))
    .action(async (options: PortFlags) => {
      const { listSerial } = await import('./serial-list.ts');
      setExitCode(await listSerial(options, terminal));
    });
  add('monitor', 'what a port receives (<) and sends (>), and the records that come of it (=), until interrupted')
    .argument('<port>')
    .option('-b, --baud <number>', 'of a port that is opened here; default: as configured, or 115200', wholeNumber)
    .addHelpText('after', PORTS + example('serial monitor boiler'))
    .action(async (port: string, options: PortFlags) => {
      const { monitorSerial } = await import('./serial-monitor.ts');
      setExitCode(await monitorSerial(port, options, terminal));
    });
  add('send', 'send some bytes to the device at a port')
    .argument('<port>')
    .argument('<data>', 'text, with \\n, \\r, \\t, \\\\ and \\xff for bytes that are none')
    .option('-x, --hex', 'the data is in hex: "7e 01 ff"', false)
    .option('-b, --baud <number>', 'of a port that is opened here; default: as configured, or 115200', wholeNumber)
    .addHelpText('after', PORTS + example("serial send boiler 'status?\\r\\n'"))
    .action(async (port: string, data: string, options: PortFlags) => {
      const { sendSerial } = await import('./serial-send.ts');
      setExitCode(await sendSerial(port, data, options, terminal));
    });
  addSerialDecode(serial, terminal, setExitCode);
}

interface DecodeFlags {
  config?: string;
  port?: string;
  channel?: string;
  text: boolean;
  output: 'text' | 'json';
}

const FRAMES = `
A frame is what stands between two delimiters, or behind a length: what the framing hands on. Exit code 1 if one does not
fit. docs/serial-decoding.md says what a rule can be.
`;

function addSerialDecode(serial: Command, terminal: Terminal, setExitCode: SetExitCode): void {
  serial
    .command('decode')
    .description("what a port's rule makes of some bytes, without a device or a node")
    .argument('<frames...>', 'each one frame, in hex: "01 ff"')
    .option('-c, --config <file>', 'the configuration with the rule, default HEADWATER_CONFIG')
    .option('-p, --port <name>', 'the port, by its name or path; default: the only one')
    .option('--channel <name>', 'the channel that the frames are of, on a port with firmware-bridge')
    .option('-t, --text', 'the frames are text, not hex', false)
    .addOption(outputOption('text', 'json'))
    .addHelpText('after', FRAMES + example('serial decode -c headwater.yaml -p meter "07 00 d2 04"'))
    .action(async (frames: string[], options: DecodeFlags) => {
      const { decodeSerial } = await import('./serial-decode.ts');
      setExitCode(await decodeSerial(frames, options, terminal));
    });
}
