// Cuts a stream of bytes into frames, each an int32 size and that many bytes. A size beyond the limit is refused before
// anything is kept for it, and what is kept for a frame that is not whole yet never exceeds twice what was received
// (or 16 KiB), however small the pieces that it comes in, until its receiver has room for all of it.

import { corrupt } from '../bytes.ts';

/** Room for a frame of up to this size is made at once, larger ones grow as they come. */
const ROOM_AT_ONCE_BYTES = 16 * 1024;
const SIZE_BYTES = 4;
const NOTHING = Buffer.alloc(0);

/** Where the memory of frames comes from. */
export interface FrameSource {
  take(bytes: number): Buffer;
  /** `frame`, which `take` has given, and all views of it are another's from now on. */
  giveBack(frame: Buffer): void;
}

const NEW_EACH: FrameSource = { take: (bytes) => Buffer.allocUnsafe(bytes), giveBack: () => undefined };

export class FrameSplitter {
  private readonly frameBytesMax: number;
  private readonly memory: FrameSource;
  private readonly sizeField = Buffer.alloc(SIZE_BYTES);
  /** Size of the frame that has begun; undefined while its size field is not whole. */
  frameBytes: number | undefined;
  private frame: Buffer = NOTHING;
  /** Bytes in the size field, or behind it in the frame. */
  private gatheredBytes = 0;

  constructor(frameBytesMax: number, memory = NEW_EACH) {
    this.frameBytesMax = frameBytesMax;
    this.memory = memory;
  }

  /** Makes room at once for the frame that has begun, so that it is not moved as it grows. */
  reserve(): void {
    if (this.frameBytes !== undefined) this.makeRoom(this.frameBytes);
  }

  private makeRoom(bytes: number): void {
    if (bytes <= this.frame.length) return;
    const larger = this.memory.take(bytes);
    this.frame.copy(larger, 0, 0, this.gatheredBytes);
    this.memory.giveBack(this.frame);
    this.frame = larger;
  }

  /** True when all that came was whole frames. */
  get isBetweenFrames(): boolean {
    return this.frameBytes === undefined && this.gatheredBytes === 0;
  }

  /**
   * The frames that are whole with `chunk`, without their sizes; copies, the chunk is the caller's own again. Throws
   * FORMAT_CORRUPT for a size that is negative or beyond the limit: then the stream is of no more use.
   */
  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    let at = 0;
    for (;;) {
      if (this.frameBytes === undefined) at = this.readSize(chunk, at);
      if (this.frameBytes === undefined) return frames;
      const end = at + this.frameBytes - this.gatheredBytes;
      if (end > chunk.length) {
        this.gather(chunk, at, chunk.length, this.frameBytes);
        return frames;
      }
      frames.push(this.finishFrame(chunk, at, end, this.frameBytes));
      at = end;
    }
  }

  private readSize(chunk: Buffer, at: number): number {
    const end = Math.min(at + SIZE_BYTES - this.gatheredBytes, chunk.length);
    chunk.copy(this.sizeField, this.gatheredBytes, at, end);
    this.gatheredBytes += end - at;
    if (this.gatheredBytes === SIZE_BYTES) {
      const size = this.sizeField.readInt32BE(0);
      if (size < 0 || size > this.frameBytesMax) throw corrupt(`frame of ${size} bytes, limit ${this.frameBytesMax}`);
      this.frameBytes = size;
      this.gatheredBytes = 0;
    }
    return end;
  }

  private finishFrame(chunk: Buffer, at: number, end: number, frameBytes: number): Buffer {
    let frame: Buffer;
    if (this.gatheredBytes === 0) {
      frame = this.memory.take(frameBytes);
      chunk.copy(frame, 0, at, end);
    } else {
      this.gather(chunk, at, end, frameBytes);
      frame = this.frame.subarray(0, frameBytes);
    }
    this.frame = NOTHING;
    this.frameBytes = undefined;
    this.gatheredBytes = 0;
    return frame;
  }

  private gather(chunk: Buffer, at: number, end: number, frameBytes: number): void {
    const gatheredBytes = this.gatheredBytes + end - at;
    if (gatheredBytes > this.frame.length) {
      // Most senders wait after the first piece, until there is room for the rest.
      const room = this.gatheredBytes === 0 ? gatheredBytes : gatheredBytes * 2;
      this.makeRoom(Math.min(Math.max(room, ROOM_AT_ONCE_BYTES), frameBytes));
    }
    chunk.copy(this.frame, this.gatheredBytes, at, end);
    this.gatheredBytes = gatheredBytes;
  }
}
