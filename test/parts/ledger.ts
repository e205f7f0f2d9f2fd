// The count at the end of a journey: what publishers sent and what they were told, against what an independent reader
// found. What is checked of each message, and is not a matter of chance:
//
//   QoS 2                                  there exactly once
//   QoS 1, acknowledged on its first send  there exactly once
//   QoS 1, sent n times                    there at least once and at most n times: MQTT has no way to tell the second
//                                          sending of a message that was stored from a new one [MQTT-4.3.2-2]
//   not acknowledged                       as above, or not at all
//   order                                  within a key first arrivals are in the order of sending, and the order starts
//                                          over no more often than the publisher connected again
//
// Nothing else may be there, and a key is in one partition.

import { expect } from 'vitest';
import { readTopic, type KcatRecord } from './kcat.ts';
import type { Publisher } from './publisher.ts';

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
  const wrong: string[] = [];
  const records = await readTopic(bootstrap, topic);
  const arrivals = arrivalsOf(records, wrong);
  const count: Count = { published: 0, acked: 0, found: records.length, again: 0 };
  for (const publisher of publishers) {
    const numbers = arrivals.get(publisher.clientId) ?? [];
    arrivals.delete(publisher.clientId);
    checkNumbers(publisher, numbers, count, wrong);
    checkOrder(publisher, numbers, keyOf, wrong);
  }
  for (const clientId of arrivals.keys()) wrong.push(`somebody else: ${clientId}`);
  expect({ wrong: wrong.length, examples: wrong.slice(0, 10) }).toEqual({ wrong: 0, examples: [] });
  return count;
}

interface Arrival {
  number: number;
  key: string;
}

/** What arrived of each client, in the order of the partitions. */
function arrivalsOf(records: readonly KcatRecord[], wrong: string[]): Map<string, Arrival[]> {
  const arrivals = new Map<string, Arrival[]>();
  const partitions = new Map<string, number>();
  for (const { key, value, partition, offset } of records) {
    const { from, n } = JSON.parse(String(value)) as { from: string; n: number };
    const text = String(key);
    if ((partitions.get(text) ?? partition) !== partition)
      wrong.push(`key ${text} in two partitions, offset ${offset}`);
    partitions.set(text, partition);
    let of = arrivals.get(from);
    if (of === undefined) arrivals.set(from, (of = []));
    of.push({ number: n, key: text });
  }
  return arrivals;
}

function checkNumbers(publisher: Publisher, arrivals: readonly Arrival[], count: Count, wrong: string[]): void {
  const times = new Map<number, number>();
  for (const { number } of arrivals) times.set(number, (times.get(number) ?? 0) + 1);
  for (const { number, sends, isAcked } of publisher.ledger) {
    const found = times.get(number) ?? 0;
    times.delete(number);
    const most = publisher.qos === 2 ? Math.min(1, sends) : sends;
    const what = `${publisher.clientId} ${number} (QoS ${publisher.qos}, sent ${sends} times)`;
    if (isAcked && found === 0) wrong.push(`lost: ${what}`);
    if (found > most) wrong.push(`doubled: ${what} is there ${found} times`);
    count.published += 1;
    count.acked += isAcked ? 1 : 0;
    count.again += Math.max(0, found - 1);
  }
  for (const number of times.keys()) wrong.push(`never sent: ${publisher.clientId} ${number}`);
}

function checkOrder(
  publisher: Publisher,
  arrivals: readonly Arrival[],
  keyOf: (mqttTopic: string) => string,
  wrong: string[],
): void {
  const keys = new Map<string, { highest: number; last: number; backs: number }>();
  const seen = new Set<number>();
  for (const { number, key } of arrivals) {
    const topic = publisher.ledger[number]?.topic;
    if (topic !== undefined && keyOf(topic) !== key) wrong.push(`${publisher.clientId} ${number} has key ${key}`);
    const at = keys.get(key) ?? { highest: -1, last: -1, backs: 0 };
    keys.set(key, at);
    if (!seen.has(number) && number < at.highest)
      wrong.push(`reordered: ${publisher.clientId} ${number} after ${at.highest}`);
    seen.add(number);
    if (number <= at.last) at.backs += 1;
    at.last = number;
    at.highest = Math.max(at.highest, number);
  }
  for (const [key, { backs }] of keys) {
    if (backs >= publisher.counts.connections)
      wrong.push(`key ${key} of ${publisher.clientId} starts over ${backs} times`);
  }
}

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
