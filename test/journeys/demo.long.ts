// What `npm run demo` tells a newcomer is true, with a second headwater and with a real Kafka as the datacenter; and where
// somebody else writes into the topic upstream, it says so and fails. All three beside each other: a story takes a minute.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startKafka, type Kafka } from '../parts/kafka.ts';
import { kcat, readTopic } from '../parts/kcat.ts';
import { until } from '../parts/until.ts';

const DEMO = join(import.meta.dirname, '../../demo/demo.ts');
const STORY_MS_MAX = 480_000;

const children = new Set<ChildProcess>();
let kafka: Kafka;
beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(async () => {
  for (const child of children) child.kill();
  await kafka.stop();
});

interface End {
  code: number | null;
  output: string;
}

async function demo(...args: string[]): Promise<End> {
  const child = spawn(process.execPath, [DEMO, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  children.delete(child);
  return { code, output };
}

/** Writes the first reading that arrives a second time, as only a mirror that doubles would. */
async function meddle(bootstrap: string): Promise<void> {
  let topic: string | undefined;
  await until('readings are upstream', async () => {
    topic = /"(edge-\S+\.readings)"/.exec(String(await kcat(['-b', bootstrap, '-L'])))?.[1];
    return topic !== undefined && (await readTopic(bootstrap, topic)).length > 0;
  });
  const [first] = await readTopic(bootstrap, topic!);
  await kcat(['-b', bootstrap, '-P', '-t', topic!, '-p', '0'], first!.value!);
}

function countOf({ output }: End): string | undefined {
  return /^lost .*$/m.exec(output)?.[0];
}

test(
  'the story ends with nothing lost and nothing doubled, and with exit code 1 where that is not so',
  { timeout: STORY_MS_MAX },
  async () => {
    const toMeddled = demo('--kafka', kafka.bootstrap);
    await meddle(kafka.bootstrap);
    const [wrong, ...others] = await Promise.all([toMeddled, demo('--kafka', kafka.bootstrap), demo()]);

    expect([wrong.code, countOf(wrong)], wrong.output).toEqual([1, 'lost 0, doubled 1, out of order 0']);
    for (const other of others) {
      expect([other.code, countOf(other)], other.output).toEqual([0, 'lost 0, doubled 0, out of order 0']);
      expect(other.output).toMatch(/kill -9 of the edge/);
    }
  },
);
