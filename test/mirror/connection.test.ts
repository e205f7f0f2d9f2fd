import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { metadata } from '../../src/formats/kafka/03-metadata.ts';
import { apiVersions } from '../../src/formats/kafka/18-api-versions.ts';
import { describeProducers } from '../../src/formats/kafka/61-describe-producers.ts';
import { decodeRequestHeader, encodeResponse } from '../../src/formats/kafka/envelope.ts';
import { openConnection, type Connection } from '../../src/mirror/connection.ts';
import { plainConnect } from '../../src/mirror/plain-connect.ts';

let server: Server;
let connection: Connection | undefined;
const ends: string[] = [];
afterEach(async () => {
  connection?.end('the test is over');
  connection = undefined;
  ends.length = 0;
  await new Promise((resolve) => server.close(resolve));
});

type Request = ReturnType<typeof decodeRequestHeader>['header'];

/** A server that knows Metadata only, answers ApiVersions, and does what the test says with the rest. */
async function connectTo(onRequest: (socket: Socket, request: Request) => void, isOld = false): Promise<Connection> {
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const { header } = decodeRequestHeader(chunk.subarray(4));
      if (header.apiKey !== apiVersions.key) return onRequest(socket, header);
      const isRefused = isOld && header.apiVersion > 0;
      const apiKeys = isRefused ? [] : [{ apiKey: metadata.key, minVersion: 0, maxVersion: 5 }];
      const version = isOld ? 0 : header.apiVersion;
      const answer = { errorCode: isRefused ? 35 : 0, apiKeys };
      for (const piece of encodeResponse(apiVersions, version, header.correlationId, answer)) socket.write(piece);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return (connection = await openConnection({
    target: { host: '127.0.0.1', port },
    clientId: 'test',
    connect: plainConnect,
    clock: systemClock,
    connectTimeoutMs: 1_000,
    onEnd: (error) => ends.push(error.message),
  }));
}

const empty = { topics: [], allowAutoTopicCreation: false };

function answerMetadata(socket: Socket, { correlationId, apiVersion }: Request): void {
  const answer = { brokers: [], clusterId: `v${apiVersion}`, topics: [] };
  for (const piece of encodeResponse(metadata, apiVersion, correlationId, answer)) socket.write(piece);
}

test('requests go out in the highest version that both sides know', async () => {
  const open = await connectTo(answerMetadata);
  expect((await open.request(metadata, empty, 1_000)).clusterId).toBe('v5');
  expect(open.supports(describeProducers)).toBe(false);
  await expect(open.request(describeProducers, { topics: [] }, 1_000)).rejects.toThrow('does not support');
});

test('a broker that does not know ApiVersions 3 is asked in version 0', async () => {
  const open = await connectTo(answerMetadata, true);
  expect((await open.request(metadata, empty, 1_000)).clusterId).toBe('v5');
});

test('answers that come in single bytes are put together', async () => {
  const open = await connectTo((socket, request) => {
    const bytes = Buffer.concat(
      encodeResponse(metadata, request.apiVersion, request.correlationId, { brokers: [], topics: [] }),
    );
    for (const byte of bytes) socket.write(Buffer.from([byte]));
  });
  expect((await open.request(metadata, empty, 1_000)).brokers).toEqual([]);
});

test('a request without an answer in time ends the connection, and what stands behind it fails with it', async () => {
  const open = await connectTo(() => undefined);
  const first = open.request(metadata, empty, 50);
  const second = open.request(metadata, empty, 60_000);
  await expect(first).rejects.toMatchObject({ code: 'TIMED_OUT' });
  await expect(second).rejects.toMatchObject({ code: 'TIMED_OUT' });
  expect(open.isOpen).toBe(false);
  expect(ends).toHaveLength(1);
  await expect(open.request(metadata, empty, 50)).rejects.toMatchObject({ code: 'NOT_REACHABLE' });
});

test.each([
  ['another correlation id', Buffer.from([0, 0, 0, 4, 0, 0, 0, 99])],
  ['a frame of 1 GiB', Buffer.from([0x40, 0, 0, 0])],
  ['a negative size', Buffer.from([0xff, 0xff, 0xff, 0xff])],
  ['a web page', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
])('an answer with %s ends the connection', async (_, bytes) => {
  const open = await connectTo((socket) => void socket.write(bytes));
  await expect(open.request(metadata, empty, 1_000)).rejects.toMatchObject({ code: 'NOT_REACHABLE' });
  expect(open.isOpen).toBe(false);
});

test('an answer that is cut ends the connection', async () => {
  const open = await connectTo((socket, { correlationId }) => {
    const frame = Buffer.from([0, 0, 0, 6, 0, 0, 0, 0, 0, 0]);
    frame.writeInt32BE(correlationId, 4);
    socket.write(frame);
  });
  await expect(open.request(metadata, empty, 1_000)).rejects.toThrow("can't be read");
  expect(ends).toHaveLength(1);
});

test('a connection that the broker closes fails what waits on it', async () => {
  const open = await connectTo((socket) => void socket.destroy());
  await expect(open.request(metadata, empty, 1_000)).rejects.toMatchObject({ code: 'NOT_REACHABLE' });
});
