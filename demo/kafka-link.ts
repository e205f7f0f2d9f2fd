// A link to a Kafka cluster that can be cut. Kafka's clients are told in Metadata where the brokers are, so a plain relay
// would be passed by: this one reads the answers and puts a relay of its own in the place of each broker.

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { metadata } from '../src/formats/kafka/03-metadata.ts';
import { decodeRequestHeader, decodeResponse, encodeResponse, correlationIdOf } from '../src/formats/kafka/envelope.ts';
import { FrameSplitter } from '../src/formats/kafka/framing.ts';

export interface KafkaLink {
  /** `host:port` to be used in the place of the target's. */
  readonly address: string;
  /** Resets every connection and refuses new ones. */
  cut(): void;
  restore(): void;
  close(): void;
}

const FRAME_BYTES_MAX = 64 * 1024 * 1024;

export async function openKafkaLink(target: string): Promise<KafkaLink> {
  const relays = new Map<string, Promise<Server>>();
  const sockets = new Set<Socket>();
  let isCut = false;

  /** The port of the relay to `broker`, made when it is first asked for. */
  async function portTo(broker: string): Promise<number> {
    let relay = relays.get(broker);
    if (relay === undefined) {
      relay = listen((client) => accept(client, broker));
      relays.set(broker, relay);
    }
    return ((await relay).address() as AddressInfo).port;
  }

  function accept(client: Socket, broker: string): void {
    if (isCut) {
      client.resetAndDestroy();
      return;
    }
    const colon = broker.lastIndexOf(':');
    const upstream = connect({ host: broker.slice(0, colon), port: Number(broker.slice(colon + 1)) });
    const asked = new Map<number, number>();
    const answers = new FrameSplitter(FRAME_BYTES_MAX);
    const questions = new FrameSplitter(FRAME_BYTES_MAX);
    client.on('data', (chunk) => {
      for (const frame of questions.push(chunk)) {
        const { apiKey, apiVersion, correlationId } = decodeRequestHeader(frame).header;
        if (apiKey === metadata.key) asked.set(correlationId, apiVersion);
      }
      upstream.write(chunk);
    });
    let order = Promise.resolve();
    upstream.on('data', (chunk) => {
      for (const frame of answers.push(chunk)) {
        const kept = Buffer.from(frame);
        order = order.then(async () => {
          for (const piece of await rewritten(kept, asked)) client.write(piece);
        });
      }
    });
    pair(client, upstream);
    pair(upstream, client);
  }

  function pair(one: Socket, other: Socket): void {
    sockets.add(one);
    one.setNoDelay(true);
    one.on('error', () => other.destroy());
    one.on('close', () => {
      sockets.delete(one);
      other.destroy();
    });
  }

  async function rewritten(frame: Buffer, asked: Map<number, number>): Promise<Buffer[]> {
    const correlationId = correlationIdOf(frame);
    const version = asked.get(correlationId);
    if (version === undefined) {
      const size = Buffer.alloc(4);
      size.writeInt32BE(frame.length);
      return [size, frame];
    }
    asked.delete(correlationId);
    const answer = decodeResponse(metadata, version, frame);
    const brokers = [];
    for (const broker of answer.brokers ?? []) {
      brokers.push({ ...broker, host: '127.0.0.1', port: await portTo(`${broker.host}:${broker.port}`) });
    }
    return encodeResponse(metadata, version, correlationId, { ...answer, brokers });
  }

  function reset(): void {
    for (const socket of sockets) socket.resetAndDestroy();
    sockets.clear();
  }

  return {
    address: `127.0.0.1:${await portTo(target)}`,
    cut() {
      isCut = true;
      reset();
    },
    restore() {
      isCut = false;
    },
    close() {
      reset();
      for (const relay of relays.values()) relay.then((server) => server.close()).catch(() => undefined);
    },
  };
}

function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer(onConnection);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
