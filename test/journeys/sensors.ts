// The load of the long journeys: MQTT publishers at both QoS under the routes of a plant, and a machine on a serial line.

import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { ApplianceConfig } from '../parts/appliance.ts';
import { readTopic } from '../parts/kcat.ts';
import { openPublisher, readingOf, type Publisher } from '../parts/publisher.ts';
import { pause } from '../parts/until.ts';
import type { Pty } from '../parts/pty.ts';

const MACHINES = 8;

/** A plant with the mirror `dc` to `bootstrap`; `more` on top of it. */
export function plantConfig(bootstrap: string, more: ApplianceConfig = {}): ApplianceConfig {
  return {
    routes: [{ mqtt: 'plant/+line/+machine/#', topic: 'readings', key: '{line}/{machine}' }],
    topics: { readings: { partitions: 4 } },
    mirror: [{ name: 'dc', bootstrap: [bootstrap] }],
    ...more,
  };
}

/** The key that the route gives. */
export function keyOf(mqttTopic: string): string {
  return mqttTopic.split('/').slice(1, 3).join('/');
}

export interface Load {
  /** Messages a second over all publishers. */
  perSecond: number;
  total?: number;
  qos1: number;
  qos2: number;
  payloadOf?: (clientId: string, number: number) => string;
}

/** Publishers with a line of their own each, and eight machines on it. */
export function openSensors(port: number, load: Load): Publisher[] {
  const count = load.qos1 + load.qos2;
  return Array.from({ length: count }, (_, index) => {
    const qos = index < load.qos1 ? 1 : 2;
    const clientId = `line-${index}-qos${qos}`;
    return openPublisher({
      port,
      clientId,
      qos,
      perSecond: load.perSecond / count,
      ...(load.total === undefined ? {} : { total: Math.ceil(load.total / count) }),
      ...(load.payloadOf === undefined ? {} : { payloadOf: load.payloadOf }),
      topicOf: (number) => `plant/${clientId}/${number % MACHINES}/temperature`,
    });
  });
}

/** Of each client its own: what two have in common would be found in a batch. */
const noises = new Map<string, string>();

/** A payload of about `bytes` that does not compress. */
export function noisyReadingOf(clientId: string, number: number, bytes = 3_000): string {
  const noise = noises.get(clientId) ?? randomBytes(768 * 1024).toString('base64');
  noises.set(clientId, noise);
  const at = (number * bytes) % (noise.length - bytes);
  return `${readingOf(clientId, number).slice(0, -2)}${noise.slice(at, at + bytes)}"}`;
}

export interface Machine {
  readonly lines: number;
  /** Writes no more lines; resolves when the last one is on its way. */
  stop(): Promise<void>;
}

/** Writes a numbered line every few milliseconds. */
export function openMachine(pty: Pty): Machine {
  let lines = 0;
  let isStopped = false;
  const running = run();

  async function run(): Promise<void> {
    while (!isStopped) {
      lines += 1;
      await pty.write(`line ${String(lines).padStart(6, '0')} ${'x'.repeat(lines % 50)} end\n`);
      await pause(3);
    }
  }

  return {
    get lines() {
      return lines;
    },
    async stop() {
      isStopped = true;
      await running;
    },
  };
}

/**
 * A line has no acknowledgement, so some may be lost with a process. None is doubled, all are in order, and no more than
 * one of them is cut at each start: what the last process had read of it is gone.
 */
export async function expectLines(bootstrap: string, topic: string, starts: number): Promise<number> {
  const lines = (await readTopic(bootstrap, topic)).map(({ value }) => String(value));
  const numbers: number[] = [];
  const cut: string[] = [];
  for (const line of lines) {
    const [, digits] = /^line (\d{6}) x* end$/.exec(line) ?? [];
    if (digits === undefined) cut.push(line);
    else numbers.push(Number(digits));
  }
  const wrong = numbers.findIndex((number, index) => index > 0 && number <= numbers[index - 1]!);
  expect(wrong < 0 ? [] : numbers.slice(wrong - 1, wrong + 2)).toEqual([]);
  expect(cut.length, cut.slice(0, 5).join('\n')).toBeLessThanOrEqual(starts);
  return numbers.length;
}
