import { once } from 'node:events';
import { createConnection } from 'node:net';
import { expect, test } from 'vitest';
import { systemClock, type Clock } from '../../src/clock.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { fetch } from '../../src/formats/kafka/01-fetch.ts';
import { metadata } from '../../src/formats/kafka/03-metadata.ts';
import { findCoordinator } from '../../src/formats/kafka/10-find-coordinator.ts';
import { KafkaError } from '../../src/formats/kafka/codes.ts';
import { encodeRequest } from '../../src/formats/kafka/envelope.ts';
import { batchOf, fetchOf, openDoor, produceOf, produceOne } from './open-door.ts';
import { hex } from '../formats/kafka/hex.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A clock that stands still until told, whose sweeps are made by hand. */
function handClock(): { clock: Clock; advance(ms: number): void } {
  let nowMs = 0;
  let sweep = (): void => undefined;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    every: (_intervalMs, fn) => {
      sweep = fn;
      return { cancel: () => undefined };
    },
  };
  return {
    clock,
    advance(ms) {
      nowMs += ms;
      sweep();
    },
  };
}

const malformed: [what: string, bytes: string][] = [
  ['a size beyond the limit', '7fffffff'],
  ['a negative size', '80000000'],
  ['a request that ends in its header', '00000003 000300'],
  ['an unknown API', '00000012 03e7 0000 00000001 0008 6161616161616161'],
  ['a version that is not served', '0000000c 0003 0063 00000001 ffff 0000'],
  ['a message that ends too early', '0000000c 0003 0001 00000001 ffff 0000'],
  ['an array of two thousand million', '0000000e 0003 0001 00000001 ffff 7fffffff'],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex')],
];

for (const [what, bytes] of malformed) {
  test(`${what} closes that connection with one line, and no other`, async () => {
    const { kafka, lines, connect } = await openDoor();
    const [bad, good] = [await connect(), await connect()];
    bad.write(hex(bytes));
    await bad.closed();
    expect(lines.filter((line) => line.includes('warn kafka closed a connection'))).toHaveLength(1);
    expect(kafka.status()).toMatchObject({ malformed: 1, inFlight: { requestBytes: 0 } });
    expect((await good.ask(metadata, 9, { topics: null })).controllerId).toBe(1);
  });
}

test('answers come in the order of the requests, though a later one could be answered first', async () => {
  const { log, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const fetched = client.send(fetch, 12, fetchOf('readings', [0], { maxWaitMs: 20 }));
  const described = client.send(metadata, 9, { topics: null });
  const produced = client.send(produce, 9, produceOf('readings', batchOf(['a'])));
  expect((await fetched()).responses[0]!.partitions[0]!.highWatermark).toBe(0);
  expect((await described()).topics).toHaveLength(1);
  expect((await produced()).responses[0]!.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 });
});

test('Produce requests of one connection share a commit, in order', async () => {
  const { log, kafka, connect } = await openDoor();
  await log.createTopic('readings');
  const held = log.hold();
  const client = await connect();
  const answers = Array.from({ length: 5 }, (_, index) =>
    client.send(produce, 9, produceOf('readings', batchOf([`value ${index}`]))),
  );
  while ((kafka.status().requests['Produce'] ?? 0) < 5) await turn();
  held.release();
  for (const [index, answer] of answers.entries()) {
    expect((await answer()).responses[0]!.partitionResponses[0]!.baseOffset).toBe(index);
  }
});

test('a connection has so many requests in flight and no more, and loses none', async () => {
  const { log, kafka, connect } = await openDoor({ limits: { requestsInFlightMax: 4 } });
  await log.createTopic('readings');
  const held = log.hold();
  const client = await connect();
  const answers: (() => Promise<unknown>)[] = [];
  for (let count = 0; count < 40; count++) {
    answers.push(client.send(produce, 9, produceOf('readings', batchOf(['x'.repeat(30_000)]))));
  }
  while ((kafka.status().requests['Produce'] ?? 0) < 4) await turn();
  for (let turns = 0; turns < 50; turns++) await turn();
  // What one chunk of the socket brings may be above the limit; all 1.2 MB are not taken.
  expect(kafka.status().inFlight.requestBytes).toBeLessThan(400_000);
  held.release();
  for (const answer of answers) await answer();
  expect(log.partition('readings').highWatermark).toBe(40);
  expect(kafka.status().inFlight.requestBytes).toBe(0);
});

