// A client of the Kafka door made of headwater's own tables: sends what a test says, in any version, well formed or not,
// and gives the answers in the order in which they come. Real clients are in test/interop.

import { createConnection, type Socket } from 'node:net';
import { once } from 'node:events';
import { decodeResponse, encodeRequest } from '../../src/formats/kafka/envelope.ts';
import { FrameSplitter } from '../../src/formats/kafka/framing.ts';
import type { Api, RequestDraft, ResponseOf } from '../../src/formats/kafka/schema.ts';

export class RawClient {
  readonly socket: Socket;
  private readonly frames: Buffer[] = [];
  private readonly readers: ((frame: Buffer | undefined) => void)[] = [];
  private readonly splitter = new FrameSplitter(64 * 1024 * 1024);
  private correlationId = 0;
  isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.splitter.push(chunk)) this.give(frame);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.isClosed = true;
      for (const read of this.readers.splice(0)) read(undefined);
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = createConnection({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  private give(frame: Buffer): void {
    const read = this.readers.shift();
    if (read === undefined) this.frames.push(frame);
    else read(frame);
  }

  /** The next answer without its size; undefined when the door has closed the connection. */
  async frame(): Promise<Buffer | undefined> {
    const frame = this.frames.shift();
    if (frame !== undefined || this.isClosed) return frame;
    return new Promise((resolve) => this.readers.push(resolve));
  }

  /** Sends bytes as they are. */
  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Sends a request and returns how to read its answer: answers must be read in the order of the requests. */
  send<A extends Api>(api: A, version: number, message: RequestDraft<A>): () => Promise<ResponseOf<A>> {
    const correlationId = ++this.correlationId;
    this.write(Buffer.concat(encodeRequest(api, version, { correlationId, clientId: 'raw' }, message)));
    return async () => {
      const frame = await this.frame();
      if (frame === undefined) throw new Error(`closed instead of an answer to ${api.name}`);
      if (frame.readInt32BE(0) !== correlationId) throw new Error(`answer ${frame.readInt32BE(0)} is out of order`);
      return decodeResponse(api, version, frame);
    };
  }

  ask<A extends Api>(api: A, version: number, message: RequestDraft<A>): Promise<ResponseOf<A>> {
    return this.send(api, version, message)();
  }

  /** Resolves when the door has closed the connection. */
  async closed(): Promise<void> {
    if (!this.isClosed) await once(this.socket, 'close');
  }

  end(): void {
    this.socket.destroy();
  }
}
