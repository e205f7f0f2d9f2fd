// docs/firmware.md, followed to the letter: its files and its commands are what is built and run here, from a blank project to
// the reading in a Kafka consumer. What the test puts in the page's place is said where it does so: the port's path, since no
// USB cable is there; other ports for the doors, since others may have those; an emulator for the board.

import { afterEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../parts/kafka.ts';
import { readTopic } from '../parts/kcat.ts';
import { until } from '../parts/until.ts';
import { commands, likeSample, section, type Block } from './page.ts';
import { arduino, bareMetal, buildSketch, plugInUno, zephyr, type Plugged } from './projects.ts';
import { openSite, type Running, type Site } from './site.ts';

const MINUTE = 60_000;

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

interface Doors {
  mqtt: number;
  kafka: number;
  http: number;
}

async function openDoors(): Promise<{ doors: Doors; site: Site }> {
  const doors = { mqtt: await freePort(), kafka: await freePort(), http: await freePort() };
  const site = await openSite({ HEADWATER_URL: `http://127.0.0.1:${doors.http}` });
  stops.push(() => site.remove());
  return { doors, site };
}

/** The page's configuration with the path of the emulator's port, the doors of the test, and more lines for the port. */
async function configure(site: Site, { path }: Plugged, doors: Doors, more = ''): Promise<void> {
  const [block] = section('## 2. The wire and the port').filter(({ file }) => file === 'headwater.yaml');
  const listen = (port: number): object => ({ listen: `127.0.0.1:${port}` });
  const other = { mqtt: listen(doors.mqtt), kafka: listen(doors.kafka), http: listen(doors.http) };
  const text = block!.text.replace(/(path: ).*/, `$1${path}`) + more.replaceAll(/^/gm, '    ');
  expect(text).toContain(path);
  await site.write([{ ...block!, text: `${text}\n${stringify(other)}` }]);
}

/** Section 2's commands: the check, and the node itself, which goes on. */
async function serve(site: Site): Promise<Running> {
  const [check, run, ...more] = commands(section('## 2. The wire and the port'));
  expect(more).toEqual([]);
  await site.run(check!);
  const node = site.start(run!);
  await node.says(/serial device is connected/);
  return node;
}

const sample = (blocks: Block[], language = ''): string => blocks.find((block) => block.language === language)!.text;

/** Section 3's commands, each of which shows a reading of the device; the page's sample is one of `oven`. */
async function seeTheReading(site: Site, doors: Doors, name: string): Promise<void> {
  const blocks = section('## 3. The first reading');
  const [monitor, status, consume, kcat, consumer, ...more] = commands(blocks).map((command) =>
    command.replace('127.0.0.1:9092', `127.0.0.1:${doors.kafka}`),
  );
  expect(more).toEqual([]);
  const looking = site.start(monitor!);
  await looking.says(new RegExp(` = plant ${name}/temperature: \\d+$`, 'm'));
  expect(looking.output()).toMatch(/# < DATA \d+: temperature, \d+ bytes? at \d+ ms$/m);
  await looking.stop();
  const told = await site.run(status!);
  expect(told).toMatch(/^ {2}bench +bridge +\d+s ago/m);
  expect(told).toMatch(new RegExp(`^  ${name} +bench +connected +\\d+`, 'm'));
  const [first] = (await site.run(consume!)).trim().split('\n');
  expect(JSON.parse(first!)).toMatchObject({ topic: 'plant', offset: 0, key: `${name}/temperature` });
  expect(await site.run(kcat!)).toMatch(likeSample(sample(blocks).replace('oven', name)));
  const reading = site.start(consumer!);
  await reading.says(/^\d+\n\d+$/m);
  await reading.stop();
}

/** More readings come, with times between the start of the test and now. No more is said here: an emulator's clock is not even. */
async function expectReadings(doors: Doors, startMs: number): Promise<void> {
  const read = () => readTopic(`127.0.0.1:${doors.kafka}`, 'plant');
  await until('five readings', async () => (await read()).length >= 5);
  for (const { timestampMs } of await read()) {
    expect(timestampMs).toBeGreaterThan(startMs);
    expect(timestampMs).toBeLessThanOrEqual(Date.now());
  }
}

for (const { kind, project, name } of [
  { kind: 'Arduino', project: arduino, name: 'oven' },
  { kind: 'Zephyr', project: zephyr, name: 'cellar' },
  { kind: 'bare metal', project: bareMetal, name: 'cellar' },
]) {
  test(
    `from a blank project to a Kafka consumer: ${kind}`,
    async () => {
      const startMs = Date.now();
      const { doors, site } = await openDoors();
      const board = await project(site);
      stops.push(() => board.unplug());
      await configure(site, board, doors);
      const node = await serve(site);
      await seeTheReading(site, doors, name);
      await expectReadings(doors, startMs);
      await expect(readTopic(`127.0.0.1:${doors.kafka}`, 'plant.gaps')).rejects.toThrow('plant.gaps');
      await node.stop();
    },
    MINUTE * 4,
  );
}

test(
  'a command to the board and its answer',
  async () => {
    const { doors, site } = await openDoors();
    const [, send, see, ...more] = ['', ...commands(further()).filter((command) => command.includes('orders'))];
    expect(more).toEqual([]);
    const uno = await plugInUno(
      site,
      await buildSketch(site, 'Arduino/libraries/firmware-bridge/examples/Relay/Relay.ino'),
    );
    stops.push(() => uno.unplug());
    // The example is another board than the page's oven.
    await configure(site, uno, doors, sampleOf('commands:'));
    await site.run(`sed -i 's/756e6f01/756e6f04/' headwater.yaml`);
    await serve(site);
    await site.run(send!);
    await until('the answer', async () => (await site.run(see!)).includes('"id":1'));
    expect(JSON.parse(await site.run(see!))).toMatchObject({ id: 1, device: 'oven', outcome: 'done', payload: '01' });
    expect(await site.run('headwater consume plant')).toBe('on\n');
  },
  MINUTE * 4,
);

test(
  'a board that speaks when it is asked, as on RS-485, where two of the addresses are silent',
  async () => {
    const { doors, site } = await openDoors();
    const uno = await plugInUno(
      site,
      await buildSketch(site, 'Arduino/libraries/firmware-bridge/examples/Rs485Node/Rs485Node.ino'),
    );
    stops.push(() => uno.unplug());
    await configure(site, uno, doors, sampleOf('addresses:'));
    await site.run(`sed -i 's/756e6f01/756e6f03/' headwater.yaml`);
    await serve(site);
    // The topic is there with its first record.
    const read = () => readTopic(`127.0.0.1:${doors.kafka}`, 'plant').catch(() => []);
    await until('five readings', async () => (await read()).length >= 5);
    expect(new Set((await read()).map(({ key }) => String(key)))).toEqual(new Set(['oven/level']));
  },
  MINUTE * 4,
);

test(
  'no board at all: the Python peer',
  async () => {
    const { doors, site } = await openDoors();
    const [socat, python, ...more] = commands(further()).filter((command) => !command.includes('orders'));
    expect(more).toEqual([]);
    // In a folder of the test, in place of /tmp.
    const here = (command: string): string => command.replaceAll('/tmp/', `${site.folder}/`);
    const cable = site.start(here(socat!).replace(/ *&$/, ''));
    stops.push(() => cable.stop());
    await site.copyLibrary('firmware-bridge');
    const hasCable = async (): Promise<boolean> => (await site.run('ls')).split('\n').includes('device');
    await until('socat has made the terminals', hasCable);
    const device = site.start(here(python!), 'firmware-bridge/python');
    await configure(site, { path: `${site.folder}/headwater`, unplug: async () => undefined }, doors);
    await serve(site);
    expect(await device.ended(), device.output()).toBe(0);
    expect(await readTopic(`127.0.0.1:${doors.kafka}`, 'plant')).toHaveLength(100);
  },
  MINUTE * 2,
);

function further(): Block[] {
  return section('## Further');
}

/** The lines of configuration in the last section that begin so. */
function sampleOf(beginning: string): string {
  return further()
    .find(({ text }) => text.startsWith(beginning))!
    .text.trimEnd();
}
