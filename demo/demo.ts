// The whole story in about a minute: sensors over MQTT and over a serial line, an edge headwater that mirrors to a
// datacenter (a second headwater, or a Kafka of yours), a link that is cut while they publish, a kill -9 of the edge, and
// then the count. Exits 1 if a reading was lost or doubled.
//
//   npm run demo
//   npm run demo -- --kafka 127.0.0.1:9092

import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { isRefusal, parseAddress } from '../src/config-units.ts';
import { messageOf } from '../src/errors.ts';
import { createTrace } from '../src/trace.ts';
import { openPty } from '../test/parts/pty.ts';
import { countUpstream, type Counted } from './count.ts';
import { openKafkaLink } from './kafka-link.ts';
import { createNode, type Node } from './node.ts';
import { openScreen } from './screen.ts';
import { openMqttSensor, openSerialSensor, type Sensor } from './sensors.ts';

const SENSORS = ['press-1', 'press-2', 'oven-1', 'oven-2'];
const READINGS_PER_SECOND = 100;
const LINES_PER_SECOND = 20;
const DRAIN_MS_MAX = 120_000;
const ANSWER_MS_MAX = 5000;
const INTERRUPTED = 130;

const values = options();
if (values.help === true) {
  console.log(
    "npm run demo [-- --kafka HOST:PORT]\n\nTells headwater's story in about a minute. Without --kafka a second headwater is the datacenter.",
  );
  process.exit(0);
}

if (values.kafka !== undefined) await expectAnswer(values.kafka);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(INTERRUPTED));

const folder = await mkdtemp(join(tmpdir(), 'headwater-demo-'));
const nodeName = `edge-${folder.slice(-6)}`;
const trace = createTrace({ level: 'error' });
let exitCode = 1;
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => rm(folder, { recursive: true, force: true }));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const dc = values.kafka === undefined ? await createNode('dc', folder) : undefined;
await dc?.start();
cleanup.defer(async () => dc?.stop());
const target = values.kafka ?? dc!.kafka;
const link = await openKafkaLink(target);
cleanup.defer(() => link.close());
const pty = await openPty();
cleanup.defer(() => pty.close());
const edge = await createNode(nodeName, folder, {
  serial: [{ path: pty.path, topic: 'boiler', name: 'boiler' }],
  routes: [{ mqtt: 'plant/+machine', topic: 'readings', key: '{machine}' }],
  mirror: [{ name: 'dc', bootstrap: [link.address] }],
});
await edge.start();
cleanup.defer(() => edge.stop());

const sensors: Sensor[] = SENSORS.map((name) => openMqttSensor(name, edge.mqttPort, READINGS_PER_SECOND));
const boiler = openSerialSensor('boiler', pty, LINES_PER_SECOND);
const screen = openScreen({ edge, sensors, boiler, target });
cleanup.defer(() => screen.close());

screen.say(`sensors publish; the edge mirrors to ${values.kafka === undefined ? 'a second headwater' : target}`);
await sleep(10_000);
link.cut();
screen.say('the link is cut');
await sleep(10_000);
link.restore();
screen.say('the link is back; the mirror tries again within seconds');
await drained(edge);
screen.say('the mirror has caught up');
await sleep(1_000);
await edge.kill();
screen.say('kill -9 of the edge');
await sleep(2_000);
await edge.start();
screen.say('the edge is started again');
await sleep(8_000);
link.cut();
await edge.kill();
screen.say('the link is cut and the edge is killed at once');
await edge.start();
screen.say('the edge is started again, without its link');
await sleep(4_000);
link.restore();
screen.say('the link is back');
await sleep(5_000);
screen.say('the sensors stop; what is on its way arrives');
await Promise.all([...sensors, boiler].map((sensor) => sensor.stop()));
await drained(edge);
await screen.close();

const upstream = await countUpstream(target, [`${nodeName}.readings`, `${nodeName}.boiler`], trace);
const onEdge = await countUpstream(edge.kafka, ['readings', 'boiler'], trace);
exitCode = report(upstream, onEdge);
await cleanup.disposeAsync();
process.exit(exitCode);

function options(): { kafka?: string | undefined; help?: boolean | undefined } {
  try {
    return parseArgs({ options: { kafka: { type: 'string' }, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    return refuse(`${messageOf(error)}; npm run demo -- --kafka HOST:PORT`);
  }
}

/** A minute is long for somebody who has mistyped an address. */
async function expectAnswer(kafka: string): Promise<void> {
  const address = parseAddress(kafka);
  if (isRefusal(address)) return refuse(`--kafka ${address.refused}`);
  const socket = connect({ ...address, timeout: ANSWER_MS_MAX });
  socket.once('timeout', () => socket.destroy(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`)));
  try {
    await once(socket, 'connect');
  } catch (error) {
    refuse(`nothing answers at ${kafka} (${messageOf(error)}): give --kafka a broker that runs, or leave it out`);
  } finally {
    socket.destroy();
  }
}

function refuse(message: string): never {
  console.error(`demo: ${message}`);
  process.exit(2);
}

/** Waits until the mirror has nothing left to send. */
async function drained(node: Node): Promise<void> {
  for (const startMs = Date.now(); Date.now() - startMs < DRAIN_MS_MAX; await sleep(200)) {
    const mirror = (await node.status())?.mirrors[0];
    if (mirror?.backlog.records === 0) return;
  }
  console.error(`the mirror did not catch up within ${DRAIN_MS_MAX / 1000} s`);
}

function report(upstream: Counted, onEdge: Counted): number {
  const published = sum(sensors.map(({ counts }) => counts.published));
  const acknowledged = sum(sensors.map(({ counts }) => counts.acknowledged));
  const arrived = sum(SENSORS.map((name) => upstream.readings.get(name)?.size ?? 0));
  const lines = boiler.counts.published;
  const linesKept = onEdge.readings.get('boiler')?.size ?? 0;
  const linesArrived = upstream.readings.get('boiler')?.size ?? 0;
  const lost = acknowledged - arrived + (linesKept - linesArrived);
  const doubled = upstream.doubled + onEdge.doubled;
  const reordered = upstream.reordered + onEdge.reordered;
  console.log(`
MQTT    published ${published}, acknowledged ${acknowledged}, upstream ${arrived}
serial  written ${lines}, on the card ${linesKept}, upstream ${linesArrived}  (a cable has no acknowledgement)

lost ${lost}, doubled ${doubled}, out of order ${reordered}`);
  return lost === 0 && doubled === 0 && reordered === 0 && published > 0 && linesArrived > 0 ? 0 : 1;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
