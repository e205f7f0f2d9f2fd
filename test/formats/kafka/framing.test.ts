import { describe, expect, test } from 'vitest';
import { FrameSplitter } from '../../../src/formats/kafka/framing.ts';

function framed(...bodies: Buffer[]): Buffer {
  return Buffer.concat(
    bodies.flatMap((body) => {
      const size = Buffer.alloc(4);
      size.writeInt32BE(body.length);
      return [size, body];
    }),
  );
}

describe('the frame splitter', () => {
  const bodies = [Buffer.from('first'), Buffer.alloc(0), Buffer.alloc(3000, 7), Buffer.from('ab')];

  test('gives the same frames however the stream is cut', () => {
    const stream = framed(...bodies);
    for (const step of [1, 2, 3, 5, 7, 100, 3003, stream.length]) {
      const splitter = new FrameSplitter(4096);
      const frames: Buffer[] = [];
      for (let at = 0; at < stream.length; at += step) frames.push(...splitter.push(stream.subarray(at, at + step)));
      expect(frames, `step ${step}`).toEqual(bodies);
      expect(splitter.isBetweenFrames).toBe(true);
    }
  });

  test('a frame is a copy: what it came in may be overwritten', () => {
    const stream = framed(...bodies);
    const frames = new FrameSplitter(4096).push(stream);
    stream.fill(0xee);
    expect(frames).toEqual(bodies);
  });

  test('a frame never changes when later ones arrive', () => {
    const stream = framed(Buffer.from('aaaa'), Buffer.from('bbbb'), Buffer.from('cccc'));
    const splitter = new FrameSplitter(100);
    const frames: Buffer[] = [];
    for (const byte of stream) frames.push(...splitter.push(Buffer.from([byte])));
    expect(frames.map(String)).toEqual(['aaaa', 'bbbb', 'cccc']);
  });

  test('refuses a size beyond the limit as soon as it is read, and a negative one', () => {
    const size = Buffer.alloc(4);
    size.writeInt32BE(4097);
    expect(() => new FrameSplitter(4096).push(size)).toThrow(/4097/);
    size.writeInt32BE(-1);
    expect(() => new FrameSplitter(4096).push(size)).toThrow(/-1/);
  });

  test('keeps what has come of a large frame, and has room for all of it once it is told to', () => {
    const stream = framed(Buffer.alloc(1 << 20, 5));
    const before = process.memoryUsage().arrayBuffers;
    const splitters = Array.from({ length: 100 }, () => new FrameSplitter(1 << 24));
    for (const splitter of splitters) splitter.push(stream.subarray(0, 30_000));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 40_000);
    splitters[0]!.reserve();
    expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThan(1 << 20);
    const [frame] = splitters[0]!.push(stream.subarray(30_000));
    expect(frame?.equals(stream.subarray(4))).toBe(true);
  });

  test('keeps a frame of several megabytes that comes in small pieces', () => {
    const body = Buffer.alloc(3 * 1024 * 1024 + 17, 5);
    const stream = framed(body, Buffer.from('next'));
    const splitter = new FrameSplitter(16 * 1024 * 1024);
    const frames: Buffer[] = [];
    for (let at = 0; at < stream.length; at += 1460) frames.push(...splitter.push(stream.subarray(at, at + 1460)));
    expect(frames[0]?.equals(body)).toBe(true);
    expect(String(frames[1])).toBe('next');
  });
});
