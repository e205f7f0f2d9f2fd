// The cable itself: a fault is a function of the seed and the bytes, and a good cable changes nothing.

import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createNoise, seeded, type Noise, type NoiseStep } from './serial-noise.ts';
import { openRelay, streamEnd } from './serial-relay.ts';
import { until } from './until.ts';

const ALL: Noise = {
  everyBytes: 50,
  weights: { flip: 3, lose: 2, double: 2, reorder: 2, garbage: 2, stall: 1, hangUp: 1 },
};

const input = Buffer.from(Array.from({ length: 20_000 }, (_, index) => (index * 7) & 0xff));

function pushed(seed: number, cutMax: number): NoiseStep[] {
  const maker = createNoise(seed, ALL);
  const random = seeded(cutMax);
  const steps: NoiseStep[] = [];
  for (let at = 0; at < input.length;) {
    const length = 1 + Math.floor(random() * cutMax);
    steps.push(...maker.push(input.subarray(at, at + length)));
    at += length;
  }
  expect(Object.values(maker.counts).every((count) => count > 3)).toBe(true);
  return steps;
}

const bytesOf = (steps: NoiseStep[]): Buffer =>
  Buffer.concat(steps.flatMap((step) => ('bytes' in step ? [step.bytes] : [])));
const pausesOf = (steps: NoiseStep[]): NoiseStep[] => steps.filter((step) => !('bytes' in step));

test('one seed spoils a stream in one way, however it is cut', () => {
  const [whole, cut] = [pushed(7, input.length), pushed(7, 13)];
  expect(bytesOf(cut).equals(bytesOf(whole))).toBe(true);
  expect(pausesOf(cut)).toEqual(pausesOf(whole));
  expect(bytesOf(pushed(8, 13)).equals(bytesOf(whole))).toBe(false);
});

test('without noise every byte passes', () => {
  expect(bytesOf(createNoise(1).push(input)).equals(input)).toBe(true);
});

test('each fault does what its name says', () => {
  const spoiled = (kind: keyof Noise['weights']): Buffer => {
    const maker = createNoise(3, { everyBytes: 5, weights: { [kind]: 1 } });
    const steps = maker.push(input.subarray(0, 10));
    maker.setNoise(undefined);
    return Buffer.concat([bytesOf([...steps, ...maker.push(input.subarray(10, 500))]), maker.flush()]);
  };
  const sorted = (bytes: Buffer): Buffer => Buffer.from(Uint8Array.from(bytes).toSorted());
  const original = input.subarray(0, 500);
  const differing = (bytes: Buffer): number => bytes.filter((byte, index) => byte !== original[index]).length;
  expect(spoiled('flip').length).toBe(500);
  expect(differing(spoiled('flip'))).toBeGreaterThan(0);
  expect(spoiled('lose').length).toBeLessThan(500);
  expect(spoiled('double').length).toBeGreaterThan(500);
  expect(spoiled('garbage').length).toBeGreaterThan(500);
  expect(spoiled('reorder').equals(original)).toBe(false);
  expect(sorted(spoiled('reorder')).equals(sorted(original))).toBe(true);
});

test('a relay passes both ways, pulls the plug and puts it back', async () => {
  const [deviceOut, deviceIn, hostOut, hostIn] = [
    new PassThrough(),
    new PassThrough(),
    new PassThrough(),
    new PassThrough(),
  ];
  const plug: string[] = [];
  const host = {
    ...streamEnd(hostOut, hostIn),
    unplug: async () => void plug.push('out'),
    replug: async () => void plug.push('in'),
  };
  const relay = openRelay(streamEnd(deviceOut, deviceIn), host, 1);
  const seen = { host: '', device: '' };
  hostIn.on('data', (bytes: Buffer) => (seen.host += bytes.toString()));
  deviceIn.on('data', (bytes: Buffer) => (seen.device += bytes.toString()));
  deviceOut.write('up');
  hostOut.write('down');
  await until('both ways passed', () => seen.host === 'up' && seen.device === 'down');
  const back = relay.hangUp(5);
  deviceOut.write('gone');
  await until('bytes are lost', () => relay.counts.toHost.lost === 4);
  await back;
  expect(plug).toEqual(['out', 'in']);
  deviceOut.write(' again');
  await until('it passes again', () => seen.host === 'up again');
  await relay.close();
});
