// `npm run bench`: what headwater costs, as ratios in one run on one machine. Results are printed, and those of a full run
// are written to bench/README.md. These are measurements, not tests: nothing here passes or fails.

import { parseArgs } from 'node:util';
import { describeMachine, writeReadme, type Section } from './report.ts';
import { buildHeadwater } from './servers.ts';
import { openStand, type Stand } from './stand.ts';
import { measureCommits } from './steps/commits.ts';
import { measureGrowth } from './steps/growth.ts';
import { measureKafka } from './steps/kafka.ts';
import { measureMirror } from './steps/mirror.ts';
import { measureMqtt } from './steps/mqtt.ts';
import { measurePath } from './steps/path.ts';
import { measureRss } from './steps/rss.ts';
import { measureSerial } from './steps/serial.ts';
import { measureWear } from './steps/wear.ts';

const STEPS: Record<string, (stand: Stand) => Promise<Section>> = {
  mqtt: measureMqtt,
  wear: measureWear,
  rss: measureRss,
  mirror: measureMirror,
  path: measurePath,
  serial: measureSerial,
  growth: measureGrowth,
  commits: measureCommits,
  kafka: measureKafka,
};

const USAGE = `npm run bench                      all measurements, some half an hour; results go to bench/README.md
npm run bench -- --only mqtt,rss   some of: ${Object.keys(STEPS).join(', ')}
npm run bench -- --quick           shorter runs, two or three minutes; prints, writes nothing
npm run bench -- --dir FOLDER      where data is kept while measuring; must be on a disk`;

const options = {
  only: { type: 'string' },
  quick: { type: 'boolean' },
  dir: { type: 'string' },
  help: { type: 'boolean' },
} as const;
const { values } = parseArgs({ options });
const names = values.only?.split(',') ?? Object.keys(STEPS);
const unknown = names.find((name) => !(name in STEPS));

if (values.help === true || unknown !== undefined) {
  process.stderr.write(`${unknown === undefined ? '' : `no measurement is called ${unknown}\n`}${USAGE}\n`);
  process.exit(unknown === undefined ? 0 : 2);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const isQuick = values.quick ?? false;
try {
  await bench();
} catch (error) {
  process.stderr.write(`\nbench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
// What a step has left behind when it failed must not keep this process; the stand is cleared on its exit.
process.exit();

async function bench(): Promise<void> {
  const stand = await openStand({ isQuick, ...(values.dir === undefined ? {} : { dir: values.dir }) });
  stand.progress('building headwater');
  buildHeadwater();
  const machine = describeMachine(stand.makeFolder('machine'));
  const sections: Section[] = [];
  for (const name of names) sections.push(await STEPS[name]!(stand));
  stand.progress('done\n');
  process.stdout.write(`${machine.join('\n')}\n`);
  for (const { name, lines } of sections) process.stdout.write(`\n## ${name}\n\n${lines.join('\n')}\n`);
  const only = values.only === undefined ? '' : ` -- --only ${values.only}`;
  if (!isQuick) writeReadme(machine, sections, `npm run bench${only}`);
}
