// Reading batches, and finding out what is wrong with them: each is checked against its own checksum and must begin where
// the one before has ended, or where a known gap has. What fails is mended, or noted as a gap, and reads go on behind it.

import { isHeadwaterError, messageOf } from '../errors.ts';
import type { Allocate } from '../formats/bytes.ts';
import type { Catalogue, LocatedRange } from './catalogue.ts';
import type { Gaps } from './gaps.ts';
import type { Mending } from './mending.ts';
import type { OpenSegment } from './open-segment.ts';
import type { Readers } from './readers.ts';
import type { Described, Describe } from './segment.ts';

export interface ReadingNeeds {
  catalogue: Catalogue;
  readers: Readers;
  gaps: Gaps;
  mending: Mending;
  describe: Describe;
  /** The segment in memory that holds `offset` of a partition, the oldest first. */
  openHolding: (partition: number, offset: number) => OpenSegment | undefined;
  /** Segments in memory, the oldest first. */
  open: () => Iterable<OpenSegment>;
  /** A segment that is still written is damaged: to be mended when it is sealed. */
  suspect: (id: number) => void;
}

/** Each round mends a segment; a reader with more of them tries again. */
const ROUNDS_MAX = 4;

export class Reading {
  readonly #needs: ReadingNeeds;

  constructor(needs: ReadingNeeds) {
    this.#needs = needs;
  }

  /** Batches from the one that holds `offset` (or the next one there is), up to about `bytesMax`, at least one. */
  async batches(partition: number, offset: number, bytesMax: number, allocate?: Allocate): Promise<Buffer[]> {
    for (let mended = 0; ;) {
      const open = this.#needs.openHolding(partition, offset);
      const firstInMemory = open?.ranges.get(partition)?.firstOffset ?? Infinity;
      // At once: what is in memory may be sealed with the next turn.
      if (offset >= firstInMemory) return this.#open(partition, offset, bytesMax);
      const found = await this.#sealedFrom(partition, offset, firstInMemory, bytesMax, allocate);
      if (found === 'mended') mended += 1;
      else if (found !== 'none') return found;
      // What was in memory may lie in the catalogue by this time: the next in memory is not the next there is.
      else if (this.#needs.openHolding(partition, offset) === open) return this.#open(partition, offset, bytesMax);
      if (mended > ROUNDS_MAX) throw new Error('several segments are damaged, and more are to be mended');
    }
  }

  /** What is sealed and begins before `end`: with a damaged catalogue what is in memory may be older than what is sealed. */
  async #sealedFrom(
    partition: number,
    offset: number,
    end: number,
    bytesMax: number,
    allocate?: Allocate,
  ): Promise<Buffer[] | 'none' | 'mended'> {
    for await (const range of this.#needs.catalogue.rangesOf(partition, offset)) {
      if (range.firstOffset >= end) return 'none';
      const batches = await this.#sealed(range, offset, bytesMax, allocate);
      if (batches === undefined) return 'mended';
      if (batches.length > 0) return batches;
    }
    return 'none';
  }

  /** The segment's part of a partition that holds `offset`, or else the next one; undefined behind the end. */
  async rangeAt(partition: number, offset: number): Promise<LocatedRange | undefined> {
    const open = this.#needs.openHolding(partition, offset);
    const range = open?.ranges.get(partition);
    if (range === undefined || range.firstOffset > offset) {
      for await (const sealed of this.#needs.catalogue.rangesOf(partition, offset)) {
        if (sealed.firstOffset < (range?.firstOffset ?? Infinity)) return sealed;
        break;
      }
    }
    // The segment may have been sealed since it was found, its number stays the same.
    return range === undefined ? undefined : { ...range, segment: open!.segment.id, isSealed: false };
  }

  /** First what is not sealed, then the sealed ranges of a partition in order. */
  async *allRanges(): AsyncIterable<LocatedRange> {
    const open = [...this.#needs.open()].flatMap(({ segment, ranges }) => {
      return [...ranges.values()].map((range) => ({ ...range, segment: segment.id, isSealed: false }));
    });
    // What is sealed meanwhile moves to the catalogue: it is told once.
    const told = new Set(open.map(({ segment }) => segment));
    yield* open;
    for await (const range of this.#needs.catalogue.allRanges()) if (!told.has(range.segment)) yield range;
  }

