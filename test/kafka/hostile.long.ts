// A whole headwater, and clients that mean it no good: it goes on serving the others, says little, and when they are gone it
// holds no more than before.

import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { metadata } from '../../src/formats/kafka/03-metadata.ts';
import { encodeRequest } from '../../src/formats/kafka/envelope.ts';
import type { KafkaStatus } from '../../src/kafka/kafka.ts';
import { openRandom, printedSeed } from '../fuzz/random.ts';
import { createAppliance, type Appliance } from '../parts/appliance.ts';
import { until } from '../parts/until.ts';
import { batchOf, fetchOf, produceOne } from './open-door.ts';
import { RawClient } from './raw-client.ts';

const random = openRandom(printedSeed('test/kafka/hostile.long.ts'));

const CONNECTIONS = 10_000;
const WAVE = 100;
const GROWTH_MIB_MAX = 20;
const LINES_MAX = 80;

test(`${CONNECTIONS} connections, halves of requests, noise and clients that never read`, async () => {
  // As the unit starts it, and with a bound for what is garbage: V8 lets some 40 MiB lie about before it looks.
  const env = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '524288', NODE_OPTIONS: '--max-old-space-size=48' };
  const appliance = await createAppliance({ mqtt: { listen: 'off' }, topics: { t: {} } }, env);
  onTestFinished(() => appliance.remove());
  await appliance.start();
  const port = Number(appliance.kafka.split(':')[1]);
  const witness = await RawClient.connect(port);
  onTestFinished(() => witness.end());
  for (let count = 0; count < 8; count++) await produceOne(witness, 't', batchOf(['x'.repeat(500_000)]));
  await misuse(port, WAVE * 5);
  await quiet(appliance);
  const before = await residentMib(appliance);
  const linesBefore = appliance.output().split('\n').length;
  const serve = setInterval(() => void ask(), 100);
  onTestFinished(() => clearInterval(serve));
  let slowestMs = 0;
  let answers = 0;
  async function ask(): Promise<void> {
    const startMs = performance.now();
    await witness.ask(metadata, 9, { topics: null });
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    answers += 1;
  }
  await misuse(port, CONNECTIONS);
  clearInterval(serve);
  await quiet(appliance);
  const after = await residentMib(appliance);
  const lines = appliance.output().split('\n').length - linesBefore;
  console.log(
    `RSS ${before} -> ${after} MiB, ${lines} lines, ${answers} answers to a good client, the slowest after ${Math.round(slowestMs)} ms`,
  );
  expect(after - before).toBeLessThan(GROWTH_MIB_MAX);
  expect(lines).toBeLessThan(LINES_MAX);
  expect(answers).toBeGreaterThan(10);
  expect(await produceOne(witness, 't', batchOf(['good']))).toMatchObject({ errorCode: 0, baseOffset: 8 });
});

/** So many connections, `WAVE` at a time, each of which does something else that is no good. */
async function misuse(port: number, connections: number): Promise<void> {
  const greedy = fetchOf('t', [0], { maxBytes: 1 << 24, partitionMaxBytes: 1 << 24 });
  const request = Buffer.concat(encodeRequest(fetch, 12, { correlationId: 1, clientId: 'x' }, greedy));
  const ways: ((socket: Socket) => void)[] = [
    (socket) => socket.destroy(),
    (socket) => socket.end(),
    (socket) => socket.end(random.bytes(1 + random.below(300))),
    // The size of a large request, and a part of it.
    (socket) => void socket.write(Buffer.concat([Buffer.from('00f00000', 'hex'), random.bytes(1000)])),
    (socket) => void socket.write(Buffer.from('7fffffff', 'hex')),
    (socket) => {
      socket.pause();
      socket.write(Buffer.concat([request, request, request]));
    },
    (socket) => socket.resetAndDestroy(),
  ];
  for (let count = 0; count < connections; count += WAVE) {
    await Promise.all(Array.from({ length: WAVE }, () => once(port, random.pick(ways))));
  }
}

/** A connection that is dropped some moments after it did its part, if it is not dropped before. */
function once(port: number, act: (socket: Socket) => void): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.on('error', () => socket.destroy());
    socket.once('connect', () => {
      act(socket);
      setTimeout(() => socket.destroy(), 20);
    });
    socket.once('close', () => resolve());
  });
}

/** Waits until only the witness is left, and nothing is held for anybody. */
async function quiet(appliance: Appliance): Promise<void> {
  await until('only the witness is left', async () => {
    const { connections, inFlight } = (await appliance.status()).rooms['kafka'] as KafkaStatus;
    return connections === 1 && inFlight.requestBytes === 0 && inFlight.responseBytes === 0;
  });
}

async function residentMib(appliance: Appliance): Promise<number> {
  const { pid } = await appliance.status();
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1];
  return Math.round(Number(kib) / 1024);
}
