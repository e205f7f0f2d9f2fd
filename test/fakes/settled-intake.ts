// An intake and its marks whose commits the test settles by hand. One commit gathers until `settle` or `fail`; `isAutomatic`
// settles each at the next turn of the event loop. What was committed stays in `records` and `marks`.

import { HeadwaterError } from '../../src/errors.ts';
import type { Intake, IntakeRecord } from '../../src/intake/intake.ts';
import { Acknowledged } from '../../src/log/joining.ts';
import type { Commit } from '../../src/log/log.ts';
import type { MarkStore } from '../../src/mqtt/marks.ts';

type Mark = [key: string, value: Buffer | null];

class OpenCommit implements Commit {
  readonly records: { topic: string; value: string }[] = [];
  readonly marks: Mark[] = [];
  readonly #callbacks: ((error?: HeadwaterError) => void)[] = [];

  whenDone(callback: (error?: HeadwaterError) => void): void {
    this.#callbacks.push(callback);
  }

  done(): Promise<void> {
    return new Promise((resolve, reject) =>
      this.whenDone((error) => (error === undefined ? resolve() : reject(error))),
    );
  }

  grow(): void {}

  end(error?: HeadwaterError): void {
    for (const callback of this.#callbacks) callback(error);
  }
}

export class SettledIntake implements Intake {
  readonly records: { topic: string; value: string }[] = [];
  readonly marks: Map<string, Buffer>;
  readonly markStore: MarkStore;
  /** Topics that no rule takes begin with this. */
  unroutedPrefix = 'unrouted/';
  isAutomatic = false;
  /** All topics are `relaxed`: records are acknowledged when they are taken. */
  isRelaxed = false;
  lullMs = 0;
  #open: OpenCommit | undefined;
  #isFull = false;
  #refusal: string | undefined;
  #roomWaiters: (() => void)[] = [];

  constructor(marks = new Map<string, Buffer>()) {
    this.marks = marks;
    this.markStore = {
      set: (key, value) => this.#gather((commit) => commit.marks.push([key, value])),
      entries: (prefix) => [...this.marks].filter(([key]) => key.startsWith(prefix)),
    };
  }

  get values(): string[] {
    return this.records.map((record) => record.value);
  }

  /** Records that wait for their commit. */
  get waiting(): number {
    return this.#open?.records.length ?? 0;
  }

  get hasOpenCommit(): boolean {
    return this.#open !== undefined;
  }

  acceptMqtt(mqttTopic: string, payload: Buffer, marks: Mark[] = []): Commit | undefined {
    if (mqttTopic.startsWith(this.unroutedPrefix)) return undefined;
    if (mqttTopic.startsWith('toolarge/')) throw new HeadwaterError('RECORD_TOO_LARGE', 'a record too large');
    const commit = this.#gather((open) => {
      open.records.push({ topic: mqttTopic, value: payload.toString() });
      open.marks.push(...marks);
    });
    return this.isRelaxed ? new Acknowledged(commit) : commit;
  }

  accept(record: IntakeRecord, marks: Mark[] = []): Commit {
    return this.#gather((commit) => {
      commit.records.push({ topic: record.topic, value: String(record.value) });
      commit.marks.push(...marks);
    });
  }

  isFull(): boolean {
    return this.#isFull;
  }

  whenRoom(signal?: AbortSignal): Promise<void> {
    if (!this.#isFull || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      this.#roomWaiters.push(resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  refusal(): string | undefined {
    return this.#refusal;
  }

  /** There is no room for records, until `empty`. */
  refuse(reason: string): void {
    this.#refusal = reason;
    this.#isFull = true;
  }

  lull(msMax: number): number {
    return Math.min(msMax, this.lullMs);
  }

  fill(): void {
    this.#isFull = true;
  }

  empty(): void {
    this.#isFull = false;
    this.#refusal = undefined;
    for (const waiter of this.#roomWaiters) waiter();
    this.#roomWaiters = [];
  }

  /** All that waits is on the card. */
  settle(): void {
    const commit = this.#open;
    if (commit === undefined) return;
    this.#open = undefined;
    this.records.push(...commit.records);
    for (const [key, value] of commit.marks) {
      if (value === null) this.marks.delete(key);
      else this.marks.set(key, value);
    }
    commit.end();
  }

  /** Nothing of what waits was kept. */
  fail(): void {
    const commit = this.#open;
    this.#open = undefined;
    commit?.end(new HeadwaterError('LOG_CLOSED', 'the log was closed before the commit got through'));
  }

  #gather(add: (commit: OpenCommit) => void): Commit {
    if (this.#open === undefined) {
      this.#open = new OpenCommit();
      if (this.isAutomatic) setImmediate(() => this.settle());
    }
    add(this.#open);
    return this.#open;
  }
}
