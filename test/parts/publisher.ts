// A sensor that keeps its word: an MQTT 3.1.1 publisher which holds every message until it is acknowledged, connects again
// for ever, and then sends again what MQTT demands, in the order of the first sending [MQTT-4.4.0-1]: PUBLISH with DUP for
// what has no PUBACK or PUBREC, PUBREL for what has no PUBCOMP. It writes down how often it sent each message, so that a
// test can tell a double that QoS 1 allows from one that nothing allows.
//
//   made -> sent (1, 2, ... times) -> PUBACK                       QoS 1
//   made -> sent (1, 2, ... times) -> PUBREC -> PUBREL -> PUBCOMP  QoS 2; acknowledged from the PUBREC on

import { connect, type Socket } from 'node:net';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { until } from './until.ts';

export interface Sent {
  readonly number: number;
  readonly topic: string;
  /** How often it was written to a connection. */
  sends: number;
  isAcked: boolean;
}

export interface PublisherOptions {
  port: number;
  clientId: string;
  qos: 1 | 2;
  /** Messages a second that are made, whether the broker is there or not. */
  perSecond: number;
  /** Ends by itself after so many; without it, at `stop`. */
  total?: number;
  /** MQTT topic of a message. */
  topicOf: (number: number) => string;
  /** Payload of a message; it begins with the client's name and the number (`readingOf`). */
  payloadOf?: (clientId: string, number: number) => string;
  /** Messages on their way at a time. Default 100. */
  window?: number;
}

export interface Publisher {
  readonly clientId: string;
  readonly qos: 1 | 2;
  /** All messages made so far, by number. */
  readonly ledger: readonly Sent[];
  readonly counts: { acked: number; connections: number; resent: number; sessionsLost: number };
  /** Makes no more messages. */
  stop(): void;
  /** Resolves when all that was made is acknowledged, to the last PUBCOMP. */
  settled(timeoutMs?: number): Promise<void>;
  /** Hangs up in the middle of everything, and connects again at once. */
  hangUp(): void;
  /** Hangs up for good. */
  close(): void;
}

interface Way {
  message: Sent;
  packetId: number;
  state: 'publish' | 'pubrel';
}

const TICK_MS = 10;
/** Packet ids are used again soon, so that what the broker remembers of one for too long swallows the next message. */
const PACKET_IDS_PER_WAY = 2;
const PAYLOAD_BYTES = 120;

/** `{"from":"p1","n":17,"pad":"..."}`, 120 bytes. */
export function readingOf(clientId: string, number: number): string {
  const head = `{"from":"${clientId}","n":${number},"pad":"`;
  return `${head}${'x'.repeat(Math.max(0, PAYLOAD_BYTES - head.length - 2))}"}`;
}

export function openPublisher(options: PublisherOptions): Publisher {
  const { clientId, qos, window = 100, total = Infinity, payloadOf = readingOf } = options;
  const ledger: Sent[] = [];
  const counts = { acked: 0, connections: 0, resent: 0, sessionsLost: 0 };
  /** In the order of the first sending. */
  const ways = new Map<number, Way>();
  const startMs = performance.now();
  let next = 0;
  let lastPacketId = 0;
  let socket: Socket | undefined;
  let isUp = false;
  let isStopped = false;
  let isClosed = false;

  function make(): void {
    const due = Math.min(total, Math.floor(((performance.now() - startMs) * options.perSecond) / 1000));
    while (!isStopped && ledger.length < due) {
      const number = ledger.length;
      ledger.push({ number, topic: options.topicOf(number), sends: 0, isAcked: false });
    }
    if (isUp) pump();
  }

  function pump(): void {
    if (next >= ledger.length || ways.size >= window) return;
    socket!.cork();
    while (next < ledger.length && ways.size < window) {
      const way: Way = { message: ledger[next++]!, packetId: freePacketId(), state: 'publish' };
      ways.set(way.packetId, way);
      publish(way);
    }
    socket!.uncork();
  }

  function freePacketId(): number {
    do lastPacketId = (lastPacketId % (PACKET_IDS_PER_WAY * window)) + 1;
    while (ways.has(lastPacketId));
    return lastPacketId;
  }

  function publish({ message, packetId }: Way): void {
    const dup = message.sends > 0;
    if (dup) counts.resent += 1;
    message.sends += 1;
    const payload = payloadOf(clientId, message.number);
    send({ cmd: 'publish', topic: message.topic, payload, qos, dup, retain: false, messageId: packetId });
  }

  function send(packet: Packet): void {
    socket!.write(mqttPacket.generate(packet));
  }

  function dial(): void {
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    const dialled = connect(options.port, '127.0.0.1');
    socket = dialled;
    dialled.setNoDelay(true);
    dialled.on('connect', () => {
      send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clientId, clean: false, keepalive: 60 });
    });
    dialled.on('data', (bytes) => void parser.parse(bytes));
    dialled.on('error', () => undefined);
    dialled.on('close', () => {
      if (socket !== dialled) return;
      isUp = false;
      if (!isClosed) setTimeout(dial, 50);
    });
    parser.on('packet', (packet) => {
      if (socket === dialled) onPacket(packet);
    });
    parser.on('error', (error) => {
      throw new Error(`${clientId} was sent what is no MQTT`, { cause: error });
    });
  }

  function onPacket(packet: Packet): void {
    if (packet.cmd === 'connack') {
      if (packet.returnCode !== 0) throw new Error(`${clientId} was refused with ${packet.returnCode}`);
      resume(packet.sessionPresent);
      return;
    }
    const way = ways.get(packet.messageId ?? 0);
    if (packet.cmd === 'puback' && way?.state === 'publish' && qos === 1) finish(way);
    else if (packet.cmd === 'pubrec' && way !== undefined && qos === 2) release(way);
    else if (packet.cmd === 'pubcomp' && way?.state === 'pubrel') finish(way);
    else throw new Error(`${clientId} did not expect ${packet.cmd} ${packet.messageId}`);
    pump();
  }

  function resume(isSessionPresent: boolean): void {
    if (counts.connections > 0 && !isSessionPresent) counts.sessionsLost += 1;
    counts.connections += 1;
    isUp = true;
    socket!.cork();
    for (const way of ways.values()) {
      if (way.state === 'publish') publish(way);
      else send({ cmd: 'pubrel', messageId: way.packetId });
    }
    socket!.uncork();
    pump();
  }

  function release(way: Way): void {
    acknowledge(way.message);
    way.state = 'pubrel';
    send({ cmd: 'pubrel', messageId: way.packetId });
  }

  function finish(way: Way): void {
    acknowledge(way.message);
    ways.delete(way.packetId);
  }

  function acknowledge(message: Sent): void {
    if (message.isAcked) return;
    message.isAcked = true;
    counts.acked += 1;
  }

  const timer = setInterval(make, TICK_MS);
  dial();

  return {
    clientId,
    qos,
    ledger,
    counts,
    stop: () => void (isStopped = true),
    settled: (timeoutMs = 60_000) =>
      until(
        `all of ${clientId} is acknowledged`,
        () => (isStopped || ledger.length >= total) && next === ledger.length && ways.size === 0,
        timeoutMs,
        () => JSON.stringify({ made: ledger.length, sent: next, onTheWay: ways.size, ...counts }),
      ),
    hangUp() {
      if (!isUp) return;
      isUp = false;
      socket!.destroy();
      dial();
    },
    close() {
      isClosed = true;
      clearInterval(timer);
      socket?.destroy();
    },
  };
}
