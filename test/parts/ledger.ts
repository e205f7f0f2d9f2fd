// The count at the end of a journey: what publishers sent and what they were told, against what an independent reader
// found, by the rules of sightings.ts.

import { expect } from 'vitest';
import { readTopic, type KcatRecord } from './kcat.ts';
import type { Publisher } from './publisher.ts';
import { Sightings, type Reading, type Writer } from './sightings.ts';

export interface Count {
  published: number;
  acked: number;
  /** Records that were found, and how many of them QoS 1 allows to be there a second time. */
  found: number;
  again: number;
}

/** The count of `topic` against the ledgers. Fails with examples when a message is not there as it must be. */
export async function expectPublished(
  bootstrap: string,
  topic: string,
  publishers: readonly Publisher[],
  keyOf: (mqttTopic: string) => string,
): Promise<Count> {
  const writers = publishers.map((each) => writerOf(each, topic, keyOf));
  const sightings = new Sightings(writers, readPublished);
  sightings.add(topic, await readTopic(bootstrap, topic));
  const { differences, again } = sightings.compare();
  const examples = differences.slice(0, 10).map(({ kind, text }) => `${kind}: ${text}`);
  expect({ wrong: differences.length, examples }).toEqual({ wrong: 0, examples: [] });
  const sum = (of: (publisher: Publisher) => number): number => publishers.reduce((all, each) => all + of(each), 0);
  const [published, acked] = [sum(({ ledger }) => ledger.length), sum(({ counts }) => counts.acked)];
  return { published, acked, found: sightings.count, again };
}

/** A publisher as a writer of the log's topic that a route leads to. */
export function writerOf(publisher: Publisher, topic: string, keyOf: (mqttTopic: string) => string): Writer {
  const { ledger, counts } = publisher;
  return {
    name: publisher.clientId,
    topic,
    rule: publisher.qos === 2 ? 'once' : 'each sending',
    get made() {
      return ledger.length;
    },
    get connections() {
      return counts.connections;
    },
    sends: (number) => ledger[number]!.sends,
    isAcked: (number) => ledger[number]!.isAcked,
    keyOf: (number) => keyOf(ledger[number]!.topic),
  };
}

/** What `readingOf` of publisher.ts has written. */
export const readPublished: Reading = (_topic, { value }) => {
  const { from, n } = JSON.parse(String(value)) as { from: string; n: number };
  return { from, n };
};

/**
 * What is in headwater's own log is upstream once: the same records at the same offsets, partition by partition, and
 * nothing more. What retention has removed here is not compared. Returns how many there are here.
 */
export async function expectSame(own: [string, string], upstream: [string, string]): Promise<number> {
  const [mine, theirs] = await Promise.all([readTopic(...own), readTopic(...upstream)]);
  const [left, right] = [byPartition(mine), byPartition(theirs)];
  expect(new Set(right.keys())).toEqual(new Set(left.keys()));
  for (const [partition, records] of left) {
    const first = records[0]!.offset;
    const others = right.get(partition)!.filter(({ offset }) => offset >= first);
    const at = records.findIndex((record, index) => textOf(record) !== textOf(others[index]));
    const about = at < 0 ? [] : [records, others].map((each) => each.slice(at, at + 3).map(textOf));
    const seen = { partition, own: records.length, upstream: others.length, about };
    expect(seen).toEqual({ partition, own: records.length, upstream: records.length, about: [] });
  }
  return mine.length;
}

function byPartition(records: readonly KcatRecord[]): Map<number, KcatRecord[]> {
  const found = new Map<number, KcatRecord[]>();
  for (const record of records) {
    const inIt = found.get(record.partition);
    if (inIt === undefined) found.set(record.partition, [record]);
    else inIt.push(record);
  }
  return found;
}

function textOf(record: KcatRecord | undefined): string {
  if (record === undefined) return 'nothing';
  const { offset, timestampMs, key, value } = record;
  return `${offset} ${timestampMs} ${key?.toString('latin1') ?? '-'} ${value?.toString('latin1') ?? '-'}`;
}
