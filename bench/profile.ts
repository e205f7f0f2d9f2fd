// `node bench/profile.ts`: where headwater's processor time goes under MQTT load. It prints the time of each thread, then,
// for the main thread, the functions with the most time of their own and the sum of each room, all in us a message.
//
//   node bench/profile.ts [--rate 8000] [--payload json|random] [--seconds 10] [--burst 0ms] [--upstream HOST:PORT]

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cpuSecondsOf, threadSecondsOf } from './measure.ts';
import { table } from './report.ts';
import { buildHeadwater, startHeadwater } from './servers.ts';
import { openStand } from './stand.ts';

const TOP = 25;
const SAMPLE_US = 500;

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  /** us of the monotonic clock, as process.hrtime has it. */
  startTime: number;
  samples: number[];
  timeDeltas: number[];
}

const { values } = parseArgs({
  options: {
    rate: { type: 'string' },
    payload: { type: 'string', default: 'json' },
    seconds: { type: 'string', default: '10' },
    burst: { type: 'string', default: '0ms' },
    upstream: { type: 'string' },
    dir: { type: 'string' },
  },
});
const stand = await openStand({ isQuick: false, ...(values.dir === undefined ? {} : { dir: values.dir }) });
try {
  buildHeadwater();
  await profile();
} finally {
  stand.close();
}
process.exit();

async function profile(): Promise<void> {
  const folder = stand.makeFolder('profile');
  const flags = ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${SAMPLE_US}`];
  const { burst, upstream } = values;
  const options = { dir: stand.makeFolder('data'), burst, retention: '16MiB', flags };
  const headwater = await startHeadwater(stand, upstream === undefined ? options : { ...options, upstream });
  const load = { port: headwater.port, payload: values.payload === 'random' ? 'random' : 'json' } as const;
  stand.progress('profile: warming up');
  await stand.load({ ...load, seconds: 3 });
  stand.progress('profile: measuring');
  const [cpu, threads, fromUs] = [cpuSecondsOf(headwater.pid), threadSecondsOf(headwater.pid), nowUs()];
  const rate = values.rate === undefined ? {} : { rate: Number(values.rate) };
  const { acked, perSecond } = await stand.load({ ...load, ...rate, seconds: Number(values.seconds) });
  const [cpuAfter, threadsAfter, toUs] = [cpuSecondsOf(headwater.pid), threadSecondsOf(headwater.pid), nowUs()];
  await headwater.stop();
  stand.progress('done\n');

  const us = (seconds: number): string => ((seconds / acked) * 1e6).toFixed(2);
  const grown = [...threadsAfter].map(([name, seconds]) => [name, us(seconds - (threads.get(name) ?? 0))]);
  print(
    `${acked} messages, ${perSecond.toFixed(0)}/s, ${us(cpuAfter - cpu)} us of processor time a message (profiling included)`,
  );
  print(
    ...table(
      ['threads', 'us/message'],
      grown.toSorted((a, b) => Number(b[1]) - Number(a[1])),
    ),
  );
  const file = readdirSync(folder).find((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error(`no profile was written:\n${headwater.output()}`);
  const { functions, rooms } = selfTimes(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile, fromUs, toUs);
  const rows = (times: Map<string, number>): string[][] =>
    [...times].toSorted((a, b) => b[1] - a[1]).map(([name, timeUs]) => [name, (timeUs / acked).toFixed(3)]);
  print('', ...table(['main thread, by room', 'us/message'], rows(rooms)));
  print(
    '',
    ...table([`main thread, first ${TOP} functions by self time`, 'us/message'], rows(functions).slice(0, TOP)),
  );
}

function selfTimes(profile: Profile, fromUs: number, toUs: number): Record<'functions' | 'rooms', Map<string, number>> {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const [functions, rooms] = [new Map<string, number>(), new Map<string, number>()];
  let atUs = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    // A delta is the time since the sample before: what it has found lasts until the next one.
    atUs += profile.timeDeltas[index]!;
    if (atUs < fromUs || atUs > toUs) continue;
    const { functionName, url, lineNumber } = frames.get(id)!;
    const lastsUs = profile.timeDeltas[index + 1] ?? 0;
    const place = url === '' ? '' : ` ${shortened(url)}:${lineNumber + 1}`;
    add(functions, `${functionName === '' ? '(anonymous)' : functionName}${place}`, lastsUs);
    add(rooms, url === '' ? functionName || 'native' : roomOf(url), lastsUs);
  }
  return { functions, rooms };
}

function shortened(url: string): string {
  return url.replace(/^file:\/\/.*\/(dist|node_modules)\//, (_, folder: string) => (folder === 'dist' ? '' : '~/'));
}

function roomOf(url: string): string {
  const [first, second] = shortened(url).split('/') as [string, string?];
  if (first === '~') return `package ${second}`;
  return url.startsWith('node:') ? `node:${first.slice(5)}` : first;
}

function add(sums: Map<string, number>, name: string, value: number): void {
  sums.set(name, (sums.get(name) ?? 0) + value);
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