test('while the log is full no Produce is begun, and others are served', async () => {
  const { log, kafka, connect } = await openDoor();
  await log.createTopic('readings');
  log.setFull(true);
  const [producer, other] = [await connect(), await connect()];
  const answer = producer.send(produce, 9, produceOf('readings', batchOf(['a'])));
  expect((await other.ask(metadata, 9, { topics: null })).topics).toHaveLength(1);
  expect(kafka.status().requests['Produce']).toBeUndefined();
  log.setFull(false);
  const done = await answer();
  expect(done.responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
  // Who was held back shall rest; the next one was not.
  expect(done.throttleTimeMs).toBeGreaterThan(0);
  const next = producer.send(produce, 9, produceOf('readings', batchOf(['b'])));
  expect((await next()).throttleTimeMs).toBe(0);
});

test('while there is no room for records a Produce is answered so, one that waited, too, and others are served', async () => {
  const { clock, advance } = handClock();
  const { log, kafka, connect } = await openDoor({ clock });
  await log.createTopic('readings');
  log.setFull(true);
  const [waiting, refused] = [await connect(), await connect()];
  const answer = waiting.send(produce, 9, produceOf('readings', batchOf(['a'])));
  while (kafka.status().inFlight.requestBytes === 0) await turn();
  log.setRefusal('the budget is reached');
  const done = await refused.ask(produce, 9, produceOf('readings', batchOf(['b'])));
  expect(done.responses[0]!.partitionResponses[0]!.errorCode).toBe(KafkaError.KAFKA_STORAGE_ERROR);
  expect(done.throttleTimeMs).toBe(1000);
  advance(5000);
  expect((await answer()).responses[0]!.partitionResponses[0]!.errorCode).toBe(KafkaError.KAFKA_STORAGE_ERROR);
  log.setRefusal(undefined);
  expect((await produceOne(refused, 'readings', batchOf(['b']))).errorCode).toBe(0);
});

test('an answer to Produce asks the client to rest while the log is full', async () => {
  const { log, kafka, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  const held = log.hold();
  const answer = client.send(produce, 9, produceOf('readings', batchOf(['a'])));
  while ((kafka.status().requests['Produce'] ?? 0) === 0) await turn();
  log.setFull(true);
  held.release();
  expect((await answer()).throttleTimeMs).toBeGreaterThan(0);
});

test('many large requests at once are all answered, though the door holds few of them together', async () => {
  const limits = { requestBytesMax: 1 << 20, requestBytesInFlightMax: 1 << 20 };
  const { log, kafka, connect } = await openDoor({ limits });
  await log.createTopic('readings');
  const clients = await Promise.all(Array.from({ length: 6 }, connect));
  const frames = clients.map(() => {
    const message = produceOf('readings', batchOf(['x'.repeat(700_000)]));
    return Buffer.concat(encodeRequest(produce, 9, { correlationId: 1, clientId: null }, message));
  });
  // All have begun before any is whole.
  for (const [index, client] of clients.entries()) client.write(frames[index]!.subarray(0, 300_000));
  for (let turns = 0; turns < 20; turns++) await turn();
  for (const [index, client] of clients.entries()) client.write(frames[index]!.subarray(300_000));
  for (const client of clients) expect(await client.frame()).toBeDefined();
  expect(log.partition('readings').highWatermark).toBe(6);
  expect(kafka.status().inFlight.requestBytes).toBe(0);
});

test('a client that leaves in the middle of a large request gives its share back', async () => {
  const limits = { requestBytesMax: 1 << 20, requestBytesInFlightMax: 1 << 20 };
  const { log, kafka, connect } = await openDoor({ limits });
  await log.createTopic('readings');
  const [leaving, staying] = [await connect(), await connect()];
  const size = Buffer.alloc(100_000);
  size.writeInt32BE(1 << 20);
  leaving.write(size);
  while (kafka.status().inFlight.requestBytes === 0) await turn();
  const answer = produceOne(staying, 'readings', batchOf(['x'.repeat(100_000)]));
  leaving.end();
  expect((await answer).errorCode).toBe(0);
  expect(kafka.status().inFlight.requestBytes).toBe(0);
});

test('an idle connection is closed, one that waits in a fetch is not', async () => {
  const { clock, advance } = handClock();
  const { log, connect } = await openDoor({ clock, limits: { idleMs: 1000 } });
  await log.createTopic('readings');
  const [idle, waiting] = [await connect(), await connect()];
  await idle.ask(metadata, 9, { topics: null });
  const answer = waiting.send(fetch, 12, fetchOf('readings', [0], { maxWaitMs: 60_000 }));
  while (log.partition('readings').listeners.size === 0) await turn();
  advance(1001);
  await idle.closed();
  await log.partition('readings').append(batchOf(['a']));
  expect((await answer()).responses[0]!.partitions[0]!.highWatermark).toBe(1);
});

test('a request that does not arrive in time closes its connection', async () => {
  const { clock, advance } = handClock();
  const { kafka, lines, connect } = await openDoor({ clock, limits: { stallMs: 1000 } });
  const client = await connect();
  client.write(hex('00000100'));
  while (kafka.status().connections === 0) await turn();
  for (let turns = 0; turns < 20; turns++) await turn();
  advance(1001);
  await client.closed();
  expect(lines.join()).toContain('a request arrives too slowly');
});

test('a client that does not read its answers is closed, and what it held is free again', async () => {
  const { clock, advance } = handClock();
  const { log, kafka, lines } = await openDoor({ clock, limits: { stallMs: 1000 } });
  await log.createTopic('readings');
  for (let count = 0; count < 8; count++) await log.partition('readings').append(batchOf(['x'.repeat(500_000)]));
  const socket = createConnection({ host: '127.0.0.1', port: kafka.port });
  await once(socket, 'connect');
  const message = fetchOf('readings', [0], { maxBytes: 1 << 24, partitionMaxBytes: 1 << 24 });
  const request = Buffer.concat(encodeRequest(fetch, 12, { correlationId: 1, clientId: null }, message));
  for (let count = 0; count < 5; count++) socket.write(request);
  while (kafka.status().inFlight.responseBytes === 0) await turn();
  for (let turns = 0; turns < 100; turns++) await turn();
  // It is not served further while it does not read.
  expect(kafka.status().requests['Fetch']).toBeLessThan(5);
  advance(1);
  advance(1001);
  socket.resume();
  socket.on('error', () => socket.destroy());
  await once(socket, 'close');
  expect(lines.join()).toContain('answers are not read');
  expect(kafka.status().inFlight).toEqual({ requestBytes: 0, responseBytes: 0 });
});

test('a connection too many is refused', async () => {
  const { kafka, lines, connect } = await openDoor({ limits: { connectionsMax: 1 } });
  const first = await connect();
  await first.ask(metadata, 9, { topics: null });
  const second = await connect();
  await second.closed();
  expect(kafka.status().refused).toBe(1);
  expect(lines.join()).toContain('there are 1 already, see kafka.clients');
  expect((await first.ask(metadata, 9, { topics: null })).controllerId).toBe(1);
});

test('connections of one address are bounded by themselves, and a place is free again', async () => {
  const { kafka, lines, connect } = await openDoor({ settings: { 'max.connections.per.ip': 1 } });
  const first = await connect();
  await first.ask(metadata, 9, { topics: null });
  const second = await connect();
  await second.closed();
  expect(lines.join()).toContain('kafka.max.connections.per.ip');
  first.end();
  while (kafka.status().connections > 0) await turn();
  expect((await (await connect()).ask(metadata, 9, { topics: null })).controllerId).toBe(1);
  expect(kafka.status().refused).toBe(1);
});

test('each listener tells its clients its own address, and limits count for all of them', async () => {
  const listen = { host: '127.0.0.1', port: 0 };
  const outside = { listen, advertise: { host: 'gateway.example', port: 19_094 } };
  const { kafka, connect } = await openDoor({ listeners: [outside, { listen }], limits: { connectionsMax: 3 } });
  const told: unknown[] = [];
  for (const port of kafka.ports) {
    const client = await connect(port);
    const [broker] = (await client.ask(metadata, 9, { topics: null })).brokers;
    told.push(broker);
    const coordinator = await client.ask(findCoordinator, 2, { key: 'g' });
    expect(coordinator).toMatchObject({ host: broker!.host, port: broker!.port });
  }
  expect(told).toMatchObject([
    { host: '127.0.0.1', port: kafka.port },
    { host: 'gateway.example', port: 19_094 },
    { host: '127.0.0.1', port: kafka.ports[2] },
  ]);
  await (await connect(kafka.ports[1])).closed();
  expect(kafka.status().refused).toBe(1);
});

test('a listener that can not open leaves none open', async () => {
  const { kafka } = await openDoor();
  const listen = { host: '127.0.0.1', port: 0 };
  const opening = openDoor({ listeners: [{ listen }, { listen: { ...listen, port: kafka.port } }] });
  await expect(opening).rejects.toThrow('EADDRINUSE');
});

test('on close what was begun is answered, and a waiting fetch ends', async () => {
  const { log, kafka, connect } = await openDoor();
  await log.createTopic('readings');
  const [producer, consumer] = [await connect(), await connect()];
  const fetched = consumer.send(fetch, 12, fetchOf('readings', [0], { maxWaitMs: 60_000 }));
  while (log.partition('readings').listeners.size === 0) await turn();
  const held = log.hold();
  const produced = producer.send(produce, 9, produceOf('readings', batchOf(['last'])));
  while ((kafka.status().requests['Produce'] ?? 0) === 0) await turn();
  const closing = kafka.close();
  expect((await fetched()).responses[0]!.partitions[0]!.errorCode).toBe(0);
  held.release();
  expect((await produced()).responses[0]!.partitionResponses[0]!.baseOffset).toBe(0);
  await closing;
  await Promise.all([producer.closed(), consumer.closed()]);
});

test('status and metrics tell what was done', async () => {
  const { log, kafka, connect } = await openDoor();
  await log.createTopic('readings');
  const client = await connect();
  await produceOne(client, 'readings', batchOf(['a', 'b']));
  const values = Object.fromEntries(kafka.metrics().map(({ name, samples }) => [name, samples[0]?.value]));
  expect(values).toMatchObject({
    kafka_connections: 1,
    kafka_requests_total: 1,
    kafka_produced_records_total: 2,
    kafka_malformed_total: 0,
    kafka_fetched_records_total: 0,
    kafka_fetched_bytes_total: 0,
  });
  expect(kafka.status()).toMatchObject({ listen: `127.0.0.1:${kafka.port}`, produced: { records: 2 } });
});
