// QoS 2 over kill -9, both ways, with a client by another hand (Eclipse Paho): what it publishes is in the log exactly once
// and in order, and what it has subscribed to reaches it exactly once.

import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { readTopic } from '../parts/kcat.ts';
import { pause, until } from '../parts/until.ts';

const KILLS = 14;
// Debian's own Python has Debian's package; another one first in the path may not.
const PYTHON = '/usr/bin/python3';

let appliance: Appliance;
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await appliance.remove();
});

interface Paho {
  child: ChildProcess;
  lines: string[];
}

function startPaho(...args: string[]): Paho {
  const child = spawn(PYTHON, [join(import.meta.dirname, 'paho_client.py'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  child.once('exit', (code) => {
    if (code === 1) lines.push('Paho ended with an error: is python3-paho-mqtt installed?');
  });
  return { child, lines };
}

test(`messages of QoS 2 are there exactly once after ${KILLS} kills`, async () => {
  const random = openRandom(printedSeed('QoS 2 kills'));
  appliance = await createAppliance({});
  await appliance.start();
  const port = String(appliance.mqttPort);
  const subscriber = startPaho('subscribe', port, 'reader', 'plant/#');
  await until('the subscription', () => subscriber.lines.length > 0);
  expect(subscriber.lines).toEqual(['subscribed']);
  const publisher = startPaho('publish', port, 'sensor', 'plant/a');

  for (let kills = 0; kills < KILLS; kills++) {
    const before = subscriber.lines.length;
    await until('messages since the last start', () => subscriber.lines.length > before);
    await pause(random.below(700));
    await appliance.kill();
    await appliance.start();
  }
  publisher.child.stdin!.end();
  await until('all that was published is acknowledged', () => publisher.lines.length > 0, 60_000);
  const published = Number(publisher.lines[0]);
  await until('all has reached the subscriber', () => subscriber.lines.length > published);
  await pause(500);

  const wanted = Array.from({ length: published }, (_, number) => String(number));
  const logged = (await readTopic(appliance.kafka, 'mqtt')).map(({ value }) => String(value));
  expect(logged).toEqual(wanted);
  const numerically = (left: string, right: string): number => Number(left) - Number(right);
  expect(subscriber.lines.slice(1).toSorted(numerically)).toEqual(wanted);
  expect(published).toBeGreaterThan(KILLS * 20);
  console.log(
    JSON.stringify({ kills: KILLS, published, logged: logged.length, received: subscriber.lines.length - 1 }),
  );
});
