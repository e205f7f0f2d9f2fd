// `npm run torture`: one headwater, everything that a card, a kernel and a power supply can do to it, at random, and then the
// question whether what it has acknowledged is there. test/torture/run.ts has the schedule.

import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { kcat } from '../parts/kcat.ts';
import { FAULTS, type FaultName } from './faults.ts';
import { openProgress } from './report.ts';
import { emptyOutcome, runTorture, type Options, type Outcome } from './run.ts';
import { missingForKafka } from './writers.ts';

const EXIT = { fine: 0, different: 1, usage: 2, notRun: 3, interrupted: 130 };

const USAGE = `npm run torture [-- --minutes N] [--only ${FAULTS.join(',')}] [--seed S]

Runs headwater under load (MQTT QoS 1 and 2, a device with firmware-bridge, serial lines, an idempotent Kafka producer), makes
faults come at random, and after each holds the log, as kcat reads it, against what was acknowledged.

  --minutes N   so long; default 2
  --rounds N    no more than so many faults
  --only A,B    only these faults: kill (SIGKILL), power (power cut of an ext4 on a loop device), fsync (slow or failing),
                full (another program fills the disk), clock (it jumps), damage (bytes of the store change)
  --seed S      the faults of an earlier run
  --dir FOLDER  where the cards are made; default ${tmpdir()}

example, on a card that is mounted at /mnt/card:
  npm run torture -- --minutes 10 --only kill,power --dir /mnt/card

It needs kcat, python3 and its package confluent-kafka; root for power and full, gcc for fsync, faketime for clock.
It ends with 0 when nothing differs, 1 when something does (the card's content is kept), 2 for a wrong command,
3 when a fault that --only asks for can't be made here.`;

const options = await optionsOf(process.argv.slice(2));
const words = options.faults.join(', ');
console.log(`torture: --seed ${options.seed}, ${options.minutes} minutes of ${words}, in ${options.dir}`);
const outcome = emptyOutcome();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
await runTorture(options, outcome);
process.exit(report(outcome));

/** Whatever runs ends with this process, and what lies about goes. */
function interrupted(): never {
  console.log(`\n${outcome.tally.table()}\n\ninterrupted; --seed ${options.seed}`);
  process.exit(EXIT.interrupted);
}

async function optionsOf(args: string[]): Promise<Options & { isOnly: boolean }> {
  const values = parsed(args);
  if (values.help === true) {
    console.log(USAGE);
    process.exit(EXIT.fine);
  }
  const faults = values.only?.split(',') ?? [...FAULTS];
  const unknown = faults.find((name) => !(FAULTS as readonly string[]).includes(name));
  if (unknown !== undefined) refuse(`--only ${unknown}: one of ${FAULTS.join(', ')}`);
  const missing = missingForKafka() ?? (await kcat(['-V']).then(() => undefined, messageOf));
  if (missing !== undefined) refuse(missing);
  return {
    minutes: numberOf(values.minutes, 2, '--minutes'),
    rounds: numberOf(values.rounds, Infinity, '--rounds'),
    seed: numberOf(values.seed, Math.floor(Math.random() * 2 ** 32), '--seed'),
    faults: faults as FaultName[],
    dir: values.dir ?? tmpdir(),
    isOnly: values.only !== undefined,
    progress: openProgress(),
  };
}

function parsed(args: string[]) {
  const text = { type: 'string' } as const;
  const flags = { minutes: text, rounds: text, only: text, seed: text, dir: text };
  try {
    return parseArgs({ args, options: { ...flags, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    return refuse(messageOf(error));
  }
}

function numberOf(text: string | undefined, otherwise: number, flag: string): number {
  const number = text === undefined ? otherwise : Number(text);
  if (Number.isNaN(number) || number < 0) refuse(`${flag} ${text} is no number`);
  return number;
}

function refuse(message: string): never {
  console.error(`torture: ${message}; see npm run torture -- --help`);
  process.exit(EXIT.usage);
}

function report({ tally, notRun, differences, kept }: Outcome): number {
  console.log(`\n${tally.table()}\n`);
  console.log(`${tally.cards} cards; QoS 1 messages that were sent again and are there once more: ${tally.again}`);
  for (const [fault, reason] of notRun) console.log(`\n!!! NOT RUN: ${fault}, for ${reason}`);
  if (differences.length > 0) {
    console.log(`\n${differences.length} differences; --seed ${options.seed}; what is on the card is kept in ${kept}`);
    return EXIT.different;
  }
  if (options.isOnly && notRun.size > 0) return EXIT.notRun;
  console.log(`\nnothing differs: what was acknowledged is there, once and in order, or told as a gap`);
  return EXIT.fine;
}
