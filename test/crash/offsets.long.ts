// kill -9 of a whole headwater while groups commit: whatever commit was answered is there afterwards, whole, and a
// consumer that is in the middle goes on without a gap.

import { expect, onTestFinished, test } from 'vitest';
import { encodeBatch } from '../../src/formats/batch.ts';
import { offsetCommit } from '../../src/formats/kafka/08-offset-commit.ts';
import { offsetFetch } from '../../src/formats/kafka/09-offset-fetch.ts';
import { produce } from '../../src/formats/kafka/00-produce.ts';
import { RawClient } from '../kafka/raw-client.ts';
import { startMember } from '../interop/group-members.ts';
import { createAppliance } from '../parts/appliance.ts';
import { freePort } from '../parts/kafka.ts';
import { pause, until } from '../parts/until.ts';

const KILLS = 5;
const GROUPS = 5;
const PARTITIONS = 3;

test(`commits that were answered outlive ${KILLS} kills, each of them whole`, async () => {
  const appliance = await createAppliance({ topics: { t: { partitions: PARTITIONS } } });
  onTestFinished(() => appliance.remove());
  const port = Number(appliance.kafka.split(':')[1]);
  const answered = new Map<string, number>();
  let next = 1;

  /** Commits ever higher offsets, the same in all partitions, until the connection breaks. */
  async function commitOn(groupId: string): Promise<void> {
    const client = await RawClient.connect(port);
    try {
      for (;;) {
        const offset = next++;
        const partitions = Array.from({ length: PARTITIONS }, (_, partitionIndex) => {
          return { partitionIndex, committedOffset: offset, committedMetadata: `at ${offset}` };
        });
        const answer = await client.ask(offsetCommit, 9, { groupId, topics: [{ name: 't', partitions }] });
        expect(answer.topics[0]!.partitions.every(({ errorCode }) => errorCode === 0)).toBe(true);
        answered.set(groupId, offset);
      }
    } catch (error) {
      if (!String(error).includes('closed instead')) throw error;
    }
  }

  async function check(): Promise<void> {
    const client = await RawClient.connect(port);
    for (const [groupId, offset] of answered) {
      const { groups } = await client.ask(offsetFetch, 9, { groups: [{ groupId, topics: null }] });
      const found = groups[0]!.topics[0]!.partitions;
      const [first] = found;
      expect(first!.committedOffset).toBeGreaterThanOrEqual(offset);
      // All of a commit or nothing of it.
      expect(new Set(found.map(({ committedOffset }) => committedOffset)).size).toBe(1);
      expect(found).toHaveLength(PARTITIONS);
      expect(first!.metadata).toBe(`at ${first!.committedOffset}`);
    }
    client.end();
  }

  await appliance.start();
  for (let kill = 0; kill < KILLS; kill++) {
    const before = next;
    const committing = Array.from({ length: GROUPS }, (_, index) => commitOn(`group-${index}`));
    await until('some are answered', () => next > before + 50);
    await pause(Math.random() * 50);
    await appliance.kill();
    await Promise.all(committing);
    await appliance.start();
    await check();
  }
  expect(answered.size).toBe(GROUPS);
  console.log(`${KILLS} kills, ${next} commits of ${PARTITIONS} offsets`);
});

test('a group of librdkafka goes on over kills of headwater: every record, and little twice', async () => {
  const port = await freePort();
  const appliance = await createAppliance({
    kafka: { listen: `127.0.0.1:${port}`, 'group.initial.rebalance.delay.ms': 100 },
    topics: { t: { partitions: PARTITIONS } },
  });
  onTestFinished(() => appliance.remove());
  await appliance.start();
  const wanted: string[] = [];
  const append = async (count: number): Promise<void> => {
    const client = await RawClient.connect(port);
    const own = Array.from({ length: count }, (_, index) => `value-${wanted.length + index}`);
    const records = encodeBatch(own.map((value) => ({ timestampMs: 1, key: null, value: Buffer.from(value) })));
    const partitionData = [{ index: wanted.length % PARTITIONS, records }];
    const topicData = [{ name: 't', partitionData }];
    const answer = await client.ask(produce, 9, { acks: -1, timeoutMs: 30_000, topicData });
    expect(answer.responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
    wanted.push(...own);
    client.end();
  };
  await append(500);
  const member = await startMember('confluent', {
    bootstrap: `127.0.0.1:${port}`,
    topic: 't',
    group: 'g',
    sessionMs: 6000,
  });
  onTestFinished(() => member.kill());
  const seen = (): boolean => {
    const read = new Set(member.values);
    return wanted.every((value) => read.has(value));
  };
  for (let kill = 0; kill < 2; kill++) {
    await until('everything is read', seen, 60_000, () => member.said.slice(-10).join('\n'));
    await appliance.kill();
    await appliance.start();
    await append(500);
  }
  await until('everything is read', seen, 60_000, () => member.said.slice(-10).join('\n'));
  const twice = member.values.length - new Set(member.values).size;
  console.log(`${wanted.length} records over 2 kills, ${twice} of them twice`);
  expect(twice).toBeLessThan(wanted.length / 2);
  await member.stop();
});
