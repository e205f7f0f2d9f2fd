// An MQTT client that does only what a test tells it: it sends packets or plain bytes, and shows what came.

import { connect, type Socket } from 'node:net';
import { generate, parser, type Packet } from 'mqtt-packet';

const WAIT_MS = 5000;

export interface ConnectOptions {
  clientId?: string;
  clean?: boolean;
  keepalive?: number;
  username?: string;
  password?: Buffer;
  will?: { topic: string; payload: Buffer; qos?: 0 | 1 | 2; retain?: boolean };
}

export class RawClient {
  readonly received: Packet[] = [];
  readonly socket: Socket;
  isClosed = false;
  readonly #waiters = new Set<() => void>();

  private constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    const packets = parser();
    packets.on('packet', (packet) => {
      this.received.push(packet);
      this.#wake();
    });
    this.socket.on('data', (chunk: Buffer) => packets.parse(chunk));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  /** A connection that has sent nothing yet. */
  static async dial(port: number): Promise<RawClient> {
    const client = new RawClient(port);
    await new Promise((resolve) => client.socket.once('connect', resolve));
    return client;
  }

  /** A client whose CONNECT was answered. */
  static async connect(port: number, options: ConnectOptions = {}): Promise<RawClient> {
    const client = await RawClient.dial(port);
    client.sendConnect(options);
    await client.next('connack');
    return client;
  }

  sendConnect({ clientId = 'raw', clean = true, keepalive = 0, will, ...user }: ConnectOptions = {}): void {
    const filled = will && { qos: 0 as const, retain: false, ...will };
    const basic = { cmd: 'connect' as const, clientId, clean, keepalive, protocolVersion: 4 as const };
    this.send({ ...basic, ...user, ...(filled && { will: filled }) });
  }

  send(packet: Packet): void {
    this.socket.write(generate(packet));
  }

  sendBytes(bytes: Buffer | string): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes.replaceAll(' ', ''), 'hex') : bytes);
  }

  publish(
    topic: string,
    payload: string,
    qos: 0 | 1 | 2 = 1,
    messageId = 1,
    more: { dup?: boolean; retain?: boolean } = {},
  ) {
    const { dup = false, retain = false } = more;
    this.send({ cmd: 'publish', topic, payload, qos, dup, retain, ...(qos > 0 && { messageId }) });
  }

  async subscribe(topic: string, qos: 0 | 1 | 2 = 0): Promise<void> {
    this.send({ cmd: 'subscribe', messageId: 9, subscriptions: [{ topic, qos }] });
    await this.next('suback');
  }

  /** Takes the first packet of that kind out of what came, waiting for it. */
  async next<Kind extends Packet['cmd']>(kind: Kind): Promise<Extract<Packet, { cmd: Kind }>> {
    const found = await this.#until(() => this.received.find((packet) => packet.cmd === kind), `a ${kind}`);
    this.received.splice(this.received.indexOf(found), 1);
    return found as Extract<Packet, { cmd: Kind }>;
  }

  async whenClosed(): Promise<void> {
    await this.#until(() => this.isClosed || undefined, 'the end of the connection');
  }

  cmds(): string[] {
    return this.received.map((packet) => packet.cmd);
  }

  hangUp(): void {
    this.socket.destroy();
  }

  async #until<T>(look: () => T | undefined, what: string): Promise<T> {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0 || this.isClosed) throw new Error(`waited for ${what}; there are: ${this.cmds().join(', ')}`);
      await new Promise<void>((resolve) => {
        const waiter = (): void => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve();
        };
        const timer = setTimeout(waiter, leftMs);
        this.#waiters.add(waiter);
      });
    }
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }
}
