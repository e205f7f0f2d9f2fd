// Words for tests that mirror a real log to a real Kafka: numbered records in, and whether each is upstream exactly once.

import { expect } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openMirrors, type MirrorConfig, type MirrorNeeds, type Mirrors } from '../../src/mirror/mirror.ts';
import type { MirrorStatus } from '../../src/mirror/mirror-status.ts';
import { createTrace } from '../../src/trace.ts';
import { batchOf, openLogFolder, type OpenLogFolder } from '../log/open-log.ts';
import { readTopic } from '../parts/kcat.ts';

export interface Edge {
  readonly folder: OpenLogFolder;
  /** What the mirror printed. */
  readonly lines: string[];
  readonly mirrors: Mirrors;
  status(): MirrorStatus;
  /** Appends the next `count` numbers to a partition, `each` at a time. */
  append(topic: string, count: number, options?: { partition?: number; each?: number; ageMs?: number }): Promise<void>;
  /** Opens the mirror again, as a new process would after a clean end. */
  restart(): Promise<void>;
  /** Waits until nothing is left to send. */
  drained(timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

export async function openEdge(config: Partial<MirrorConfig>, needs: Partial<MirrorNeeds> = {}): Promise<Edge> {
  const folder = await openLogFolder();
  const lines: string[] = [];
  const trace = createTrace({ level: 'debug', isJournal: false, write: (line) => void lines.push(line) });
  const next = new Map<string, number>();
  const open = (): Promise<Mirrors> =>
    openMirrors({
      mirrors: [{ name: 'dc', bootstrap: [], ...config }],
      log: folder.log,
      nodeName: 'pump-7',
      clock: systemClock,
      trace,
      requestTimeoutMs: 5_000,
      quiesceMs: 1_000,
      refusedRetryMs: 1_000,
      ...needs,
    });
  let mirrors = await open();

  const edge: Edge = {
    folder,
    lines,
    get mirrors() {
      return mirrors;
    },
    status: () => mirrors.status()[0]!,
    async append(topic, count, { partition: index = 0, each = 100, ageMs = 0 } = {}) {
      const partition = folder.log.topic(topic)!.partitions[index]!;
      const first = next.get(`${topic}/${index}`) ?? 0;
      const timestampMs = Date.now() - ageMs;
      for (let at = first; at < first + count; at += each) {
        await partition.append(batchOf(at, Math.min(each, first + count - at), { timestampMs }));
      }
      next.set(`${topic}/${index}`, first + count);
    },
    async restart() {
      await mirrors.close();
      await folder.reopen();
      mirrors = await open();
    },
    async drained(timeoutMs = 60_000) {
      await until(
        () => edge.status().backlog.records === 0,
        timeoutMs,
        () => JSON.stringify(edge.status()),
      );
    },
    async close() {
      await mirrors.close();
      await folder.remove();
    },
  };
  return edge;
}

/** Waits for a condition; throws with what `tell` says. */
export async function until(isTrue: () => boolean, timeoutMs: number, tell: () => string): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!isTrue()) {
    if (Date.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${tell()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Every number from 0 on is in that partition once, in order, and nothing else. */
export async function expectOnce(bootstrap: string, topic: string, count: number, partition = 0): Promise<void> {
  const numbers = (await readTopic(bootstrap, topic, partition)).map(({ value }) => Number(String(value)));
  const wrong = numbers.findIndex((number, index) => number !== index);
  const about = wrong < 0 ? [] : numbers.slice(Math.max(0, wrong - 2), wrong + 3);
  expect({ count: numbers.length, wrong, about }).toEqual({ count, wrong: -1, about: [] });
}
