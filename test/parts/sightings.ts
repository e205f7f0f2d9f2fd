// What an independent reader has seen of what writers sent, and how that differs from what they were told. The rules are
// those of the promise, and nothing in them is a matter of chance:
//
//   rule `once`            there exactly once: MQTT QoS 2, a device with firmware-bridge, an idempotent producer
//   rule `each sending`    acknowledged: at least once; at most as often as it was sent. MQTT has no way to tell the second
//                          sending of a QoS 1 message that was stored from a new one [MQTT-4.3.2-2]
//   not acknowledged       as above, or not at all
//   order                  within a key first arrivals are in the order of sending, and with `each sending` the order
//                          starts over no more often than the writer connected again
//   lost                   never, unless a gap is told for where it was: its offset, where that was seen before, or
//                          else between its neighbours of the same key
//   gaps                   no record lies in one
//
// Nothing else may be there, and a key stays in one partition.

import type { KcatRecord } from './kcat.ts';

/** Who sends numbered records, from 0 on, and keeps a ledger of them. */
export interface Writer {
  readonly name: string;
  readonly topic: string;
  readonly rule: 'once' | 'each sending';
  /** How many were made; those from there on were never sent. */
  readonly made: number;
  sends(number: number): number;
  isAcked(number: number): boolean;
  keyOf(number: number): string;
  readonly connections: number;
}

/** What a record says of itself; undefined for one that is none of the writers'. */
export type Reading = (topic: string, record: KcatRecord) => { from: string; n: number } | undefined;

/** A range of one partition that the log says it has lost. */
export interface ToldGap {
  topic: string;
  partition: number;
  firstOffset: number;
  lastOffset: number;
}

export type DifferenceKind = 'lost' | 'doubled' | 'reordered' | 'moved' | 'foreign' | 'wrong gap';

export interface Difference {
  kind: DifferenceKind;
  text: string;
}

export interface Comparison {
  differences: Difference[];
  /** Lost, and told as gaps: not seen before by these sightings. */
  told: number;
  /** Records that `each sending` allows to be there once more. */
  again: number;
}

interface Place {
  partition: number;
  offset: number;
  times: number;
}

interface KeyState {
  partition: number;
  highest: number;
  last: number;
  backs: number;
}

interface Seen {
  places: Map<number, Place>;
  keys: Map<string, KeyState>;
}

export class Sightings {
  /** Records that were seen, more than once where they are. */
  count = 0;
  readonly #writers: Map<string, Writer>;
  readonly #reading: Reading;
  readonly #seen = new Map<string, Seen>();
  /** What was found while records came. */
  readonly #wrong: Difference[] = [];
  /** Lost and told, as `name number`. */
  readonly #excused: Set<string>;

  /** `before`: what was seen earlier of the same log. Losses that it knows of are not told again. */
  constructor(writers: readonly Writer[], reading: Reading, before?: Sightings) {
    this.#writers = new Map(writers.map((each) => [each.name, each]));
    this.#reading = reading;
    this.#excused = new Set(before === undefined ? [] : before.#excused);
    for (const { name } of writers) this.#seen.set(name, { places: new Map(), keys: new Map() });
  }

  /** The next records of a topic, in the order of each partition. */
  add(topic: string, records: readonly KcatRecord[]): void {
    for (const record of records) {
      const read = this.#reading(topic, record);
      if (read === undefined) continue;
      this.count += 1;
      const writer = this.#writers.get(read.from);
      if (writer === undefined || writer.topic !== topic) this.#note('foreign', `${read.from} ${read.n} in ${topic}`);
      else this.#see(writer, read.n, String(record.key), record);
    }
  }

