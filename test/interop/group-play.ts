// What tests of groups of real clients do again and again: append records with known values, start members that are ended
// with the test, and wait until all is shared, read or committed.

import { encodeBatch } from '../../src/formats/batch.ts';
import { until } from '../parts/until.ts';
import { startMember, type Make, type Member } from './group-members.ts';
import type { Node } from './open-node.ts';

export const PARTITIONS = 6;

export interface StartOptions {
  instance?: string;
  isIncremental?: boolean;
}

export interface GroupPlay {
  /** A member of the group `TOPIC-group`. */
  start(make: Make, topic: string, options?: StartOptions): Promise<Member>;
  /** Appends so many records to each partition, and returns their values. */
  append(topic: string, from: number, count: number): Promise<string[]>;
  untilShared(everyone: Member[]): Promise<void>;
  untilRead(wanted: string[], everyone: Member[]): Promise<void>;
  committed(topic: string): number[];
  untilCommitted(topic: string): Promise<void>;
  killAll(): Promise<void>;
}

export function openGroupPlay(node: Node): GroupPlay {
  const members = new Set<Member>();

  function committed(topic: string): number[] {
    const { partitions } = node.log.topic(topic)!;
    return partitions.map(({ index }) => node.groups.committed(`${topic}-group`, topic, index)?.offset ?? -1);
  }

  return {
    async start(make, topic, { instance, isIncremental = false } = {}) {
      // A member that is killed is missed soon; a static one has time to come back.
      const sessionMs = instance === undefined ? 6000 : 120_000;
      const options = { bootstrap: node.bootstrap, topic, group: `${topic}-group`, sessionMs, isIncremental };
      const member = await startMember(make, { ...options, ...(instance !== undefined && { instance }) });
      members.add(member);
      return member;
    },
    async append(topic, from, count) {
      const values: string[] = [];
      for (const partition of node.log.topic(topic)!.partitions) {
        const own = Array.from({ length: count }, (_, index) => `${partition.index}-${from + index}`);
        const records = own.map((value) => ({ timestampMs: Date.now(), key: null, value: Buffer.from(value) }));
        await partition.append(encodeBatch(records));
        values.push(...own);
      }
      return values;
    },
    async untilShared(everyone) {
      const isShared = (): boolean => {
        const all = everyone.flatMap(({ assigned }) => [...assigned]);
        return everyone.every(({ assigned }) => assigned.size > 0) && all.length === PARTITIONS;
      };
      await until('all partitions have one member each', isShared, 60_000, () => tellAll(everyone));
    },
    async untilRead(wanted, everyone) {
      const isRead = (): boolean => {
        const read = new Set(everyone.flatMap(({ values }) => values));
        return wanted.every((value) => read.has(value));
      };
      await until('everything is read', isRead, 60_000, () => tellAll(everyone));
    },
    committed,
    async untilCommitted(topic) {
      const ends = node.log.topic(topic)!.partitions.map(({ highWatermark }) => highWatermark);
      const isCommitted = (): boolean => String(committed(topic)) === String(ends);
      await until('everything is committed', isCommitted, 30_000, () => String(committed(topic)));
    },
    async killAll() {
      await Promise.all([...members].map((member) => member.kill()));
    },
  };
}

/** What members have done, for the words of a failure. */
export function tellAll(everyone: Member[]): string {
  return everyone.map(({ said, values }) => `${values.length} values, ${said.slice(-12).join('\n')}`).join('\n---\n');
}