  /** Undefined when the segment was mended: what it holds is another now. */
  async #sealed(
    range: LocatedRange,
    offset: number,
    bytesMax: number,
    allocate?: Allocate,
  ): Promise<Buffer[] | undefined> {
    const { mending, readers } = this.#needs;
    const { partition, segment } = range;
    await mending.settled(segment);
    try {
      const batches = await readers.use(segment, (each) => each.read(partition, offset, bytesMax, allocate));
      const fault = this.#faultIn(batches, Math.max(offset, range.firstOffset), range);
      if (fault === undefined) return batches;
      await mending.mend(segment, fault, true);
    } catch (error) {
      // It may be the machine that is short of something: then every checksum is right.
      if (!this.#needs.catalogue.has(segment) || (await mending.mend(segment, messageOf(error), false)))
        return undefined;
      throw error;
    }
    return undefined;
  }

  #faultIn(batches: Buffer[], from: number, { partition, lastOffset }: LocatedRange): string | undefined {
    let next = from;
    for (const batch of batches) {
      const found = this.#described(batch);
      if (found === undefined) return `a batch at or behind offset ${next} is damaged`;
      if (found.lastOffset < next) return `offset ${found.firstOffset} comes behind ${next}`;
      if (found.firstOffset > next && !this.#isGap(partition, next, found.firstOffset - 1)) {
        return `offsets ${next} to ${found.firstOffset - 1} are missing`;
      }
      next = found.lastOffset + 1;
    }
    const isMissing = batches.length === 0 && next <= lastOffset && !this.#isGap(partition, next, lastOffset);
    return isMissing ? `offsets ${next} to ${lastOffset} are missing` : undefined;
  }

  #described(batch: Buffer): Described | undefined {
    try {
      return this.#needs.describe(batch);
    } catch (error) {
      if (isHeadwaterError(error)) return undefined;
      throw error;
    }
  }

  #isGap(partition: number, first: number, last: number): boolean {
    return this.#needs.gaps.covers(partition, first, last);
  }

  async #open(partition: number, offset: number, bytesMax: number): Promise<Buffer[]> {
    const open = this.#needs.openHolding(partition, offset);
    const range = open?.ranges.get(partition);
    if (open === undefined || range === undefined) return [];
    const located = { ...range, segment: open.segment.id, isSealed: false };
    for (let from = Math.max(offset, range.firstOffset); ;) {
      const batches = await open.segment.during((segment) => segment.read(partition, from, bytesMax));
      const fault = this.#faultIn(batches, from, located);
      if (fault === undefined) return batches;
      const sound = this.#soundPart(batches, from);
      if (sound.length > 0) return sound;
      from = await this.#skipDamage(open, located, from, fault);
    }
  }

  /** The batches before the first that is not as it should be. */
  #soundPart(batches: Buffer[], from: number): Buffer[] {
    let next = from;
    for (const [index, batch] of batches.entries()) {
      const found = this.#described(batch);
      if (found === undefined || found.firstOffset > next || found.lastOffset < next) return batches.slice(0, index);
      next = found.lastOffset + 1;
    }
    return batches;
  }

  /** Notes what is wrong at `from`, and says where to go on. */
  async #skipDamage(open: OpenSegment, range: LocatedRange, from: number, fault: string): Promise<number> {
    const { mending, suspect } = this.#needs;
    const { partition } = range;
    suspect(range.segment);
    const [batch] = await open.segment.during((segment) => segment.read(partition, from, 1));
    const found = batch === undefined ? undefined : this.#described(batch);
    const isHole = found !== undefined && found.firstOffset > from;
    const keyed = await open.segment.during((segment) => segment.lastOffsetAt(partition, from));
    const lastOffset = isHole ? found.firstOffset - 1 : (keyed ?? range.lastOffset);
    await mending.addGaps([{ partition, firstOffset: from, lastOffset }], `segment ${range.segment}: ${fault}`);
    return lastOffset + 1;
  }
}