  /** The number that was seen last of a writer, or -1. */
  highest(name: string): number {
    let highest = -1;
    for (const state of this.#seen.get(name)!.keys.values()) highest = Math.max(highest, state.highest);
    return highest;
  }

  /**
   * Holds the records against the ledgers. `acked` are the acknowledgements that were there before the reading began, by
   * name; without it those of this moment count.
   */
  compare(gaps: readonly ToldGap[] = [], acked?: ReadonlyMap<string, readonly boolean[]>): Comparison {
    const result: Comparison = { differences: this.#wrong.splice(0), told: 0, again: 0 };
    for (const writer of this.#writers.values()) {
      const told = acked?.get(writer.name);
      const isAcked =
        told === undefined ? (number: number) => writer.isAcked(number) : (number: number) => told[number]!;
      this.#compareNumbers(writer, isAcked, told?.length ?? writer.made, gaps, result);
      this.#compareOrder(writer, result);
    }
    this.#compareGaps(gaps, result);
    return result;
  }

  /** Whatever of `acked` is missing is lost for a reason that nobody can tell. Returns how many that are. */
  forgive(acked: ReadonlyMap<string, readonly boolean[]>): number {
    const before = this.#excused.size;
    for (const [name, told] of acked) {
      const { places } = this.#seen.get(name)!;
      for (const [number, isAcked] of told.entries()) {
        if (isAcked && !places.has(number)) this.#excused.add(`${name} ${number}`);
      }
    }
    return this.#excused.size - before;
  }

  /** What `before` had seen is still where it was, or in a gap. */
  compareWith(before: Sightings, gaps: readonly ToldGap[]): Difference[] {
    const differences: Difference[] = [];
    for (const [name, { places }] of before.#seen) {
      const writer = this.#writers.get(name)!;
      for (const [number, was] of places) {
        const is = this.#seen.get(name)!.places.get(number);
        const what = `${name} ${number}, which was read at ${writer.topic}/${was.partition} ${was.offset}`;
        if (is?.offset === was.offset && is.partition === was.partition) continue;
        // One that was lost without an acknowledgement may be there again.
        if (gaps.some((gap) => holds(gap, writer.topic, was.partition, was.offset))) continue;
        if (is === undefined) differences.push({ kind: 'lost', text: `${what}, is not there and in no gap` });
        else differences.push({ kind: 'moved', text: `${what}, is at ${is.partition} ${is.offset}` });
      }
    }
    return differences;
  }

  #see(writer: Writer, number: number, key: string, { partition, offset }: KcatRecord): void {
    const { places, keys } = this.#seen.get(writer.name)!;
    const what = `${writer.name} ${number} at ${writer.topic}/${partition} ${offset}`;
    const state = keys.get(key) ?? { partition, highest: -1, last: -1, backs: 0 };
    keys.set(key, state);
    if (state.partition !== partition) this.#note('moved', `key ${key} is in two partitions: ${what}`);
    if (number < writer.made && writer.keyOf(number) !== key) this.#note('foreign', `${what} has key ${key}`);
    const place = places.get(number);
    if (place === undefined) {
      places.set(number, { partition, offset, times: 1 });
      if (number < state.highest) this.#note('reordered', `${what} comes after ${state.highest}`);
    } else {
      place.times += 1;
    }
    if (number <= state.last) state.backs += 1;
    state.last = number;
    state.highest = Math.max(state.highest, number);
  }

  #compareNumbers(
    writer: Writer,
    isAcked: (number: number) => boolean,
    made: number,
    gaps: readonly ToldGap[],
    result: Comparison,
  ): void {
    const { places } = this.#seen.get(writer.name)!;
    for (let number = 0; number < made; number += 1) {
      if (!isAcked(number) || places.has(number)) continue;
      const id = `${writer.name} ${number}`;
      if (this.#excused.has(id)) continue;
      if (this.#isInGap(writer, number, gaps)) {
        this.#excused.add(id);
        result.told += 1;
      } else {
        result.differences.push({ kind: 'lost', text: `${id} was acknowledged, is not there, and no gap is told` });
      }
    }
    for (const [number, { times, partition, offset }] of places) {
      const sends = number < writer.made ? writer.sends(number) : 0;
      const what = `${writer.name} ${number} (${writer.rule}, sent ${sends} times) at ${partition} ${offset}`;
      if (sends === 0) result.differences.push({ kind: 'foreign', text: `${what} was never sent` });
      else if (times > (writer.rule === 'once' ? 1 : sends)) {
        result.differences.push({ kind: 'doubled', text: `${what} is there ${times} times` });
      }
      result.again += times - 1;
    }
  }

  #compareOrder(writer: Writer, result: Comparison): void {
    for (const [key, { backs }] of this.#seen.get(writer.name)!.keys) {
      if (backs === 0 || (writer.rule === 'each sending' && backs < writer.connections)) continue;
      result.differences.push({ kind: 'reordered', text: `key ${key} of ${writer.name} starts over ${backs} times` });
    }
  }

  #compareGaps(gaps: readonly ToldGap[], result: Comparison): void {
    if (gaps.length === 0) return;
    for (const writer of this.#writers.values()) {
      for (const [number, { partition, offset }] of this.#seen.get(writer.name)!.places) {
        if (!gaps.some((gap) => holds(gap, writer.topic, partition, offset))) continue;
        const text = `${writer.name} ${number} is at ${writer.topic}/${partition} ${offset}, where a gap is told`;
        result.differences.push({ kind: 'wrong gap', text });
      }
    }
  }

  /** Whether a gap lies between the neighbours of the same key that are there. */
  #isInGap(writer: Writer, number: number, gaps: readonly ToldGap[]): boolean {
    const { places, keys } = this.#seen.get(writer.name)!;
    const key = writer.keyOf(number);
    const neighbour = (step: 1 | -1): Place | undefined => {
      for (let at = number + step; at >= 0 && at < writer.made; at += step) {
        if (writer.keyOf(at) === key && places.has(at)) return places.get(at);
      }
      return undefined;
    };
    const [from, to] = [neighbour(-1)?.offset ?? -1, neighbour(1)?.offset ?? Infinity];
    const partition = keys.get(key)?.partition;
    return gaps.some(
      (gap) =>
        gap.topic === writer.topic &&
        (partition === undefined || gap.partition === partition) &&
        gap.lastOffset > from &&
        gap.firstOffset < to,
    );
  }

  #note(kind: DifferenceKind, text: string): void {
    this.#wrong.push({ kind, text });
  }
}

function holds(gap: ToldGap, topic: string, partition: number, offset: number): boolean {
  return gap.topic === topic && gap.partition === partition && offset >= gap.firstOffset && offset <= gap.lastOffset;
}
